/* SPDX-License-Identifier: MIT */
/*
 * The few system calls by which kernel files are read, in one place so that a test can make the
 * Nth of them fail. All fds are O_CLOEXEC. Everything returns >= 0 or -Exxx.
 */
#pragma once
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/error.h"

enum kio_op { KIO_OPEN, KIO_READ, KIO_STAT, KIO_WATCH };
/* Tests only: asked before each call; a negative answer is the call's result. NULL otherwise. */
extern int (*kio_fault)(enum kio_op op);

must_check int kio_openat(int dirfd, const char *path, int flags);
must_check int kio_fstatat(int dirfd, const char *path, struct stat *ret); /* "" = dirfd itself */
/* What a symbolic link says, NUL-terminated. -ENAMETOOLONG: it does not fit. */
must_check ssize_t kio_readlinkat(int dirfd, const char *path, char *buf, size_t size);
/* Up to size - 1 bytes from `offset`, NUL-terminated; may be only the file's beginning. */
must_check ssize_t kio_pread_some(int fd, char *buf, size_t size, off_t offset);
/* The next up to size bytes at the fd's own position; 0: the end. Not terminated. */
must_check ssize_t kio_read(int fd, char *buf, size_t size);
/* The whole text in one read. -E2BIG: it does not fit. */
must_check ssize_t kio_pread_text(int fd, char *buf, size_t size);
/* Open, read, close. _some: the beginning only, whatever fits. */
must_check ssize_t kio_read_text_at(int dirfd, const char *path, char *buf, size_t size);
must_check ssize_t kio_read_some_at(int dirfd, const char *path, char *buf, size_t size);
/* A stream over the directory dirfd/path; symbolic links refused. NULL, and *ret_err is set. */
DIR *kio_opendir_at(int dirfd, const char *path, int *ret_err);
/* An inotify watch on the directory behind an fd, so that what is watched is what was looked at.
 * Returns the watch. -ENOSPC: max_user_watches. */
must_check int kio_watch(int inotify_fd, int dirfd, uint32_t mask);
