/* SPDX-License-Identifier: MIT */
/*
 * What this host can do, tried out. Each cap is one small function; a captured tree is asked only
 * what files can answer.
 */
#include "kernel/caps.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"

#define X(id, name, area, gives) [HOSTCAP_##id] = {name, CAP_##area, gives},
const struct host_cap_desc host_cap_descs[HOSTCAP_NR] = {HOST_CAPS(X)};
#undef X

struct host {
	const struct kernel *k;
	const struct cgroup_fs *fs;
	struct host_caps *caps;
};

#define WHY_SIZE sizeof(((struct host_caps *)0)->why[0])

static bool exists(const struct host *h, const char *path)
{
	struct stat st;

	return kio_fstatat(h->k->root_fd, path, &st) == 0;
}

static enum cap_state from_file(const struct host *h, const char *path, char *why,
				const char *if_not)
{
	if (exists(h, path)) {
		snprintf(why, WHY_SIZE, "/%s", path);
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE, "%s", if_not);
	return CAP_NO;
}

static enum cap_state try_bpf(const struct host *h, char *why)
{
	union bpf_attr attr = {0};
	int fd;

	if (h->k->captured)
		return CAP_UNKNOWN;
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 8;
	attr.max_entries = 1;
	fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd >= 0) {
		close(fd);
		snprintf(why, WHY_SIZE, "maps can be created");
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE,
		 errno == EPERM ? "not permitted: needs root or CAP_BPF and CAP_PERFMON"
				: "this kernel has no BPF (CONFIG_BPF_SYSCALL)");
	return CAP_NO;
}

static enum cap_state try_btf(const struct host *h, char *why)
{
	return from_file(h, "sys/kernel/btf/vmlinux", why,
			 "kernel built without CONFIG_DEBUG_INFO_BTF");
}

static enum cap_state try_schedstat(const struct host *h, char *why)
{
	return from_file(h, "proc/self/schedstat", why, "kernel built without CONFIG_SCHED_INFO");
}

static enum cap_state try_psi(const struct host *h, char *why)
{
	char buf[256];
	ssize_t n = kio_read_text_at(h->k->root_fd, "proc/pressure/cpu", buf, sizeof(buf));

	if (n >= 0) {
		snprintf(why, WHY_SIZE, "/proc/pressure%s",
			 cgroup_has(h->fs, CG_UNIFIED) ? ", and per cgroup (v2)"
						       : " (no v2 hierarchy: host only)");
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE,
		 n == -EOPNOTSUPP ? "switched off: boot with psi=1"
				  : "kernel built without CONFIG_PSI");
	return CAP_NO;
}

static enum cap_state try_psi_trigger(const struct host *h, char *why)
{
	static const char trigger[] = "some 100000 1000000";
	_cleanup_close_ int fd = -1;

	if (h->k->captured)
		return CAP_UNKNOWN;
	fd = kio_openat(h->k->root_fd, "proc/pressure/cpu", O_RDWR | O_NONBLOCK);
	if (fd < 0) {
		snprintf(why, WHY_SIZE, "no PSI to be triggered by");
		return CAP_NO;
	}
	/* the trigger lives as long as the fd */
	if (write(fd, trigger, sizeof(trigger)) > 0) {
		snprintf(why, WHY_SIZE, "any window");
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE, "windows are multiples of 2 s without CAP_SYS_RESOURCE");
	return CAP_NO;
}

static enum cap_state try_pmu(const struct host *h, char *why)
{
	struct perf_event_attr attr = {
	    .type = PERF_TYPE_HARDWARE,
	    .size = sizeof(attr),
	    .config = PERF_COUNT_HW_CPU_CYCLES,
	    .disabled = 1,
	    .exclude_kernel = 1,
	};
	int fd;

	if (h->k->captured)
		return CAP_UNKNOWN;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		snprintf(why, WHY_SIZE, "hardware counters");
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE,
		 errno == EACCES || errno == EPERM ? "not permitted: needs root or CAP_PERFMON"
						   : "no PMU: in a VM ask the provider for a vPMU");
	return CAP_NO;
}

static enum cap_state try_resctrl(const struct host *h, char *why)
{
	if (exists(h, "sys/fs/resctrl/schemata")) {
		snprintf(why, WHY_SIZE, "/sys/fs/resctrl");
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE,
		 exists(h, "sys/fs/resctrl")
		     ? "not mounted: mount -t resctrl resctrl /sys/fs/resctrl"
		     : "no resctrl: CPU lacks RDT or kernel lacks CONFIG_X86_CPU_RESCTRL");
	return CAP_NO;
}

/* A v2 root has no knobs: any child has them. On v1 the root has them all. */
static bool knob_exists(const struct host *h, enum cgroup_controller c, const char *file)
{
	int hierarchy = h->fs->hierarchies[h->fs->of[c]].fd, err = 0;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	struct stat st;

	if (kio_fstatat(hierarchy, file, &st) == 0)
		return true;
	d = kio_opendir_at(hierarchy, ".", &err);
	while (d && (e = readdir(d))) {
		char path[512];

		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
		    str_printf(path, sizeof(path), "%s/%s", e->d_name, file) < 0)
			continue;
		if (kio_fstatat(hierarchy, path, &st) == 0)
			return true;
	}
	return false;
}

