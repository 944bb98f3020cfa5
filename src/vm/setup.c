/* SPDX-License-Identifier: MIT */
#include "vm/setup.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/disk.h"
#include "vm/initramfs.h"
#include "vm/kvm.h"
#include "vm/libvirt-setup.h"
#include "vm/netdev.h"
#include "vm/oci.h"
#include "vm/share.h"

#define ADMIN_GROUP "cz-admin"
#define FILE_MAX    (512u << 20)

/* A folder of the zone's, made where it is missing. */
static int open_dir(const struct launch *l, const char *parent, const char *name, mode_t mode,
		    int *ret, struct error *reterr)
{
	_cleanup_close_ int above = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;

	if (above < 0)
		return error_errno(reterr, -errno, "open %s", parent);
	if (mkdirat(above, name, mode) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "make %s/%s", parent, name);
	fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, l->uid, l->gid) < 0 || fchmod(fd, mode) < 0)
		return error_errno(reterr, -errno, "open %s/%s", parent, name);
	*ret = TAKE_FD(fd);
	return 0;
}

static int copy_in_memory(int from, off_t bytes)
{
	_cleanup_close_ int fd = memfd_create("cz-file", MFD_CLOEXEC);
	off_t off = 0;

	if (fd < 0)
		return -errno;
	while (off < bytes) {
		ssize_t n = sendfile(fd, from, &off, (size_t)(bytes - off));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return TAKE_FD(fd);
}

/* QEMU opens kernel and initramfs itself, by /proc/self/fd: a file that only root may read (some
 * distributions' kernels) is given to it as a copy in memory. */
static int open_boot_file(const char *path, int *ret, struct error *reterr)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return error_set(reterr, -EINVAL, "%s is no file, or larger than 512 MiB", path);
	if (!(st.st_mode & S_IROTH)) {
		int copy = copy_in_memory(fd, st.st_size);

		if (copy < 0)
			return error_errno(reterr, copy, "copy %s", path);
		close_fd(&fd);
		fd = copy;
	}
	*ret = TAKE_FD(fd);
	return 0;
}

/* QEMU would call any other file a kernel that is too old. */
static int check_kernel(int fd, const char *path, struct error *reterr)
{
	uint8_t head[0x206];

	if (pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	    (!memcmp(head, "\177ELF", 4) || !memcmp(head + 0x202, "HdrS", 4)))
		return 0;
	return error_set(reterr, -ENOEXEC, "%s is no kernel for x86: neither bzImage nor vmlinux",
			 path);
}

static int open_programs(const struct launch *l, struct setup *s, struct error *reterr)
{
	const struct zone_os *os = &l->spec.os;
	int r;

	s->start.program = open(l->qemu, O_RDONLY | O_CLOEXEC);
	if (s->start.program < 0)
		return error_errno(reterr, -errno, "open QEMU, %s", l->qemu);
	if (l->qemu_data) {
		s->plan.data = open(l->qemu_data, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (s->plan.data < 0)
			return error_errno(reterr, -errno, "open QEMU's data, %s", l->qemu_data);
	}
	r = open_boot_file(l->kernel, &s->plan.kernel, reterr);
	if (r == 0)
		r = check_kernel(s->plan.kernel, l->kernel, reterr);
	if (r < 0)
		return r;
	if (os->initramfs)
		return open_boot_file(os->initramfs, &s->plan.initramfs, reterr);
	return initramfs_build(l->kernel, l->guest, l->sched_dir, &s->plan.initramfs, reterr);
}

static int listen_at(const char *run, const char *name, mode_t mode, gid_t gid, int *ret,
		     struct error *reterr)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t mask;
	int r = str_printf(a.sun_path, sizeof(a.sun_path), "%s/%s", run, name);

	if (r < 0)
		return error_set(reterr, r, "%s/%s is too long a name for a socket", run, name);
	if (fd < 0)
		return error_errno(reterr, -errno, "socket");
	if (unlink(a.sun_path) < 0 && errno != ENOENT)
		return error_errno(reterr, -errno, "remove the old %s", a.sun_path);
	mask = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0 && (chown(a.sun_path, 0, gid) < 0 || listen(fd, 16) < 0))
		r = -errno;
	if (r < 0)
		return error_errno(reterr, r, "listen at %s", a.sun_path);
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_sockets(const struct launch *l, struct setup *s, struct error *reterr)
{
	struct group *admins = getgrnam(ADMIN_GROUP);
	int r = listen_at(l->run, "link.sock", 0600, 0, &s->start.link_listener, reterr);

	if (r < 0)
		return r;
	/* No such group: root only. */
	return listen_at(l->run, "term.sock", admins ? 0660 : 0600, admins ? admins->gr_gid : 0,
			 &s->start.term_listener, reterr);
}

static int open_share(const struct launch *l, const char *tree, struct setup *s,
		      struct error *reterr)
{
	bool by_name = l->spec.os.backend == BACKEND_LIBVIRT;
	char path[600];

