/* SPDX-License-Identifier: MIT */
/* Small file access relative to a directory fd. All fds are O_CLOEXEC. */
#pragma once
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/error.h"

/* Whole small file into buf, NUL-terminated. Returns its length, -Exxx, or -E2BIG if it does not
 * fit. */
must_check ssize_t read_file_at(int dirfd, const char *path, char *buf, size_t size);
/* The same from offset 0 of an open fd (pread; sysfs and cgroup files re-read in full). */
must_check ssize_t pread_text(int fd, char *buf, size_t size);
/* One write() of the whole text; a short write is -EIO. Does not create. */
must_check int write_file_at(int dirfd, const char *path, const char *text);
/* One's own or root's, and writable to nobody else: what is in it may be believed. */
bool stat_is_trusted(const struct stat *st);
/* Replace a regular file atomically (temporary + rename), mode as given. */
must_check int write_file_atomic(int dirfd, const char *path, const void *data, size_t size,
				 mode_t mode);
/* read_file_at + parse_u64 of the first line; "max" gives UINT64_MAX. */
must_check int read_u64_at(int dirfd, const char *path, uint64_t *ret);
