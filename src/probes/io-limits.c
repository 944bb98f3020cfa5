/* SPDX-License-Identifier: MIT */
/*
 * Limits on the io of protected zones and those above them: who stalls at one is not hurt by
 * others. Every tick, so that none is blamed before a limit has been seen.
 */
#include <stdio.h>

#include "probes/internal.h"

static const struct {
	enum zone_metric metric;
	const char *field; /* of io.max */
	enum cgroup_file v1;
} limits[] = {
    {ZM_IO_READ_LIMIT, "rbps=", CGF_IO_READ_BPS},
    {ZM_IO_WRITE_LIMIT, "wbps=", CGF_IO_WRITE_BPS},
    {ZM_IO_READS_LIMIT, "riops=", CGF_IO_READ_IOPS},
    {ZM_IO_WRITES_LIMIT, "wiops=", CGF_IO_WRITE_IOPS},
};

static int io_limits_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_IO_MAX) || cgroup_file_exists(p->fs, CGF_IO_READ_BPS))
		return 0;
	snprintf(why, size, "the io controller (v1: blkio) is not mounted");
	return -EOPNOTSUPP;
}

static int io_limits_read(void *state, struct probes *p, struct probe_zone *z)
{
	bool v2 = cgroup_file_exists(p->fs, CGF_IO_MAX);
	char buf[4096];

	if (!z->parent || !z->protected_below)
		return 0;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		/* v2 has them all in one file */
		ssize_t n =
		    v2 && i ? 0 : kept_read(p, z, v2 ? CGF_IO_MAX : limits[i].v1, buf, sizeof(buf));

		if (n < 0)
			return (int)n;
		z->row.valid &= ~METRIC_BIT(limits[i].metric);
		row_set_known(&z->row, limits[i].metric,
			      cgroup_io_limit_parse(buf, v2 ? limits[i].field : NULL));
	}
	return 0;
}

const struct probe probe_io_limits = {
    .name = "io-limits",
    .summary = "limits on the io of protected zones",
    .needs = "io controller (v1: blkio)",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_IO_READ_LIMIT) | METRIC_BIT(ZM_IO_WRITE_LIMIT) |
	       METRIC_BIT(ZM_IO_READS_LIMIT) | METRIC_BIT(ZM_IO_WRITES_LIMIT),
    .open = io_limits_open,
    .read = io_limits_read,
};
