/* SPDX-License-Identifier: MIT */
/*
 * Memory charged to zones that run. Slow: it moves slowly, and counts pages by batches anyway. Of
 * best-effort and protected zones, and of those above protected ones, every tick: whose memory
 * grows while another's shrinks matters, and what is full.
 */
#include <stdio.h>

#include "kernel/text.h"
#include "probes/internal.h"

static int memory_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_MEMORY))
		return 0;
	snprintf(why, size, "the memory controller is not mounted");
	return -EOPNOTSUPP;
}

static int memory_read(void *state, struct probes *p, struct probe_zone *z)
{
	bool known = z->row.valid & METRIC_BIT(ZM_MEM_BYTES);
	uint64_t bytes;
	char buf[64];
	ssize_t n;
	int r;

	/* The root's is the host's, which is read elsewhere; v2 has none, and v1 adds up all
	 * cgroups for it, up to a millisecond with 10,000 of them. */
	if (!z->parent)
		return 0;
	if (known && z->interest == PROBE_NORMAL && !z->protected_below &&
	    !probe_turn(p, z, p->slow_every))
		return 0;
	n = kept_read(p, z, CGF_MEMORY, buf, sizeof(buf));
	r = n < 0 ? (int)n : text_u64(buf, &bytes);
	if (r == 0)
		row_set(&z->row, ZM_MEM_BYTES, bytes);
	return r;
}

const struct probe probe_memory = {
    .name = "memory",
    .summary = "memory charged to a zone",
    .needs = "memory controller",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_MEM_BYTES),
    .open = memory_open,
    .read = memory_read,
};
