/* SPDX-License-Identifier: MIT */
/* The initramfs of a zone (docs/zone-protocol.md): cz-guest, modules, policies, busybox. */
#pragma once
#include <stddef.h>
#include "base/error.h"

/*
 * Into a memory file that ends with its users; *ret_fd is open for reading and sealed. kernel: path
 * of the kernel, next to which (or in /lib/modules) its modules are; guest: path of cz-guest;
 * sched_dir: of the scx-* programs, or NULL.
 */
must_check int initramfs_build(const char *kernel, const char *guest, const char *sched_dir,
			       int *ret_fd, struct error *reterr);
/* The folder that has drivers/ and the rest for this kernel; -ENOENT: none, all may be built in. */
must_check int initramfs_modules_dir(const char *kernel, char *buf, size_t size);
