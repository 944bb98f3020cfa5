/* SPDX-License-Identifier: MIT */
/*
 * Bytes and operations of a zone at block devices, its children's included. Every tick for
 * best-effort and protected zones, for others that run in the slow round, or while tasks of a host
 * with protected zones stall on io: who does how much is to be compared then. Writes count when
 * they reach the disk, which on v1 is often in the name of the root: nobody's.
 */
#include <stdio.h>

#include "probes/internal.h"

static int io_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_IO_BYTES))
		return 0;
	snprintf(why, size, "the io controller (v1: blkio) is not mounted");
	return -EOPNOTSUPP;
}

static int read_v1(struct probes *p, struct probe_zone *z, enum cgroup_file f, uint64_t *ret_read,
		   uint64_t *ret_write)
{
	char buf[8192];
	ssize_t n = kept_read(p, z, f, buf, sizeof(buf));

	return n < 0 ? (int)n : cgroup_blkio_parse(buf, ret_read, ret_write);
}

static int read_v2(struct probes *p, struct probe_zone *z, struct cgroup_io *ret)
{
	char buf[8192];
	ssize_t n = kept_read(p, z, CGF_IO_BYTES, buf, sizeof(buf));

	return n < 0 ? (int)n : cgroup_io_stat_parse(buf, ret);
}

static bool io_due(const struct probes *p, const struct probe_zone *z)
{
	if (!(z->row.valid & METRIC_BIT(ZM_IO_READS)) || z->interest != PROBE_NORMAL)
		return true;
	return (p->nr_protected && probe_stalled(p, p->io_tick)) || probe_turn(p, z, p->slow_every);
}

static int io_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct cgroup_io io;
	int r;

	/* the root's is the host's, which is read elsewhere; v1 has none */
	if (!z->parent || !io_due(p, z))
		return 0;
	if (cgroup_file_v2(p->fs, CGF_IO_BYTES)) {
		r = read_v2(p, z, &io);
	} else {
		r = read_v1(p, z, CGF_IO_BYTES, &io.read_bytes, &io.write_bytes);
		if (r == 0)
			r = read_v1(p, z, CGF_IO_OPS, &io.reads, &io.writes);
	}
	if (r < 0)
		return r;
	z->row.io_span_ns = probe_span(p, &z->io_ns);
	row_set(&z->row, ZM_IO_READ_BYTES, io.read_bytes);
	row_set(&z->row, ZM_IO_WRITE_BYTES, io.write_bytes);
	row_set(&z->row, ZM_IO_READS, io.reads);
	row_set(&z->row, ZM_IO_WRITES, io.writes);
	return 0;
}

const struct probe probe_io = {
    .name = "io",
    .summary = "bytes and operations of a zone at block devices",
    .needs = "io controller (v1: blkio)",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_IO_READ_BYTES) | METRIC_BIT(ZM_IO_WRITE_BYTES) |
	       METRIC_BIT(ZM_IO_READS) | METRIC_BIT(ZM_IO_WRITES),
    .open = io_open,
    .read = io_read,
};
