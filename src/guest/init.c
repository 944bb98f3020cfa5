/* SPDX-License-Identifier: MIT */
/* What process 1 does before and after all else: mounts, modules, the root file system, power. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/module.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "guest/guest.h"

#define MODULES	     "/lib/cz/modules"
#define DISK	     "/dev/vda"
#define DISK_WAIT_MS 5000
#define END_WAIT_MS  1000
#define FILES_MAX    65536

static const struct {
	const char *type, *where, *options;
	unsigned long flags;
} mounts[] = {
    {"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
    {"devpts", "/dev/pts", "mode=0620,ptmxmode=0666,gid=5", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV},
    {"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
    {"tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV},
    {"cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"bpf", "/sys/fs/bpf", "mode=0700", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"debugfs", "/sys/kernel/debug", "mode=0700", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"tracefs", "/sys/kernel/tracing", "mode=0700", MS_NOSUID | MS_NODEV | MS_NOEXEC},
};

void init_mounts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].where, 0755);
		/* A kernel without one of them is still a kernel; the console says which. */
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0 &&
		    errno != EBUSY)
			fprintf(stderr, "cz-guest: mount %s: %m\n", mounts[i].where);
	}
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int load_module(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = strlen(path);
	/* ".ko" itself is not compressed */
	int flags = n > 3 && strcmp(path + n - 3, ".ko") != 0 ? MODULE_INIT_COMPRESSED_FILE : 0;

	if (fd < 0)
		return -errno;
	return syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST ? -errno : 0;
}

static void load_modules(struct guest *g)
{
	struct dirent **names;
	int n = scandir(MODULES, &names, not_hidden, alphasort);

	for (int i = 0; i < n; i++) {
		char path[sizeof(MODULES) + sizeof(names[i]->d_name)];
		int r;

		snprintf(path, sizeof(path), MODULES "/%s", names[i]->d_name);
		r = load_module(path);
		if (r < 0)
			guest_notice(g, "guest", "module %s: %s", names[i]->d_name, strerror(-r));
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* Writes to what is mounted at `lower` go to memory. */
static int mount_overlay(const char *lower, const char *where)
{
	char options[256];
	int r;

	mkdir("/cz-upper", 0755);
	if (mount("tmpfs", "/cz-upper", "tmpfs", 0, "mode=0755") < 0)
		return -errno;
	mkdir("/cz-upper/data", 0755);
	mkdir("/cz-upper/work", 0755);
	r = str_printf(options, sizeof(options),
		       "lowerdir=%s,upperdir=/cz-upper/data,workdir=/cz-upper/work", lower);
	if (r < 0)
		return r;
	return mount("overlay", where, "overlay", 0, options) < 0 ? -errno : 0;
}

static int mount_virtiofs(const char *where)
{
	mkdir("/cz-lower", 0755);
	if (mount("cz-root", "/cz-lower", "virtiofs", MS_RDONLY, NULL) < 0)
		return -errno;
	return mount_overlay("/cz-lower", where);
}

/* The first file system that takes it; one that the kernel has not is no worse than a wrong one. */
static int mount_any(const char *device, const char *where, unsigned long flags)
{
	static const char *const types[] = {"ext4", "xfs", "btrfs", "erofs", "squashfs"};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (mount(device, where, types[i], flags, NULL) == 0)
			return 0;
		if (errno != EINVAL && errno != ENODEV)
			r = -errno;
	}
	return r;
}

static bool wait_for(const char *path)
{
	for (int ms = 0; access(path, F_OK) < 0; ms += 20) {
		if (ms >= DISK_WAIT_MS)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return true;
}

static int mount_image(const char *where)
{
	const char *device = DISK;
	int r;

	if (!wait_for(DISK))
		return -ENODEV;
	if (access(DISK "1", F_OK) == 0)
		device = DISK "1"; /* it has partitions */
	r = mount_any(device, where, 0);
	if (r == 0)
		return 0;
	/* one that is read only by its nature (squashfs) */
	mkdir("/cz-lower", 0755);
	if (mount_any(device, "/cz-lower", MS_RDONLY) < 0)
		return r;
	return mount_overlay("/cz-lower", where);
}

static int enter(const char *root)
{
	static const char *const moved[] = {"proc", "sys", "dev", "run", "tmp"};
	char from[16], to[64];

	for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
		snprintf(from, sizeof(from), "/%s", moved[i]);
		snprintf(to, sizeof(to), "%s/%s", root, moved[i]);
		mkdir(to, 0755);
		if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
			return -errno;
	}
	if (chdir(root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return -errno;
	return 0;
}

static const char *why_no_root(enum boot_root root, int r)
{
	if (root == BOOT_ROOT_IMAGE && r == -ENODEV)
		return "the image has not come as " DISK;
	if (root == BOOT_ROOT_IMAGE && r == -EINVAL)
		return "the image holds no file system that this kernel can mount (ext4, xfs, "
		       "btrfs, erofs, squashfs), or a damaged one";
	return strerror(-r);
}

static void switch_root(struct guest *g)
{
	int r;

	if (g->boot.root == BOOT_ROOT_NONE)
		return;
	mkdir("/sysroot", 0755);
	r = g->boot.root == BOOT_ROOT_VIRTIOFS ? mount_virtiofs("/sysroot")
					       : mount_image("/sysroot");
	if (r == 0)
		r = enter("/sysroot");
	if (r == 0)
		return;
	snprintf(g->failed, sizeof(g->failed), "the root file system cannot be had: %s",
		 why_no_root(g->boot.root, r));
	fprintf(stderr, "cz-guest: %s\n", g->failed);
}

void init_machine(struct guest *g)
{
	struct rlimit files = {FILES_MAX, FILES_MAX};

	g->initramfs_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del is a signal to us */
	setrlimit(RLIMIT_NOFILE, &files);
	sethostname(g->boot.name, strlen(g->boot.name));
	load_modules(g);
	switch_root(g);
}

_Noreturn void init_power_off(struct guest *g)
{
	kill(-1, SIGKILL);
	/* Their files stay busy until they are gone. */
	for (int ms = 0; ms < END_WAIT_MS && waitpid(-1, NULL, WNOHANG) >= 0; ms += 10)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	sync();
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	for (;;) {
		reboot(RB_POWER_OFF);
		/* a machine without such a switch: its monitor ends it at a reset */
		reboot(RB_AUTOBOOT);
		pause();
	}
}