static enum cap_state try_knob(const struct host *h, enum cgroup_controller c, const char *v1,
			       const char *v2, char *why)
{
	const char *file = cgroup_is_v2(h->fs, c) ? v2 : v1;

	if (!cgroup_has(h->fs, c)) {
		snprintf(why, WHY_SIZE, "controller not mounted");
		return CAP_NO;
	}
	if (knob_exists(h, c, file)) {
		snprintf(why, WHY_SIZE, "%s (%s)", file, cgroup_is_v2(h->fs, c) ? "v2" : "v1");
		return CAP_YES;
	}
	snprintf(
	    why, WHY_SIZE,
	    "no %s in any cgroup: kernel too old, or the controller is not enabled below the root",
	    file);
	return CAP_NO;
}

static enum cap_state try_cpu_idle(const struct host *h, char *why)
{
	return try_knob(h, CG_CPU, "cpu.idle", "cpu.idle", why);
}

static enum cap_state try_cpu_weight(const struct host *h, char *why)
{
	return try_knob(h, CG_CPU, "cpu.shares", "cpu.weight", why);
}

static enum cap_state try_cpu_max(const struct host *h, char *why)
{
	return try_knob(h, CG_CPU, "cpu.cfs_quota_us", "cpu.max", why);
}

static enum cap_state try_cpu_burst(const struct host *h, char *why)
{
	return try_knob(h, CG_CPU, "cpu.cfs_burst_us", "cpu.max.burst", why);
}

static enum cap_state try_cpuset(const struct host *h, char *why)
{
	return try_knob(h, CG_CPUSET, "cpuset.cpus", "cpuset.cpus", why);
}

static enum cap_state try_freezer(const struct host *h, char *why)
{
	if (!cgroup_has(h->fs, CG_FREEZER) || cgroup_is_v2(h->fs, CG_FREEZER))
		return try_knob(h, CG_FREEZER, "", "cgroup.freeze", why);
	/* the root of the v1 freezer has no state file: the hierarchy itself is the answer */
	snprintf(why, WHY_SIZE, "freezer.state (v1)");
	return CAP_YES;
}

static enum cap_state try_sched_ext(const struct host *h, char *why)
{
	return from_file(h, "sys/kernel/sched_ext", why,
			 "no sched_ext (CONFIG_SCHED_CLASS_EXT): use a VM zone");
}

static enum cap_state try_kvm(const struct host *h, char *why)
{
	_cleanup_close_ int fd = -1;

	if (h->k->captured)
		return CAP_UNKNOWN;
	fd = kio_openat(h->k->root_fd, "dev/kvm", O_RDWR);
	if (fd >= 0) {
		snprintf(why, WHY_SIZE,
			 "/dev/kvm opens (whether a guest boots shows only a trial)");
		return CAP_YES;
	}
	snprintf(why, WHY_SIZE,
		 fd == -EACCES ? "/dev/kvm: not permitted"
			       : "no /dev/kvm: VM zones are emulated, slower");
	return CAP_NO;
}

static enum cap_state try_systemd(const struct host *h, char *why)
{
	return from_file(h, "run/systemd/system", why, "not running here");
}

static enum cap_state try_smt(const struct host *h, char *why)
{
	_cleanup_(topology_done) struct topology t = {0};

	if (topology_read(h->k, &t) < 0) {
		snprintf(why, WHY_SIZE, "no CPU topology in sysfs");
		return CAP_UNKNOWN;
	}
	h->caps->nr_cpus = cpuset_count(&t.online);
	h->caps->nr_nodes = t.nr_nodes;
	snprintf(why, WHY_SIZE,
		 t.smt ? "siblings of a core disturb one another" : "one thread a core");
	return t.smt ? CAP_YES : CAP_NO;
}

static enum cap_state (*const tries[HOSTCAP_NR])(const struct host *h, char *why) = {
    [HOSTCAP_BPF] = try_bpf,
    [HOSTCAP_BTF] = try_btf,
    [HOSTCAP_SCHEDSTAT] = try_schedstat,
    [HOSTCAP_PSI] = try_psi,
    [HOSTCAP_PSI_TRIGGER] = try_psi_trigger,
    [HOSTCAP_PMU] = try_pmu,
    [HOSTCAP_RESCTRL] = try_resctrl,
    [HOSTCAP_CPU_IDLE] = try_cpu_idle,
    [HOSTCAP_CPU_WEIGHT] = try_cpu_weight,
    [HOSTCAP_CPU_MAX] = try_cpu_max,
    [HOSTCAP_CPU_BURST] = try_cpu_burst,
    [HOSTCAP_CPUSET] = try_cpuset,
    [HOSTCAP_FREEZER] = try_freezer,
    [HOSTCAP_SCHED_EXT] = try_sched_ext,
    [HOSTCAP_KVM] = try_kvm,
    [HOSTCAP_SYSTEMD] = try_systemd,
    [HOSTCAP_SMT] = try_smt,
};

void host_caps_read(const struct kernel *k, const struct cgroup_fs *fs, struct host_caps *ret)
{
	struct host h = {k, fs, ret};
	uint64_t available;

	*ret = (struct host_caps){.cgroup_layout = fs->layout};
	if (proc_kernel_release(k, ret->release, sizeof(ret->release)) < 0)
		str_copy(ret->release, sizeof(ret->release), "unknown");
	if (proc_meminfo(k, &ret->memory_bytes, &available) < 0)
		ret->memory_bytes = 0;
	for (int i = 0; i < HOSTCAP_NR; i++) {
		ret->state[i] = tries[i](&h, ret->why[i]);
		if (ret->state[i] == CAP_UNKNOWN && !ret->why[i][0])
			snprintf(ret->why[i], WHY_SIZE, "a captured tree cannot tell");
	}
}
