/* SPDX-License-Identifier: MIT */
#include "vm/qemu-args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/str.h"

#define MIB		(1ull << 20)
#define BURST_DEFAULT_S 1

bool vm_wants_virtiofs(const struct zone_spec *s)
{
	return s->os.rootfs_kind == ROOTFS_HOST || s->os.rootfs_kind == ROOTFS_DIR ||
	       s->os.rootfs_kind == ROOTFS_OCI;
}

void vm_mac(const struct zone_spec *s, char ret[VM_MAC_SIZE])
{
	uint64_t h = hash_string(s->name);

	snprintf(ret, VM_MAC_SIZE, "52:54:00:%02x:%02x:%02x", (unsigned int)(h & 0xff),
		 (unsigned int)(h >> 8 & 0xff), (unsigned int)(h >> 16 & 0xff));
}

/* One word of a kernel command line: nothing that would end it or begin a quotation. */
static bool plain_word(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == 0x7f)
			return false;
	}
	return true;
}

static int net_word(const struct zone_net *n, char *buf, size_t size, struct error *reterr)
{
	const char *gateway = n->gateway ? n->gateway : "", *dns = n->dns ? n->dns : "";

	if (n->mode == NET_NONE)
		return str_printf(buf, size, "none");
	if (!n->address)
		return str_printf(buf, size, "dhcp");
	if (!plain_word(n->address) || !plain_word(gateway) || !plain_word(dns))
		return error_set(reterr, -EINVAL,
				 "the zone's network addresses hold blanks or quotes");
	return str_printf(buf, size, "%s%s%s%s%s", n->address, *gateway || *dns ? "," : "", gateway,
			  *dns ? "," : "", dns);
}

int vm_kernel_cmdline(const struct zone_spec *s, const char *nonce, char *buf, size_t size,
		      struct error *reterr)
{
	const char *root = s->os.rootfs_kind == ROOTFS_IMAGE ? "image"
			   : vm_wants_virtiofs(s)	     ? "virtiofs"
							     : "none";
	static const char *const preempts[] = {
	    [PREEMPT_KERNELS] = "",
	    [PREEMPT_NONE] = " preempt=none",
	    [PREEMPT_VOLUNTARY] = " preempt=voluntary",
	    [PREEMPT_LAZY] = " preempt=lazy",
	    [PREEMPT_FULL] = " preempt=full",
	};
	const char *user = s->os.cmdline ? s->os.cmdline : "";
	char net[256];
	int r = net_word(&s->resource.net, net, sizeof(net), reterr);

	if (r < 0)
		return r;
	for (const char *p = user; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return error_set(reterr, -EINVAL, "os.cmdline holds a control character");
	}
	r = str_printf(
	    buf, size,
	    "console=ttyS0 panic=-1 quiet rdinit=/init cz.name=%s cz.nonce=%s cz.root=%s "
	    "cz.net=%s maxcpus=%" PRIu32 "%s%s%s",
	    s->name, nonce, root, net, zone_spec_vcpus(s), preempts[s->os.preempt],
	    *user ? " " : "", user);
	return r < 0 ? error_set(reterr, -E2BIG, "os.cmdline is too long for a kernel") : 0;
}

/* --- the fds ------------------------------------------------------------------------------- */

void qemu_plan_init(struct qemu_plan *p, const struct zone_spec *spec, const char *nonce)
{
	*p = (struct qemu_plan){.spec = spec,
				.nonce = nonce,
				.kernel = -1,
				.initramfs = -1,
				.data = -1,
				.kvm_fd = -1,
				.qmp = -1,
				.console = -1,
				.virtiofs = -1,
				.disk = -1,
				.base = -1,
				.tap = -1,
				.helper = -1};
	for (size_t i = 0; i < CHANNEL_NR; i++)
		p->port[i] = -1;
}

void qemu_plan_each_fd(struct qemu_plan *p, void (*f)(int *fd))
{
	int *fds[] = {&p->kernel,   &p->initramfs, &p->data, &p->kvm_fd, &p->qmp,   &p->console,
		      &p->virtiofs, &p->disk,	   &p->base, &p->tap,	 &p->helper};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			f(fds[i]);
	}
	for (size_t i = 0; i < CHANNEL_NR; i++) {
		if (p->port[i] >= 0)
			f(&p->port[i]);
	}
}

static void close_one(int *fd)
{
	close_fd(fd);
}

