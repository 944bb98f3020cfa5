/* SPDX-License-Identifier: MIT */
#include "vm/initramfs.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/cpio.h"

#define SCHEDS_MAX 64

/* In the order in which they can be loaded: what one needs stands before it. What a kernel has
 * built in, or has not at all, is left out. */
static const char *const modules[] = {
    "drivers/virtio/virtio_mmio",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/block/virtio_blk",
    "drivers/virtio/virtio_balloon",
    "fs/overlayfs/overlay",
    "drivers/char/hw_random/rng-core",
    "drivers/misc/pvpanic/pvpanic",
    "drivers/misc/pvpanic/pvpanic-pci",
    "lib/crc/crc16",
    "lib/crc16",
    "fs/mbcache",
    "fs/jbd2/jbd2",
    "fs/ext4/ext4",
};
static const char *const suffixes[] = {".ko.xz", ".ko.zst", ".ko.gz", ".ko"};

int initramfs_modules_dir(const char *kernel, char *buf, size_t size)
{
	const char *slash = strrchr(kernel, '/');
	const char *base = slash ? slash + 1 : kernel;
	const char *version = strncmp(base, "vmlinuz-", 8) == 0 ? base + 8 : base;
	int len = slash ? (int)(slash - kernel) : 0;
	char tries[3][512];

	snprintf(tries[0], sizeof(tries[0]), "%.*s/kernel", len, kernel);
	snprintf(tries[1], sizeof(tries[1]), "%.*s/modules/kernel", len, kernel);
	snprintf(tries[2], sizeof(tries[2]), "/lib/modules/%s/kernel", version);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		char drivers[1600];

		if (str_printf(drivers, sizeof(drivers), "%s/drivers", tries[i]) == 0 &&
		    access(drivers, F_OK) == 0)
			return str_printf(buf, size, "%s", tries[i]);
	}
	return -ENOENT;
}

static void add_modules(struct cpio *c, const char *kernel)
{
	char dir[512], path[1024], name[256];
	unsigned int nr = 0;

	if (initramfs_modules_dir(kernel, dir, sizeof(dir)) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(suffixes); k++) {
			_cleanup_close_ int fd = -1;

			snprintf(path, sizeof(path), "%s/%s%s", dir, modules[i], suffixes[k]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			snprintf(name, sizeof(name), "lib/cz/modules/%02u-%s%s", nr++,
				 strrchr(modules[i], '/') + 1, suffixes[k]);
			cpio_file(c, name, 0644, fd);
			break;
		}
	}
}

static int add_scheds(struct cpio *c, const char *sched_dir)
{
	_cleanup_closedir_ DIR *dir = sched_dir ? opendir(sched_dir) : NULL;
	struct dirent *entry;
	unsigned int nr = 0;

	while (dir && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		char name[300];
		struct stat st;

		/* programs only: in a build folder there is more by that name */
		if (strncmp(entry->d_name, "scx-", 4) != 0 || strchr(entry->d_name, '.'))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
			continue;
		if (nr++ == SCHEDS_MAX)
			return -E2BIG;
		snprintf(name, sizeof(name), "lib/cz/sched/%s", entry->d_name);
		cpio_file(c, name, 0755, fd);
	}
	return 0;
}

/* Of no use in a guest without libraries if it needs some: an ELF file with an interpreter does. */
static bool is_static(int fd)
{
	Elf64_Ehdr head;
	Elf64_Phdr seg;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	for (unsigned int i = 0; i < head.e_phnum && i < 64; i++) {
		off_t at = (off_t)(head.e_phoff + i * sizeof(seg));

		if (pread(fd, &seg, sizeof(seg), at) != sizeof(seg) || seg.p_type == PT_INTERP)
			return false;
	}
	return true;
}

static void add_busybox(struct cpio *c)
{
	static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_close_ int fd = open(places[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || !is_static(fd))
			continue;
		cpio_file(c, "bin/busybox", 0755, fd);
		cpio_symlink(c, "bin/sh", "busybox");
		return;
	}
}

int initramfs_build(const char *kernel, const char *guest, const char *sched_dir, int *ret_fd,
		    struct error *reterr)
{
	static const char *const dirs[] = {"proc", "sys", "dev",  "run",
					   "tmp",  "etc", "root", "newroot"};
	_cleanup_close_ int fd = memfd_create("cz-initramfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_cleanup_close_ int init = open(guest, O_RDONLY | O_CLOEXEC);
	struct cpio c;
	int r, end;

	if (fd < 0)
		return error_errno(reterr, -errno, "make the initramfs");
	if (init < 0)
		return error_errno(reterr, -errno, "open the guest's init, %s", guest);
	cpio_begin(&c, fd);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		cpio_dir(&c, dirs[i]);
	cpio_node(&c, "dev/console", 0600, 5, 1);
	cpio_file(&c, "init", 0755, init);
	add_modules(&c, kernel);
	r = add_scheds(&c, sched_dir);
	add_busybox(&c);
	end = cpio_end(&c);
	r = r < 0 ? r : end;
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(reterr, r, "make the initramfs");
	*ret_fd = TAKE_FD(fd);
	return 0;
}
