/* SPDX-License-Identifier: MIT */
/*
 * Writes an initramfs: a cpio archive in the "newc" format, to an fd. Folders of a path are made
 * as needed. The first error sticks: the calls after it do nothing, and cpio_end() tells it.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define CPIO_BYTES_MAX (256u << 20)
#define CPIO_DIRS_MAX  64

struct cpio {
	int fd;	      /* borrowed */
	int error;    /* 0 or -Exxx */
	uint32_t ino; /* the last given out */
	uint64_t bytes;
	char *dirs[CPIO_DIRS_MAX]; /* made so far */
	size_t nr_dirs;
};
void cpio_begin(struct cpio *c, int fd);
/* Paths are absolute or relative to the root; "." and ".." in them are refused. */
void cpio_dir(struct cpio *c, const char *path);
void cpio_text(struct cpio *c, const char *path, mode_t mode, const char *text);
void cpio_symlink(struct cpio *c, const char *path, const char *target);
/* The file that is open as fd, from its beginning; regular files only. */
void cpio_file(struct cpio *c, const char *path, mode_t mode, int fd);
/* A character device node. */
void cpio_node(struct cpio *c, const char *path, mode_t mode, unsigned int major,
	       unsigned int minor);
/* Ends the archive and frees what *c holds. 0 or the first error. */
must_check int cpio_end(struct cpio *c);
