/* SPDX-License-Identifier: MIT */
/* The table, and the tests of texts that it names. */
#include "model/zone-fields.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"

static bool only(const char *s, const char *also)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(also, *s))
			return false;
	return true;
}

static bool is_name(const char *s)
{
	return isalnum((unsigned char)*s) && only(s, "._-");
}

bool zone_name_fits(const char *s)
{
	return is_name(s) && strlen(s) <= ZONE_SPEC_NAME_MAX;
}

static bool is_label(const char *s)
{
	return isalnum((unsigned char)*s) && only(s, "._-/");
}

static bool is_variable(const char *s)
{
	return *s && !isdigit((unsigned char)*s) && only(s, "_");
}

static bool is_path(const char *s)
{
	return s[0] == '/' && s[1] && text_is_clean(s, false);
}

static bool is_kernel(const char *s)
{
	return is_path(s) || (is_name(s) && strlen(s) <= 128);
}

static bool is_user(const char *s)
{
	return (isalnum((unsigned char)*s) || *s == '_') && only(s, "._-");
}

static bool is_interface(const char *s)
{
	return isalnum((unsigned char)*s) && only(s, "._-") && strlen(s) < 16;
}

static bool is_line(const char *s)
{
	return *s && text_is_clean(s, false);
}

static bool is_domain(const char *s)
{
	return is_line(s) && !strchr(s, '/');
}

static bool is_address(const char *s)
{
	struct in_addr address;

	return inet_pton(AF_INET, s, &address) == 1;
}

static bool is_network(const char *s)
{
	const char *slash = strchr(s, '/');
	char address[64];
	uint32_t bits;

	return slash && str_copy(address, sizeof(address), s) &&
	       slash - s < (long)sizeof(address) && (address[slash - s] = 0, is_address(address)) &&
	       parse_u32(slash + 1, &bits) == 0 && bits >= 1 && bits <= 32;
}

static const char *const versions[] = {"cz/v1", NULL};
static const char *const kinds[] = {"Zone", NULL};
static const char *const classes[] = {"normal", "lc", "be", NULL};
static const char *const runtimes[] = {"cgroup", "vm", NULL};
static const char *const restarts[] = {"never", "on-failure", "always", NULL};
static const char *const modes[] = {"none", "user", "tap", "bridge", NULL};
static const char *const preempts[] = {"kernel", "none", "voluntary", "lazy", "full", NULL};
static const char *const machines[] = {"auto", "q35", "microvm", NULL};
static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
static const char *const backends[] = {"qemu", "libvirt", NULL};
static const char *const extents[] = {"partial", "full", NULL};

#define MIB	(1ull << 20)
#define TIB	(1ull << 40)
#define US	1000ull
#define S	(1000000 * US)
#define CPU	1000000ull /* ppm */
#define NAME	"a name: letters, digits and . _ -, beginning with a letter or digit"
#define PATH	"an absolute path"
#define HOT	UPDATE_HOT
#define REBOOT	UPDATE_REBOOT
#define REFUSED UPDATE_REFUSED
#define VM	FIELD_VM_ONLY

#define AT(member) .offset = offsetof(struct zone_spec, member)
#define NR(member) .nr_offset = offsetof(struct zone_spec, member)

static const struct zone_field metadata_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, REFUSED, AT(name), .min = 1, .max = ZONE_SPEC_NAME_MAX,
     .fits = is_name, .allowed = NAME, .help = "What the zone is called, on this host."},
    {"labels", FIELD_MAP, 0, HOT, AT(labels), NR(nr_labels), .min = 63, .max = ZONE_LABELS_MAX,
     .fits = is_label, .allowed = "letters, digits and . _ - /",
     .help = "Words of your own about the zone, KEY: VALUE; nothing depends on them."},
    {0},
};

static const struct zone_field cpu_fields[] = {
    {"max", FIELD_CPUS, 0, HOT, AT(resource.cpu_max_ppm), .min = CPU / 1000, .max = 4096 * CPU,
     .fallback = "no limit",
     .help = "CPU time it may use; runtime vm: of each vCPU, so at most 1 CPU."},
    {"burst", FIELD_TIME_US, 0, HOT, AT(resource.cpu_burst_us), .min = 1, .max = 1000000,
     .fallback = "none", .help = "Unused CPU time that may be saved up and used beyond max."},
    {"weight", FIELD_COUNT, 0, HOT, AT(resource.cpu_weight), .min = 1, .max = 10000,
     .fallback = "100", .help = "Its share against other zones when CPU time is scarce."},
    {0},
};

