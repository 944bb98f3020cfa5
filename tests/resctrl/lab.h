/* SPDX-License-Identifier: MIT */
/* A mounted fake-resctrl of one's own, in a mount namespace of one's own. */
#pragma once
#include <sys/types.h>
#include "base/error.h"
#include "kernel/resctrl.h"

struct lab {
	pid_t pid;
	char root[64]; /* has sys/fs/resctrl, where it is mounted, and the model's file */
	struct kernel kernel;
	struct resctrl rc;
};
/* Once, before all else. Exits with 77 and the reason where there is no FUSE. */
void lab_init(void);
void lab_open(struct lab *lab, const char *model);
/* Writes the model anew; it counts from the next reading on. */
void lab_model(struct lab *lab, const char *model);
void lab_close(struct lab *lab);
/* One write() of the text below the mount point: 0 or -errno. */
int lab_write(const struct lab *lab, const char *path, const char *text);
/* The whole text; the caller's static buffer is used again by the next call. */
const char *lab_read(const struct lab *lab, const char *path);
