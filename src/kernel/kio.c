/* SPDX-License-Identifier: MIT */
#include "kernel/kio.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"

int (*kio_fault)(enum kio_op op);

static int fault(enum kio_op op)
{
	return kio_fault ? kio_fault(op) : 0;
}

int kio_openat(int dirfd, const char *path, int flags)
{
	int r = fault(KIO_OPEN);

	if (r < 0)
		return r;
	r = openat(dirfd, path, flags | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

int kio_fstatat(int dirfd, const char *path, struct stat *ret)
{
	int r = fault(KIO_STAT);

	if (r < 0)
		return r;
	return fstatat(dirfd, path, ret, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

ssize_t kio_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
	ssize_t n = fault(KIO_STAT);

	if (n < 0)
		return n;
	n = readlinkat(dirfd, path, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	buf[n] = 0;
	return n;
}

ssize_t kio_pread_some(int fd, char *buf, size_t size, off_t offset)
{
	ssize_t n = fault(KIO_READ);

	if (n < 0)
		return n;
	do {
		n = pread(fd, buf, size - 1, offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

ssize_t kio_read(int fd, char *buf, size_t size)
{
	ssize_t n = fault(KIO_READ);

	if (n < 0)
		return n;
	do {
		n = read(fd, buf, size);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t kio_pread_text(int fd, char *buf, size_t size)
{
	ssize_t n = kio_pread_some(fd, buf, size, 0);

	/* One read returns the whole of a kernel text file if the buffer is larger than it. */
	return n == (ssize_t)size - 1 ? -E2BIG : n;
}

ssize_t kio_read_text_at(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = kio_openat(dirfd, path, O_RDONLY);

	return fd < 0 ? fd : kio_pread_text(fd, buf, size);
}

ssize_t kio_read_some_at(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = kio_openat(dirfd, path, O_RDONLY);

	return fd < 0 ? fd : kio_pread_some(fd, buf, size, 0);
}

DIR *kio_opendir_at(int dirfd, const char *path, int *ret_err)
{
	int fd = kio_openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *d;

	if (fd < 0) {
		*ret_err = fd;
		return NULL;
	}
	d = fdopendir(fd);
	if (!d) {
		*ret_err = -errno;
		close(fd);
	}
	return d;
}

int kio_watch(int inotify_fd, int dirfd, uint32_t mask)
{
	char path[32];
	int r = fault(KIO_WATCH);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	r = inotify_add_watch(inotify_fd, path, mask);
	return r < 0 ? -errno : r;
}
