/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

/*
 * A kernel text shorter than this came in one piece: seq_file only splits what outgrows its page.
 * It saves the second pread, half the cost of a small file, on the hot path.
 */
#define WHOLE_BELOW 1024

static ssize_t pread_retry(int fd, char *buf, size_t size, off_t off)
{
	ssize_t n;

	do {
		n = pread(fd, buf, size, off);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Reads up to the end; a buffer filled to the last byte before the NUL counts as too small. */
static ssize_t pread_all(int fd, char *buf, size_t size, bool trust_short)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = pread_retry(fd, buf + len, size - len, (off_t)len);

		if (n < 0)
			return n;
		len += (size_t)n;
		if (len >= size)
			return -E2BIG;
		if (n == 0 || (trust_short && len < WHOLE_BELOW))
			break;
	}
	buf[len] = 0;
	return (ssize_t)len;
}

ssize_t pread_text(int fd, char *buf, size_t size)
{
	return size ? pread_all(fd, buf, size, true) : -E2BIG;
}

ssize_t read_file_at(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;

	if (size == 0)
		return -E2BIG;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	return pread_all(fd, buf, size, false);
}

int write_file_at(int dirfd, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int write_temporary(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return -errno;
	/* openat() applied the umask; the caller asked for this mode. */
	if (fchmod(fd, mode) < 0)
		return -errno;
	r = write_all(fd, data, size);
	if (r < 0)
		return r;
	return close(TAKE_FD(fd)) < 0 ? -errno : 0;
}

int write_file_atomic(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
	char tmp[4096];
	int r;

	r = str_printf(tmp, sizeof(tmp), "%s.%d.tmp", path, (int)getpid());
	if (r < 0)
		return r;
	/* Left over by a dead process that had our pid: nobody else writes this name. */
	if (unlinkat(dirfd, tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	r = write_temporary(dirfd, tmp, data, size, mode);
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, tmp, 0);
	return r;
}

int read_u64_at(int dirfd, const char *path, uint64_t *ret)
{
	char buf[64];
	ssize_t n;

	n = read_file_at(dirfd, path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	buf[strcspn(buf, "\n")] = 0;
	if (strcmp(buf, "max") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return parse_u64(buf, ret);
}

bool stat_is_trusted(const struct stat *st)
{
	return (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}
