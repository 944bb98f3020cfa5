/* SPDX-License-Identifier: MIT */
/*
 * Stalls on io, split by what others did at the disks that the victim waits for. PSI does not say
 * at which: each disk has as large a part of the stall as the victim's requests took there, by how
 * long requests took at that disk. Without figures by disk, all count as one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/parse.h"
#include "base/str.h"
#include "detect/stall.h"

#define THROTTLED_PPM 800000	    /* of a limit: it is at it */
#define IO_MIN_BYTES  (1ull << 20)  /* others together in a second */
#define IO_OP_BYTES   (64ull << 10) /* what one operation weighs */
#define WAITED_MAX    4		    /* disks; what a zone waits for at more is nobody's */

/* What a zone did in the window, also where it was not read for longer. */
static uint64_t io_done(const struct snapshot *s, const struct zone_view *z, enum zone_metric m)
{
	return part_of_span(stall_delta(z, m), z->io_span_ns, s->window_ns);
}

static uint64_t io_bytes(const struct snapshot *s, const struct zone_view *z)
{
	return io_done(s, z, ZM_IO_READ_BYTES) + io_done(s, z, ZM_IO_WRITE_BYTES);
}

static uint64_t io_ops(const struct snapshot *s, const struct zone_view *z)
{
	return io_done(s, z, ZM_IO_READS) + io_done(s, z, ZM_IO_WRITES);
}

/* Did it do nearly as much as the limit allows in that time? */
static bool near_limit(const struct snapshot *s, const struct zone_view *z, enum zone_metric limit,
		       enum zone_metric done, uint64_t time_ns)
{
	uint64_t per_sec = z->value[limit];

	return z->valid & METRIC_BIT(limit) &&
	       (unsigned __int128)io_done(s, z, done) * 1000000000 * PPM >=
		   (unsigned __int128)per_sec * time_ns * THROTTLED_PPM;
}

/* By a limit of its own, or of a group above it. */
static bool io_is_near_limit(const struct snapshot *s, uint32_t zone, uint64_t time_ns)
{
	for (; zone < s->nr_zones; zone = s->zones[zone].parent) {
		const struct zone_view *z = &s->zones[zone];

		if (near_limit(s, z, ZM_IO_READ_LIMIT, ZM_IO_READ_BYTES, time_ns) ||
		    near_limit(s, z, ZM_IO_WRITE_LIMIT, ZM_IO_WRITE_BYTES, time_ns) ||
		    near_limit(s, z, ZM_IO_READS_LIMIT, ZM_IO_READS, time_ns) ||
		    near_limit(s, z, ZM_IO_WRITES_LIMIT, ZM_IO_WRITES, time_ns))
			return true;
	}
	return false;
}

struct waited {
	uint32_t dev; /* 0: all disks, as one */
	const char *name;
	uint64_t weight;
};

static const struct disk_view *disk_at(const struct snapshot *s, uint32_t dev)
{
	for (size_t i = 0; i < s->nr_disks; i++)
		if (s->disks[i].dev == dev)
			return &s->disks[i];
	return NULL;
}

/* How long the zone's requests took there, in all: as long as any did. A disk that ended none in
 * the whole window is what is waited for. */
static uint64_t waited_ns(const struct snapshot *s, const struct disk_view *d, uint64_t ops)
{
	uint64_t each_ns = d->requests ? d->wait_ns / d->requests : s->window_ns;

	return ops * (each_ns ? each_ns : 1);
}

static size_t waited_add(struct waited *list, size_t nr, struct waited w)
{
	size_t i = nr < WAITED_MAX ? nr++ : WAITED_MAX;

	if (i == WAITED_MAX && list[--i].weight >= w.weight)
		return nr;
	for (; i && list[i - 1].weight < w.weight; i--)
		list[i] = list[i - 1];
	list[i] = w;
	return nr;
}

/* Most first. While it waits for all of its requests it may not begin any: then at the same disk as
 * before. */
static size_t waited_for(const struct snapshot *s, uint32_t victim, uint32_t last,
			 struct waited *ret)
{
	const struct disk_view *d;
	size_t nr = 0;

	for (size_t i = 0; i < s->nr_disk_uses; i++) {
		const struct disk_use *u = &s->disk_uses[i];

		if (u->zone == victim && u->ops && (d = disk_at(s, u->dev)))
			nr = waited_add(ret, nr,
					(struct waited){u->dev, d->name, waited_ns(s, d, u->ops)});
	}
	if (!nr && last && (d = disk_at(s, last)))
		ret[nr++] = (struct waited){last, d->name, 1};
	if (!nr)
		ret[nr++] = (struct waited){.weight = 1};
	return nr;
}

static uint64_t use_part(const struct snapshot *s, const struct disk_use *u, uint64_t amount)
{
	return part_of_span(amount, s->zones[u->zone].io_span_ns, s->window_ns);
}