	if (str_printf(path, sizeof(path), "%s/" LIBVIRT_VIRTIOFS, l->dir) < 0)
		return error_set(reterr, -ENAMETOOLONG, "%s is too long a path", l->dir);
	return share_start(l, tree, by_name ? path : NULL, &s->plan.virtiofs, &s->start.share,
			   &s->start.share_files, reterr);
}

static int open_root(const struct launch *l, struct setup *s, struct error *reterr)
{
	const struct zone_os *os = &l->spec.os;
	_cleanup_close_ int dir = -1;
	char unpacked[600];
	int r;

	switch (os->rootfs_kind) {
	case ROOTFS_NONE:
		return 0;
	case ROOTFS_HOST:
		return open_share(l, NULL, s, reterr);
	case ROOTFS_DIR:
		return open_share(l, os->rootfs, s, reterr);
	case ROOTFS_OCI:
		r = str_printf(unpacked, sizeof(unpacked), "%s/rootfs", l->dir);
		if (r == 0)
			r = oci_unpack(os->rootfs, unpacked, reterr);
		return r < 0 ? r : open_share(l, unpacked, s, reterr);
	case ROOTFS_IMAGE:
		dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return error_errno(reterr, -errno, "open %s", l->dir);
		return disk_open(os->rootfs, dir, l->uid, l->gid, &s->plan.base,
				 &s->plan.base_format, &s->plan.disk, reterr);
	}
	return error_set(reterr, -EINVAL, "unknown kind of rootfs");
}

static int choose_accel(const struct launch *l, struct setup *s, struct error *reterr)
{
	struct kvm_question q = {l, s->start.program, s->plan.kernel, s->plan.data};

	if (l->spec.os.accel == ACCEL_TCG)
		snprintf(s->accel_why, sizeof(s->accel_why), "the spec says tcg");
	else
		s->start.kvm = kvm_works(&q, &s->plan.kvm_fd, s->accel_why, sizeof(s->accel_why));
	s->plan.kvm = s->start.kvm;
	if (l->spec.os.machine == MACHINE_MICROVM && !s->start.kvm)
		return error_set(reterr, -EOPNOTSUPP,
				 "a microvm needs KVM: emulated it has no clock that a kernel can "
				 "calibrate by, and hangs (%s)",
				 s->accel_why);
	if (l->spec.os.accel == ACCEL_KVM && !s->start.kvm)
		return error_set(reterr, -EOPNOTSUPP, "the spec wants KVM, but %s", s->accel_why);
	return 0;
}

static int check_machine(const struct launch *l, struct error *reterr)
{
	if (l->spec.os.machine == MACHINE_MICROVM &&
	    zone_spec_vcpus_max(&l->spec) > zone_spec_vcpus(&l->spec))
		return error_set(
		    reterr, -EOPNOTSUPP,
		    "a microvm can't bring up more vCPUs later: use q35, or vcpus_max = vcpus");
	return 0;
}

static int prepare_adopted(const struct launch *l, struct setup *s, struct error *reterr)
{
	int r = listen_at(l->run, "link.sock", 0600, 0, &s->start.link_listener, reterr);

	str_copy(s->accel_why, sizeof(s->accel_why), "as libvirt started it");
	return r < 0 ? r : libvirt_adopt(l, &s->plan, reterr);
}

int setup_prepare(const struct launch *l, struct setup *ret, struct error *reterr)
{
	const struct zone_net *net = &l->spec.resource.net;
	bool libvirt = l->spec.os.backend == BACKEND_LIBVIRT;
	_cleanup_close_ int private = -1;
	int r;

	*ret = (struct setup){
	    .start = {.log_dir = -1, .link_listener = -1, .term_listener = -1, .program = -1}};
	qemu_plan_init(&ret->plan, &l->spec, l->nonce);
	ret->start.plan = &ret->plan;
	ret->start.accel_why = ret->accel_why;
	if (l->spec.os.adopt)
		return prepare_adopted(l, ret, reterr);
	r = check_machine(l, reterr);
	if (r == 0)
		r = open_dir(l, l->dir, "log", 0750, &ret->start.log_dir, reterr);
	if (r == 0)
		r = open_dir(l, l->run, "private", 0700, &private, reterr);
	if (r == 0)
		r = open_programs(l, ret, reterr);
	if (r == 0)
		r = choose_accel(l, ret, reterr);
	if (r == 0)
		r = open_root(l, ret, reterr);
	if (r == 0 && !libvirt && (net->mode == NET_TAP || net->mode == NET_BRIDGE))
		r = netdev_tap(l->name, net, &ret->plan.tap, reterr);
	if (r == 0)
		r = open_sockets(l, ret, reterr);
	if (r == 0 && libvirt)
		r = libvirt_order(l, &ret->plan, reterr);
	return r;
}

void setup_done(struct setup *s)
{
	qemu_plan_done(&s->plan);
	close_fd(&s->start.log_dir);
	close_fd(&s->start.link_listener);
	close_fd(&s->start.term_listener);
	close_fd(&s->start.program);
}
