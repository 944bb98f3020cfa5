/* SPDX-License-Identifier: MIT */
/* How many tasks: of protected and best-effort zones only. */
#include <stdio.h>

#include "kernel/text.h"
#include "probes/internal.h"

static int tasks_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_TASKS))
		return 0;
	snprintf(why, size, "the pids controller is not mounted");
	return -EOPNOTSUPP;
}

static int tasks_read(void *state, struct probes *p, struct probe_zone *z)
{
	uint64_t nr;
	char buf[64];
	ssize_t n;
	int r;

	if (z->interest == PROBE_NORMAL)
		return 0;
	n = kept_read(p, z, CGF_TASKS, buf, sizeof(buf));
	r = n < 0 ? (int)n : text_u64(buf, &nr);
	if (r == 0)
		row_set(&z->row, ZM_TASKS, nr);
	return r;
}

const struct probe probe_tasks = {
    .name = "tasks",
    .summary = "tasks in protected and best-effort zones",
    .needs = "pids controller",
    .when = WHEN_SLOW,
    .metrics = METRIC_BIT(ZM_TASKS),
    .open = tasks_open,
    .read = tasks_read,
};