static const struct zone_field io_fields[] = {
    {"bytes", FIELD_RATE, 0, HOT, AT(resource.io.bytes_per_s), .min = 1024, .max = TIB,
     .fallback = "no limit", .help = "Bytes a second, read and written, of each disk."},
    {"bytesBurst", FIELD_SIZE, 0, HOT, AT(resource.io.bytes_burst), .min = 1024, .max = TIB,
     .fallback = "none", .help = "Bytes that may pass at once beyond that."},
    {"ops", FIELD_OPS_RATE, 0, HOT, AT(resource.io.ops_per_s), .min = 1, .max = 100000000,
     .fallback = "no limit", .help = "Requests a second of each disk."},
    {"opsBurst", FIELD_OPS, 0, HOT, AT(resource.io.ops_burst), .min = 1, .max = 100000000,
     .fallback = "none", .help = "Requests that may pass at once beyond that."},
    {0},
};

static const struct zone_field net_fields[] = {
    {"mode", FIELD_ENUM, 0, REBOOT, AT(resource.net.mode), .names = modes, .fallback = "none",
     .help = "none; user: a network of its own, from which nothing leads out: only `forward` lets "
	     "connections in; tap: a device of the host; bridge: a tap on a bridge."},
    {"address", FIELD_TEXT, 0, REBOOT, AT(resource.net.address), .min = 1, .max = 49,
     .fits = is_network, .allowed = "an IPv4 address and its prefix (192.0.2.10/24)",
     .fallback = "by DHCP", .help = "The zone's own address; modes tap and bridge."},
    {"gateway", FIELD_TEXT, 0, REBOOT, AT(resource.net.gateway), .min = 1, .max = 45,
     .fits = is_address, .allowed = "an IPv4 address", .fallback = "by DHCP",
     .help = "The way out; with address."},
    {"dns", FIELD_TEXT, 0, REBOOT, AT(resource.net.dns), .min = 1, .max = 45, .fits = is_address,
     .allowed = "an IPv4 address", .fallback = "by DHCP", .help = "The name server."},
    {"bridge", FIELD_TEXT, 0, REBOOT, AT(resource.net.bridge), .min = 1, .max = 15,
     .fits = is_interface, .allowed = "a network interface's name",
     .help = "The host's bridge; mode bridge needs it."},
    {"forward", FIELD_PORTS, 0, REBOOT, AT(resource.net.forward), NR(resource.net.nr_forward),
     .max = ZONE_PORTS_MAX, .fallback = "none",
     .help = "TCP ports of the host's loopback address that lead into the zone; mode user."},
    {0},
};

static const struct zone_field resource_fields[] = {
    {"cpuset", FIELD_CPUSET, 0, HOT, AT(resource.cpus), .fallback = "all, not pinned",
     .help = "The host's CPUs it runs on; runtime vm: vCPU i is pinned to the i-th of them."},
    {"exclusive", FIELD_BOOL, 0, HOT, AT(resource.exclusive_cpus), .fallback = "false",
     .help = "No other exclusive zone may have any of these CPUs."},
    {"vcpus", FIELD_COUNT, VM, HOT, AT(resource.vcpus), .min = 1, .max = ZONE_VCPUS_MAX,
     .fallback = "as many as cpuset has, else 1", .help = "CPUs of the virtual machine."},
    {"vcpusMax", FIELD_COUNT, VM, REBOOT, AT(resource.vcpus_max), .min = 1, .max = ZONE_VCPUS_MAX,
     .fallback = "vcpus", .help = "How many vcpus may become without a reboot."},
    {"cpu", FIELD_SECTION, .sub = cpu_fields, .help = "Limits of CPU time."},
    {"memory", FIELD_SIZE, 0, HOT, AT(resource.memory_bytes), .min = MIB, .max = 64 * TIB,
     .fallback = "vm: 512Mi; cgroup: no limit",
     .help = "Memory it has or may use; vm: 64Mi or more."},
    {"memoryMax", FIELD_SIZE, VM, REBOOT, AT(resource.memory_max_bytes), .min = MIB,
     .max = 64 * TIB, .fallback = "memory", .help = "How much memory may become without a reboot."},
    {"llc", FIELD_MASK, 0, HOT, AT(resource.llc_mask), .min = 1, .max = UINT32_MAX,
     .fallback = "all", .help = "Ways of the last-level cache; needs resctrl."},
    {"memoryBandwidth", FIELD_PERCENT, 0, HOT, AT(resource.membw_percent), .min = 1, .max = 100,
     .fallback = "all", .help = "Share of the memory bandwidth; needs resctrl."},
    {"io", FIELD_SECTION, .sub = io_fields, .help = "Limits of disk traffic."},
    {"net", FIELD_SECTION, VM, .sub = net_fields, .help = "The virtual machine's network."},
    {0},
};