static void claims_at(struct stalls *st, const struct snapshot *s, uint32_t dev)
{
	if (dev)
		memset(st->totals, 0, s->nr_zones * sizeof(*st->totals));
	for (size_t i = 0; dev && i < s->nr_disk_uses; i++) {
		const struct disk_use *u = &s->disk_uses[i];

		if (u->dev == dev && u->zone < s->nr_zones)
			st->totals[u->zone] =
			    use_part(s, u, u->bytes) + use_part(s, u, u->ops) * IO_OP_BYTES;
	}
	for (uint32_t i = 0; !dev && i < s->nr_zones; i++)
		st->totals[i] = io_bytes(s, &s->zones[i]) + io_ops(s, &s->zones[i]) * IO_OP_BYTES;
}

static int part_by_ns(const void *a, const void *b)
{
	const struct window_part *x = a, *y = b;

	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

static void blame_add(struct blame *all, const struct blame *b)
{
	for (size_t i = 0; i < b->nr_parts; i++) {
		size_t at = 0;

		while (at < all->nr_parts && all->parts[at].zone_id != b->parts[i].zone_id)
			at++;
		if (at == PARTS_KEPT)
			continue;
		if (at == all->nr_parts) {
			all->parts[all->nr_parts++] = b->parts[i];
			all->parts[at].ns = 0;
		}
		all->parts[at].ns += b->parts[i].ns;
		all->cause_ns[CAUSE_NEIGHBOUR] += b->parts[i].ns;
	}
	all->cause_ns[CAUSE_SELF] += b->cause_ns[CAUSE_SELF];
	all->cause_ns[CAUSE_UNKNOWN] =
	    all->wait_ns - all->cause_ns[CAUSE_NEIGHBOUR] - all->cause_ns[CAUSE_SELF];
	qsort(all->parts, all->nr_parts, sizeof(all->parts[0]), part_by_ns);
}

static void tell_io(const struct snapshot *s, const struct waited *at, uint32_t zone,
		    struct stall *io)
{
	uint64_t bytes = io_bytes(s, &s->zones[zone]), ops = io_ops(s, &s->zones[zone]);
	uint64_t ms = s->window_ns / 1000000;
	char a[32];

	for (size_t i = 0; at->dev && i < s->nr_disk_uses; i++) {
		const struct disk_use *u = &s->disk_uses[i];

		if (u->dev == at->dev && u->zone == zone) {
			bytes = use_part(s, u, u->bytes);
			ops = use_part(s, u, u->ops);
		}
	}
	snprintf(io->told, sizeof(io->told), "%.64s did %s in %llu operations a second%s%s",
		 s->zones[zone].name, format_bytes(ms ? bytes * 1000 / ms : 0, a, sizeof(a)),
		 (unsigned long long)(ms ? ops * 1000 / ms : 0), at->dev ? " at " : "",
		 at->dev ? at->name : "");
}

/* One disk's part of the stall. */
static void split_disk(struct stalls *st, const struct snapshot *s, uint32_t victim, uint32_t dev,
		       struct blame *b)
{
	struct split sp;

	claims_at(st, s, dev);
	split_claims(st, s, victim, 0, &sp);
	if (sp.others < IO_MIN_BYTES * (s->window_ns / 1000000) / 1000)
		sp.others = sp.nr = 0;
	if (sp.self + sp.others)
		split_stall(&sp, b);
}

static void split_disks(struct stalls *st, const struct snapshot *s, uint32_t victim,
			struct window *win)
{
	struct waited waited[WAITED_MAX];
	struct stall *io = &win->io;
	size_t nr = waited_for(s, victim, win->disk, waited);
	uint64_t whole = 0, most = 0;

	win->disk = waited[0].dev;
	for (size_t i = 0; i < nr; i++)
		whole += waited[i].weight;
	for (size_t i = 0; i < nr; i++) {
		struct blame b = {.wait_ns =
				      stall_portion(io->blame.wait_ns, waited[i].weight, whole)};

		split_disk(st, s, victim, waited[i].dev, &b);
		blame_add(&io->blame, &b);
		if (b.cause_ns[CAUSE_NEIGHBOUR] <= most)
			continue;
		most = b.cause_ns[CAUSE_NEIGHBOUR];
		tell_io(s, &waited[i], stall_index_of(s, b.parts[0].zone_id), io);
	}
	if (io->blame.cause_ns[CAUSE_UNKNOWN] == io->blame.wait_ns)
		str_copy(io->told, sizeof(io->told), "no zone was seen at a disk");
}

void io_measure(struct stalls *st, const struct snapshot *s, uint32_t victim, uint64_t stall_ns,
		struct window *win)
{
	struct stall *io = &win->io;

	if (!stall_begin(io, stall_ns, s->window_ns))
		return;
	if (io_is_near_limit(s, victim, s->window_ns)) {
		stall_all_to(&io->blame, CAUSE_THROTTLED);
		str_copy(io->told, sizeof(io->told), "its own io limit is used up");
		return;
	}
	/* What it did takes as long as it stalled under that limit: perhaps a burst, held by it. */
	if (io_is_near_limit(s, victim, stall_ns)) {
		stall_all_to(&io->blame, CAUSE_UNKNOWN);
		str_copy(io->told, sizeof(io->told), "its own io limit alone may be why");
		return;
	}
	split_disks(st, s, victim, win);
}
