/* SPDX-License-Identifier: MIT */
/*
 * CPU time of every zone, every tick: cpuacct.usage (v1) or the first line of cpu.stat (v2). A
 * zone's time is in its parent's: below a zone that did not run, nothing did, and nothing is read.
 */
#include <stdio.h>

#include "probes/internal.h"

static int cpu_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_USAGE))
		return 0;
	snprintf(why, size, "the cpuacct controller is not mounted");
	return -EOPNOTSUPP;
}

/* The parent was read in this very tick, and its time has not grown since we know ours. */
static bool parent_idle(const struct probes *p, const struct probe_zone *z)
{
	const struct probe_zone *up = z->parent;

	return up && up->tick == p->tick && !up->row.active &&
	       up->row.valid & METRIC_BIT(ZM_CPU_USAGE_NS) && up->usage_tick == p->tick;
}

static int cpu_read(void *state, struct probes *p, struct probe_zone *z)
{
	bool known = z->row.valid & METRIC_BIT(ZM_CPU_USAGE_NS);
	uint64_t before = z->row.value[ZM_CPU_USAGE_NS], now;
	char buf[2048];
	ssize_t n;
	int r;

	z->row.active = false;
	if (known && parent_idle(p, z)) {
		z->usage_tick = p->tick;
		return 0;
	}
	n = kept_read(p, z, CGF_USAGE, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	r = cgroup_usage_parse(cgroup_file_v2(p->fs, CGF_USAGE), buf, &now);
	if (r < 0)
		return r;
	row_set(&z->row, ZM_CPU_USAGE_NS, now);
	z->usage_tick = p->tick;
	z->unexplained_ns = probe_unexplained_ns(p, z);
	z->grown_ns = known && now > before ? now - before : 0;
	z->children_ns = 0;
	if (z->parent && z->parent->usage_tick == p->tick)
		z->parent->children_ns += z->grown_ns;
	z->row.active = known ? now != before : now != 0;
	if (z->row.active)
		z->active_tick = p->tick;
	return 0;
}

const struct probe probe_cpu = {
    .name = "cpu",
    .summary = "CPU time of every zone",
    .needs = "cgroup v2, or v1 with cpuacct",
    .when = WHEN_ALWAYS,
    .metrics = METRIC_BIT(ZM_CPU_USAGE_NS),
    .open = cpu_open,
    .read = cpu_read,
};