static const struct zone_field os_fields[] = {
    {"kernel", FIELD_TEXT, 0, REBOOT, AT(os.kernel), .min = 1, .max = 4095, .fits = is_kernel,
     .allowed = "an absolute path, or a name of czctl kernel list", .fallback = "default",
     .help = "The kernel to boot."},
    {"initramfs", FIELD_TEXT, 0, REBOOT, AT(os.initramfs), .min = 1, .max = 4095, .fits = is_path,
     .allowed = PATH, .fallback = "made by czd, with cz-guest as init",
     .help = "The initial file system."},
    {"rootfs", FIELD_ROOTFS, 0, REBOOT, AT(os), .max = 4095, .fallback = "none",
     .help = "none: the initramfs is all there is; host: parts of the host's own tree, read only; "
	     "image: a disk image (raw, qcow2), written to a layer of the zone's own; dir: a "
	     "directory, read only; oci: an OCI image layout, read only."},
    {"share", FIELD_WORDS, 0, REBOOT, AT(os.share), .max = 16, .fallback = "none",
     .help = "More directories of the host, read only and at the same paths; with rootfs host. Not "
	     "/, nor any in /etc, /root, /home, /boot, /run, /proc, /sys, /dev or /tmp."},
    {"cmdline", FIELD_TEXT, 0, REBOOT, AT(os.cmdline), .min = 1, .max = 1024, .fits = is_line,
     .allowed = "one line of text", .fallback = "none",
     .help = "Kernel parameters, added to czd's own."},
    {"preempt", FIELD_ENUM, 0, REBOOT, AT(os.preempt), .names = preempts, .fallback = "kernel",
     .help = "When a task that wakes may interrupt another in the kernel, of the modes that the "
	     "kernel has; one that it has not is told as an event. kernel: as it was built."},
    {"bootLimit", FIELD_TIME_NS, 0, HOT, AT(os.boot_limit_ns), .min = S, .max = 3600 * S,
     .fallback = "30s with KVM, 120s without",
     .help = "How long the guest may take to say that it runs; then the zone has failed."},
    {"machine", FIELD_ENUM, 0, REBOOT, AT(os.machine), .names = machines, .fallback = "auto",
     .help = "What is emulated."},
    {"accel", FIELD_ENUM, 0, REBOOT, AT(os.accel), .names = accels, .fallback = "auto",
     .help = "auto: KVM where a guest is seen to boot with it, else emulation (tcg)."},
    {"backend", FIELD_ENUM, 0, REBOOT, AT(os.backend), .names = backends, .fallback = "qemu",
     .help = "Who runs the virtual machine."},
    {"adopt", FIELD_TEXT, 0, REBOOT, AT(os.adopt), .min = 1, .max = 255, .fits = is_domain,
     .allowed = "the name of a domain, as in virsh list", .fallback = "none: a machine is made",
     .help =
	 "A domain of libvirt's that somebody else started, to be taken as it is: it gets a "
	 "class, and the CPUs and limits of resource that are set, and when the zone ends it is "
	 "left as it was found. With backend libvirt."},
    {0},
};

