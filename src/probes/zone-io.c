/* SPDX-License-Identifier: MIT */
/*
 * Bytes and operations of a zone at block devices, its children's included. Every tick for
 * best-effort and protected zones, for others that run in the slow round, or while tasks of a host
 * with protected zones stall on io: who does how much is to be compared then. Writes count when
 * they reach the disk, which on v1 is often in the name of the root: nobody's. By disk as well,
 * where several are in use.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes/internal.h"

static int io_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	if (cgroup_file_exists(p->fs, CGF_IO_BYTES))
		return 0;
	snprintf(why, size, "the io controller (v1: blkio) is not mounted");
	return -EOPNOTSUPP;
}

static int read_v1(struct probes *p, struct probe_zone *z, bool ops, struct cgroup_io *io)
{
	char buf[8192];
	ssize_t n = kept_read(p, z, ops ? CGF_IO_OPS : CGF_IO_BYTES, buf, sizeof(buf));

	return n < 0 ? (int)n : cgroup_blkio_parse(buf, ops, io);
}

static int read_v2(struct probes *p, struct probe_zone *z, struct cgroup_io *ret)
{
	char buf[8192];
	ssize_t n = kept_read(p, z, CGF_IO_BYTES, buf, sizeof(buf));

	return n < 0 ? (int)n : cgroup_io_stat_parse(buf, ret);
}

static const struct zone_disk *disk_before(const struct zone_row *row, uint32_t dev)
{
	static const struct zone_disk none;

	for (size_t i = 0; i < row->nr_disks; i++)
		if (row->disks[i].dev == dev)
			return &row->disks[i];
	return &none;
}

/* A counter that fell is another counter. */
static uint64_t growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static int note_disks(const struct probes *p, struct zone_row *row, const struct cgroup_io *io)
{
	size_t nr = p->nr_disks > 1 ? io->nr_disks : 0;
	struct zone_disk now[CGROUP_DISKS_MAX];

	for (size_t i = 0; i < nr; i++) {
		const struct cgroup_disk *d = &io->disks[i];
		const struct zone_disk *before = disk_before(row, d->dev);

		now[i] = (struct zone_disk){.dev = d->dev, .bytes = d->bytes, .ops = d->ops};
		if (!row->disks_known)
			continue;
		now[i].grew_bytes = growth(d->bytes, before->bytes);
		now[i].grew_ops = growth(d->ops, before->ops);
	}
	if (nr > row->nr_disks) {
		struct zone_disk *more = realloc(row->disks, nr * sizeof(*more));

		if (!more)
			return -ENOMEM;
		row->disks = more;
	}
	if (nr)
		memcpy(row->disks, now, nr * sizeof(now[0]));
	row->nr_disks = nr;
	row->disks_known = p->nr_disks > 1;
	return 0;
}

static bool io_due(const struct probes *p, const struct probe_zone *z)
{
	if (!(z->row.valid & METRIC_BIT(ZM_IO_READS)) || z->interest != PROBE_NORMAL)
		return true;
	return (p->nr_protected && probe_stalled(p, p->io_tick)) || probe_turn(p, z, p->slow_every);
}

static int io_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct cgroup_io io = {0};
	int r;

	/* the root's is the host's, which is read elsewhere; v1 has none */
	if (!z->parent || !io_due(p, z))
		return 0;
	if (cgroup_file_v2(p->fs, CGF_IO_BYTES)) {
		r = read_v2(p, z, &io);
	} else {
		r = read_v1(p, z, false, &io);
		if (r == 0)
			r = read_v1(p, z, true, &io);
	}
	if (r == 0)
		r = note_disks(p, &z->row, &io);
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
