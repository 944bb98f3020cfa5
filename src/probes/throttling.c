/* SPDX-License-Identifier: MIT */
/*
 * Throttling by a zone's own CPU quota. Only a zone with a finite quota has anything to say;
 * whether it has one is looked at now and then, and every tick around protected zones, where it
 * decides between "its own quota" and "a neighbour".
 */
#include <stdio.h>

#include "probes/internal.h"

static int throttling_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_CPU_STAT))
		return 0;
	snprintf(why, size, "the cpu controller is not mounted");
	return -EOPNOTSUPP;
}

static int read_quota(struct probes *p, struct probe_zone *z)
{
	char buf[64];
	ssize_t n = kept_read(p, z, CGF_QUOTA, buf, sizeof(buf));

	if (n == -ENOENT) {
		z->row.own_quota = false; /* the root, or a kernel without CFS bandwidth */
		return 0;
	}
	return n < 0 ? (int)n
		     : cgroup_quota_parse(cgroup_file_v2(p->fs, CGF_QUOTA), buf, &z->row.own_quota);
}

static int throttling_read(void *state, struct probes *p, struct probe_zone *z)
{
	bool known = z->row.valid & METRIC_BIT(ZM_CPU_PERIODS);
	bool slow = (p->tick + (uint32_t)z->id) % p->slow_every == 0;
	bool v2 = cgroup_file_v2(p->fs, CGF_CPU_STAT);
	/* on v2 the file is the one the cpu probe keeps open already */
	enum cgroup_file f = v2 && cgroup_file_v2(p->fs, CGF_USAGE) ? CGF_USAGE : CGF_CPU_STAT;
	struct cgroup_cpu_stat st;
	char buf[2048];
	ssize_t n;
	int r = 0;

	if (slow || !known || z->protected_below)
		r = read_quota(p, z);
	if (r < 0)
		return r;
	if (known && !z->row.own_quota)
		return 0;
	n = kept_read(p, z, f, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	r = cgroup_cpu_stat_parse(v2, buf, &st);
	if (r < 0)
		return r;
	row_set(&z->row, ZM_CPU_PERIODS, st.nr_periods);
	row_set(&z->row, ZM_CPU_THROTTLED, st.nr_throttled);
	row_set(&z->row, ZM_CPU_THROTTLED_NS, st.throttled_ns);
	return 0;
}

const struct probe probe_throttling = {
    .name = "throttling",
    .summary = "time a zone was stopped by its own CPU quota",
    .needs = "cpu controller",
    .when = WHEN_ACTIVE,
    .metrics =
	METRIC_BIT(ZM_CPU_PERIODS) | METRIC_BIT(ZM_CPU_THROTTLED) | METRIC_BIT(ZM_CPU_THROTTLED_NS),
    .open = throttling_open,
    .read = throttling_read,
};