#define RULE(member) .offset = offsetof(struct sched_rule, member)
static const struct zone_field rule_fields[] = {
    {"below", FIELD_LOAD, 0, HOT, RULE(below_ppm), .min = CPU / 1000, .max = ZONE_VCPUS_MAX * CPU,
     .fallback = "any load",
     .help = "The rule holds while the load of the zone's lc apps is below."},
    {"policy", FIELD_TEXT, FIELD_REQUIRED, HOT, RULE(policy), .min = 1, .max = 32, .fits = is_name,
     .allowed = "none, or NAME of scx-NAME", .help = "The policy then."},
    {"options", FIELD_TEXT, 0, HOT, RULE(options), .min = 1, .max = 512, .fits = is_line,
     .allowed = "one line of text", .fallback = "none", .help = "Its options."},
    {0},
};

static const struct zone_field scheduler_fields[] = {
    {"policy", FIELD_TEXT, 0, HOT, AT(sched.policy), .min = 1, .max = 32, .fits = is_name,
     .allowed = "none, or NAME of scx-NAME", .fallback = "none: the kernel's own",
     .help = "The BPF scheduler of the zone; changed while it runs."},
    {"options", FIELD_TEXT, 0, HOT, AT(sched.options), .min = 1, .max = 512, .fits = is_line,
     .allowed = "one line of text", .fallback = "none",
     .help = "For the policy, as on its command line (scx-NAME --help)."},
    {"mode", FIELD_EITHER, 0, HOT, AT(sched.full), .names = extents, .fallback = "partial",
     .help = "partial: it schedules the tasks of apps and those set to ext (exclusive and net: of "
	     "be apps only, which the others then always precede); full: every task."},
    {"onHarm", FIELD_BOOL, 0, HOT, AT(sched.on_harm), .fallback = "false",
     .help = "Start with the kernel's own scheduler, and switch to policy when apps of the zone "
	     "hurt one another."},
    {"rules", FIELD_RULES, 0, HOT, AT(sched.rules), NR(sched.nr_rules), .max = ZONE_RULES_MAX,
     .sub = rule_fields, .item_bytes = sizeof(struct sched_rule), .fallback = "none",
     .help = "The policy by load: the first rule that holds wins."},
    {0},
};

#define APP(member) .offset = offsetof(struct zone_app, member)
static const struct zone_field app_cpu_fields[] = {
    {"max", FIELD_CPUS, 0, HOT, APP(cpu_max_ppm), .min = CPU / 1000, .max = 4096 * CPU,
     .fallback = "no limit", .help = "CPU time it may use."},
    {"weight", FIELD_COUNT, 0, HOT, APP(cpu_weight), .min = 1, .max = 10000, .fallback = "100",
     .help = "Its share against the zone's other apps."},
    {0},
};

static const struct zone_field health_fields[] = {
    {"command", FIELD_WORDS, FIELD_LINES, HOT, APP(health), .max = 64, .allowed = "a list of words",
     .fallback = "none", .help = "Run inside the zone; exit code 0: the app is healthy."},
    {"period", FIELD_TIME_NS, 0, HOT, APP(health_period_ns), .min = S, .max = 3600 * S,
     .fallback = "10s",
     .help = "How often. A check that takes as long (in a virtual machine at "
	     "most 10 s) has failed."},
    {0},
};

#define THREAD(member) .offset = offsetof(struct thread_rule, member)
static const struct zone_field thread_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, HOT, THREAD(name), .min = 1, .max = 15, .fits = is_line,
     .allowed = "a thread's name, or a pattern (bio_*)",
     .help = "Which threads, by the name the kernel has of them (/proc/PID/task/TID/comm)."},
    {"class", FIELD_ENUM, FIELD_REQUIRED | FIELD_ALWAYS, HOT, THREAD(class), .names = classes,
     .help = "What they are worth."},
    {0},
};