void qemu_plan_done(struct qemu_plan *p)
{
	qemu_plan_each_fd(p, close_one);
}

/* --- the arguments ------------------------------------------------------------------------- */

void qemu_args_done(struct qemu_args *a)
{
	for (size_t i = 0; i < a->nr; i++)
		free(a->argv[i]);
	*a = (struct qemu_args){0};
}

printf_like(2, 3) static void add(struct qemu_args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->error)
		return;
	if (a->nr == QEMU_ARGS_MAX) {
		a->error = -E2BIG;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->argv[a->nr], fmt, ap) < 0) {
		a->argv[a->nr] = NULL;
		a->error = -ENOMEM;
	} else {
		a->nr++;
	}
	va_end(ap);
}

/* "-option text" */
#define option(a, name, ...)                                                                       \
	do {                                                                                       \
		add(a, "%s", name);                                                                \
		add(a, __VA_ARGS__);                                                               \
	} while (0)

static void add_machine(const struct qemu_plan *p, struct qemu_args *a)
{
	const struct zone_spec *s = p->spec;
	uint64_t mib = zone_spec_memory_max(s) / MIB;
	uint32_t cpus = zone_spec_vcpus_max(s);

	/* The name is letters, digits and ._- : no commas (zone-spec.h). */
	option(a, "-name", "guest=%s,debug-threads=on", s->name);
	add(a, "-nodefaults");
	add(a, "-no-user-config");
	add(a, "-no-reboot");
	option(a, "-display", "none");
	option(a, "-sandbox",
	       "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	if (p->data >= 0)
		option(a, "-L", "/proc/self/fd/%d", p->data);
	if (s->os.machine == MACHINE_MICROVM)
		option(a, "-machine", "microvm,rtc=on,memory-backend=ram");
	else
		option(a, "-machine", "q35,usb=off,vmport=off,memory-backend=ram");
	option(a, "-object", "memory-backend-memfd,id=ram,size=%" PRIu64 "M,share=on", mib);
	option(a, "-m", "%" PRIu64 "M", mib);
	option(a, "-smp",
	       "cpus=%" PRIu32 ",maxcpus=%" PRIu32 ",sockets=1,cores=%" PRIu32 ",threads=1", cpus,
	       cpus, cpus);
	if (p->kvm) {
		option(a, "-add-fd", "fd=%d,set=1", p->kvm_fd);
		option(a, "-accel", "kvm,device=/dev/fdset/1");
	} else {
		option(a, "-accel", "tcg,thread=multi");
	}
	option(a, "-cpu", "%s", p->kvm ? "host" : "max");
}

/* A device of the machine's bus: PCI, or memory-mapped on a microvm. */
static const char *bus(const struct qemu_plan *p)
{
	return p->spec->os.machine == MACHINE_MICROVM ? "device" : "pci";
}

static void add_channels(const struct qemu_plan *p, struct qemu_args *a)
{
	option(a, "-chardev", "socket,id=console,fd=%d", p->console);
	option(a, "-serial", "chardev:console");
	option(a, "-chardev", "socket,id=qmp,fd=%d", p->qmp);
	option(a, "-mon", "chardev=qmp,mode=control");
	option(a, "-device", "virtio-serial-%s,max_ports=8", bus(p));
	for (enum channel_port i = 0; i < CHANNEL_NR; i++) {
		const char *name = channel_port_name(i);

		option(a, "-chardev", "socket,id=%s,fd=%d", name, p->port[i]);
		option(a, "-device", "virtserialport,id=port%d,chardev=%s,name=%s", (int)i, name,
		       name);
	}
	option(a, "-device", "virtio-balloon-%s,id=balloon,free-page-reporting=on", bus(p));
}

/* Tells of a panic at once, also where the kernel would stay there (panic=0). */
static void add_panic(const struct qemu_plan *p, struct qemu_args *a)
{
	if (p->spec->os.machine != MACHINE_MICROVM)
		option(a, "-device", "pvpanic-pci");
}

static void add_limits(const struct zone_io_limit *io, struct qemu_args *a)
{
	struct strbuf b = {0};

	strbuf_puts(&b, "throttle-group,id=io");
	if (io->bytes_per_s)
		strbuf_printf(&b, ",x-bps-total=%" PRIu64, io->bytes_per_s);
	if (io->bytes_per_s && io->bytes_burst)
		strbuf_printf(&b, ",x-bps-total-max=%" PRIu64 ",x-bps-total-max-length=%d",
			      io->bytes_per_s + io->bytes_burst, BURST_DEFAULT_S);
	if (io->ops_per_s)
		strbuf_printf(&b, ",x-iops-total=%" PRIu64, io->ops_per_s);
	if (io->ops_per_s && io->ops_burst)
		strbuf_printf(&b, ",x-iops-total-max=%" PRIu64 ",x-iops-total-max-length=%d",
			      io->ops_per_s + io->ops_burst, BURST_DEFAULT_S);
	if (b.failed)
		a->error = -ENOMEM;
	else
		option(a, "-object", "%s", b.data);
	strbuf_done(&b);
}

static void add_disk(const struct qemu_plan *p, struct qemu_args *a)
{
	const struct zone_io_limit *io = &p->spec->resource.io;
	bool limited = io->bytes_per_s || io->ops_per_s;

	if (p->disk < 0)
		return;
	option(a, "-add-fd", "fd=%d,set=2", p->disk);
	option(a, "-add-fd", "fd=%d,set=3", p->base);
	option(a, "-blockdev",
	       "{\"driver\":\"qcow2\",\"node-name\":\"layer\",\"discard\":\"unmap\","
	       "\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fdset/2\",\"discard\":\"unmap\"},"
	       "\"backing\":{\"driver\":\"%s\",\"read-only\":true,%s"
	       "\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fdset/3\",\"read-only\":true}}}",
	       p->base_format == DISK_QCOW2 ? "qcow2" : "raw",
	       p->base_format == DISK_QCOW2 ? "\"backing\":null," : "");
	if (limited) {
		add_limits(io, a);
		option(a, "-blockdev",
		       "{\"driver\":\"throttle\",\"node-name\":\"disk\",\"throttle-group\":\"io\","
		       "\"file\":\"layer\"}");
	}
	option(a, "-device", "virtio-blk-%s,drive=%s", bus(p), limited ? "disk" : "layer");
}

static void add_nic(const struct qemu_plan *p, struct qemu_args *a)
{
	char mac[VM_MAC_SIZE];

	vm_mac(p->spec, mac);
	option(a, "-device", "virtio-net-%s,netdev=net,mac=%s%s", bus(p), mac,
	       /* no boot from the network: QEMU need not find that firmware */
	       p->spec->os.machine == MACHINE_MICROVM ? "" : ",romfile=");
}

static void add_net(const struct qemu_plan *p, struct qemu_args *a)
{
	const struct zone_net *n = &p->spec->resource.net;
	struct strbuf b = {0};

	if (n->mode == NET_NONE)
		return;
	if (n->mode != NET_USER) {
		option(a, "-netdev", "tap,id=net,fd=%d", p->tap);
		add_nic(p, a);
		return;
	}
	/* Without restrict the guest would reach what listens on the host's loopback. */
	strbuf_puts(&b, "user,id=net,restrict=on");
	for (size_t i = 0; i < n->nr_forward; i++)
		strbuf_printf(&b, ",hostfwd=tcp:127.0.0.1:%u-:%u", n->forward[i].host,
			      n->forward[i].guest);
	if (b.failed)
		a->error = -ENOMEM;
	else
		option(a, "-netdev", "%s", b.data);
	strbuf_done(&b);
	add_nic(p, a);
}

int qemu_args_build(const struct qemu_plan *p, const char *program, struct qemu_args *ret,
		    struct error *reterr)
{
	char cmdline[QEMU_CMDLINE_MAX];
	struct qemu_args a = {0};
	int r = vm_kernel_cmdline(p->spec, p->nonce, cmdline, sizeof(cmdline), reterr);

	if (r < 0)
		return r;
	add(&a, "%s", program);
	add_machine(p, &a);
	option(&a, "-kernel", "/proc/self/fd/%d", p->kernel);
	option(&a, "-initrd", "/proc/self/fd/%d", p->initramfs);
	option(&a, "-append", "%s", cmdline);
	add_channels(p, &a);
	add_panic(p, &a);
	if (p->virtiofs >= 0) {
		option(&a, "-chardev", "socket,id=root,fd=%d", p->virtiofs);
		option(&a, "-device", "vhost-user-fs-%s,chardev=root,tag=cz-root", bus(p));
	}
	add_disk(p, &a);
	add_net(p, &a);
	r = a.error;
	if (r < 0) {
		qemu_args_done(&a);
		return error_errno(reterr, r, "QEMU's command line");
	}
	*ret = a;
	return 0;
}
