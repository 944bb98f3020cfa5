/* SPDX-License-Identifier: MIT */
/* What the files of resctrl share. */
#pragma once
#include "kernel/resctrl.h"

/* "PATH/FILE", or FILE in the default group. -ENAMETOOLONG. */
must_check int resctrl_file(char *buf, size_t size, const char *path, const char *file);
must_check int resctrl_write(const struct resctrl *rc, const char *path, const char *name,
			     const char *text, struct error *reterr);
/* "DOING PATH: the kernel says ...". Returns err. */
int resctrl_fail(const struct resctrl *rc, int err, struct error *reterr, const char *doing,
		 const char *path);
const char *resctrl_shown(const char *path);
