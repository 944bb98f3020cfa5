/* SPDX-License-Identifier: MIT */
/* What `czctl resctrl show` says. */
#pragma once
#include <jansson.h>
#include "cli/verb.h"
#include "kernel/resctrl.h"

/* A group as people write it: "/", "batch", "batch/mon", "/mon". -EINVAL. */
must_check int resctrl_group_path(const char *word, char *buf, size_t size, struct error *reterr);
/* The whole tree, or the one group. NULL: reterr is set. */
json_t *resctrl_show_json(const struct resctrl *rc, const char *only, struct error *reterr);
void resctrl_show_print(const struct cli *cli, const json_t *data);