static const struct zone_field app_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, HOT, APP(name), .min = 1, .max = ZONE_SPEC_NAME_MAX,
     .fits = is_name, .allowed = NAME, .help = "What the app is called, once in the zone."},
    {"class", FIELD_ENUM, 0, HOT, APP(class), .names = classes, .fallback = "normal",
     .help = "What it is worth against the zone's other apps."},
    {"threads", FIELD_RULES, 0, HOT, APP(threads),
     .nr_offset = offsetof(struct zone_app, nr_threads), .max = ZONE_THREADS_MAX,
     .sub = thread_fields, .item_bytes = sizeof(struct thread_rule), .fallback = "none",
     .help = "Threads of another class than the app's: the first rule that fits a thread's name "
	     "wins. For policies with classes (exclusive, net); runtime vm only."},
    {"command", FIELD_WORDS, FIELD_LINES, HOT, APP(command), .max = 256,
     .allowed = "a list of words", .help = "The program and its arguments; no shell."},
    {"bundle", FIELD_TEXT, 0, HOT, APP(bundle), .min = 1, .max = 4095, .fits = is_path,
     .allowed = PATH,
     .help = "Instead of command: an OCI bundle directory inside the zone, "
	     "run by the zone's crun."},
    {"user", FIELD_TEXT, 0, HOT, APP(user), .min = 1, .max = 32, .fits = is_user,
     .allowed = "a user's name or number", .fallback = "root of the zone",
     .help = "The user inside the zone that runs it; a bundle says that itself."},
    {"workdir", FIELD_TEXT, 0, HOT, APP(workdir), .min = 1, .max = 4095, .fits = is_path,
     .allowed = PATH, .fallback = "/", .help = "The directory inside the zone it starts in."},
    {"env", FIELD_MAP, FIELD_LINES, HOT, APP(env), .nr_offset = offsetof(struct zone_app, nr_env),
     .min = 255, .max = 256, .fits = is_variable, .allowed = "letters, digits and _",
     .help = "Its environment, NAME: VALUE."},
    {"cpu", FIELD_SECTION, .sub = app_cpu_fields, .help = "Limits of CPU time."},
    {"memory", FIELD_SIZE, 0, HOT, APP(memory_bytes), .min = MIB, .max = 64 * TIB,
     .fallback = "no limit", .help = "Memory it may use."},
    {"cpuset", FIELD_CPUSET, 0, HOT, APP(cpus), .fallback = "all",
     .help = "CPUs it runs on; runtime vm: of the zone's own, from 0."},
    {"restart", FIELD_ENUM, 0, HOT, APP(restart), .names = restarts, .fallback = "on-failure",
     .help = "Whether it is started again when it ends."},
    {"health", FIELD_SECTION, .sub = health_fields, .help = "How to know that it works."},
    {0},
};

const struct zone_field zone_fields[] = {
    {"apiVersion", FIELD_FIXED, FIELD_REQUIRED | FIELD_ALWAYS, .names = versions,
     .help = "The version of this format."},
    {"kind", FIELD_FIXED, FIELD_REQUIRED | FIELD_ALWAYS, .names = kinds,
     .help = "What the file describes."},
    {"metadata", FIELD_SECTION, FIELD_REQUIRED, .sub = metadata_fields, .help = "Who the zone is."},
    {"class", FIELD_ENUM, FIELD_ALWAYS, HOT, AT(class), .names = classes,
     .fallback = "normal; lc with an slo",
     .help = "lc: latency-critical, protected; be: best-effort, may be held back for others."},
    {"slo", FIELD_SLO, 0, HOT, AT(slo), .fallback = "a learned baseline",
     .help = "What an lc zone is promised; see czctl protect."},
    {"runtime", FIELD_ENUM, FIELD_ALWAYS, REFUSED, AT(runtime), .names = runtimes, .fallback = "vm",
     .help = "cgroup: apps on the host; vm: a virtual machine with a kernel and a "
	     "scheduler of its own."},
    {"restart", FIELD_ENUM, 0, HOT, AT(restart), .names = restarts, .fallback = "on-failure",
     .help = "Whether the zone is started again when it ends."},
    {"resource", FIELD_SECTION, .sub = resource_fields, .help = "What it may use of the host."},
    {"os", FIELD_SECTION, VM, .sub = os_fields, .help = "What the virtual machine boots."},
    {"scheduler", FIELD_SECTION, VM, .sub = scheduler_fields,
     .help = "Which BPF scheduler runs in the virtual machine."},
    {"apps", FIELD_APPS, 0, HOT, AT(apps), NR(nr_apps), .max = ZONE_APPS_MAX, .sub = app_fields,
     .fallback = "none", .help = "The programs that run in the zone."},
    {0},
};
