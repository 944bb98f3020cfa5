/* SPDX-License-Identifier: MIT */
/*
 * The root of all kernel file access. Everything in kernel/ reads relative to root_fd, so that a
 * captured tree (`--root DIR`) stands in for a machine.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

struct kernel {
	int root_fd;   /* "/" or the captured tree */
	bool captured; /* not the live machine: ids are inode numbers of the copy, nothing is
			  written */
};
must_check int kernel_open(const char *root, struct kernel *ret, struct error *reterr);
void kernel_close(struct kernel *k);
