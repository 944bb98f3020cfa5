/* SPDX-License-Identifier: MIT */
/* The snapshot: zones, readings and ledger windows laid out for everybody else to look at. */
#include "daemon/daemon.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

static int reserve_views(struct daemon *d, int which, size_t n)
{
	struct zone_view *grown;
	size_t cap = n + n / 4 + 64;

	if (d->views_cap[which] >= n)
		return 0;
	grown = realloc(d->views[which], cap * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->views[which] = grown;
	d->views_cap[which] = cap;
	return 0;
}

static void view_values(const struct zone *z, struct zone_view *v, const struct zone_view *before)
{
	const struct zone_row *row = z->row;

	if (!row)
		return;
	((struct zone *)z)->version = row->version; /* ours, as index is */
	v->valid = row->valid;
	v->has_quota |= row->own_quota;
	v->io_span_ns = row->io_span_ns;
	memcpy(v->interface, row->interface, sizeof(v->interface));
	v->memory_span_ns = row->memory_span_ns;
	memcpy(v->value, row->value, sizeof(v->value));
	if (!before)
		return;
	for (metric_set both = row->valid & before->valid; both; both &= both - 1) {
		int m = metric_lowest(both);

		if (zone_metrics[m].kind != METRIC_COUNTER || v->value[m] < before->value[m])
			continue; /* a counter that fell is another counter */
		v->delta[m] = v->value[m] - before->value[m];
		v->delta_valid |= METRIC_BIT(m);
	}
}

static void view_moved(struct zone_view *v, const struct zone_view *before)
{
	static const struct zone_view nothing;

	if (!before)
		before = &nothing;
	v->quota_moved = v->has_quota != before->has_quota;
	v->interface_moved = strcmp(v->interface, before->interface) != 0;
	v->moved = v->valid ^ before->valid;
	if (!v->moved && !memcmp(v->value, before->value, sizeof(v->value)))
		return;
	for (metric_set both = v->valid & before->valid; both; both &= both - 1) {
		int m = metric_lowest(both);

		if (v->value[m] != before->value[m])
			v->moved |= METRIC_BIT(m);
	}
}

static int add_use(struct daemon *d, const struct disk_use *u)
{
	if (d->snap.nr_disk_uses == d->cap_disk_uses) {
		size_t cap = d->cap_disk_uses ? 2 * d->cap_disk_uses : 64;
		struct disk_use *more = realloc(d->disk_uses, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		d->disk_uses = more;
		d->cap_disk_uses = cap;
	}
	d->disk_uses[d->snap.nr_disk_uses++] = *u;
	return 0;
}

/* Of zones whose io was read in this tick. Without memory, some are not told. */
static void add_uses(struct daemon *d, const struct zone *z, const struct zone_view *v,
		     uint32_t index)
{
	const metric_set io = METRIC_BIT(ZM_IO_READ_BYTES) | METRIC_BIT(ZM_IO_WRITE_BYTES) |
			      METRIC_BIT(ZM_IO_READS) | METRIC_BIT(ZM_IO_WRITES);
	const struct zone_row *row = v->moved & io ? z->row : NULL;

	for (size_t i = 0; row && i < row->nr_disks; i++) {
		const struct zone_disk *at = &row->disks[i];

		if (at->grew_bytes | at->grew_ops)
			(void)add_use(d, &(struct disk_use){v->id, index, at->dev, at->grew_bytes,
							    at->grew_ops});
	}
}

static void view_fill(struct daemon *d, const struct zone *z, struct zone_view *v,
		      const struct zone_view *views, const struct zone_view *before, bool fresh)
{
	*v = (struct zone_view){
	    .id = z->id,
	    .parent = z->parent ? z->parent->index : NO_ZONE,
	    .depth = z->depth,
	    .name = z->name,
	    .path = z->path,
	    .kind = z->kind,
	    .class = z->class,
	    .class_is_own = z->class_is_own,
	    .control = z->control,
	    .off_limits = z->off_limits_why != NULL,
	    .off_limits_why = z->off_limits_why,
	    .slo = z->slo,
	    .first_seen_ns = z->first_seen_ns,
	    .told_seq = z->told_seq,
	    .has_quota = z->parent && views[z->parent->index].has_quota,
	};
	if (fresh) {
		view_values(z, v, before);
		view_moved(v, before);
		add_uses(d, z, v, (uint32_t)(v - views));
	} else if (before) {
		v->moved = before->moved;
		v->valid = before->valid;
		v->delta_valid = before->delta_valid;
		v->has_quota |= before->has_quota;
		v->io_span_ns = before->io_span_ns;
		memcpy(v->interface, before->interface, sizeof(v->interface));
		v->memory_span_ns = before->memory_span_ns;
		memcpy(v->value, before->value, sizeof(v->value));
		memcpy(v->delta, before->delta, sizeof(v->delta));
	}
}

/* Nothing has moved for two ticks: values are the same, and growth is 0 already. */
static bool is_still(const struct zone *z, const struct zone_view *v)
{
	const struct zone_row *row = z->row;

	return row && !v->moved && v->valid == row->valid && z->version == row->version;
}

/* Fresh readings where the zones are the same: in place, so that there is one set of views. Most
 * zones are idle, and thousands of views are megabytes: those are let alone. */
static void refresh(struct daemon *d)
{
	struct zone_view *views = d->views[d->front], before;

	free(d->views[!d->front]);
	d->views[!d->front] = NULL;
	d->views_cap[!d->front] = 0;
	zones_for_each(d->zones, z)
	{
		struct zone_view *v = &views[z->index];
		const struct zone_row *row = z->row;

		if (is_still(z, v)) {
			v->has_quota =
			    row->own_quota || (z->parent && views[z->parent->index].has_quota);
			v->io_span_ns = row->io_span_ns;
			v->memory_span_ns = row->memory_span_ns;
			continue;
		}
		before = *v;
		view_fill(d, z, v, views, &before, true);
	}
	d->snap.seq++;
}

/* Lay out the views anew: with fresh readings (a tick) or with the latest known (the tree changed).
 */
static int lay_out(struct daemon *d, bool fresh)
{
	int back = !d->front;
	const struct zone_view *old = d->views[d->front];
	struct zone_view *views;
	uint32_t i = 0;

	if (reserve_views(d, back, zones_count(d->zones)) < 0)
		return -ENOMEM;
	views = d->views[back];
	zones_for_each(d->zones, cz)
	{
		struct zone *z = (struct zone *)cz; /* index is ours */
		bool known = z->index < d->snap.nr_zones && old && old[z->index].id == z->id;
		const struct zone_view *before = known ? &old[z->index] : NULL;

		z->index = i;
		view_fill(d, z, &views[i++], views, before, fresh);
	}
	d->front = back;
	d->snap.zones = views;
	d->snap.nr_zones = i;
	d->snap.seq++; /* a new layout: whoever indexed the old one looks again */
	d->tree_seq++;
	d->tree_dirty = false;
	return 0;
}

uint32_t publish_index_of(const struct daemon *d, uint64_t id)
{
	const struct zone *z = zones_by_id(d->zones, id);

	return z ? z->index : NO_ZONE;
}

/* Point the ledger views, and what zones did at disks, at the zones of this layout. */
static void link_zones(struct daemon *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->snap.nr_disk_uses; i++)
		d->disk_uses[i].zone = publish_index_of(d, d->disk_uses[i].zone_id);
	d->snap.disk_uses = d->disk_uses;
	for (size_t i = 0; i < d->victims.nr; i++) {
		struct victim *vi = d->victims.items[i];

		vi->view.zone = publish_index_of(d, vi->zone_id);
		for (size_t p = 0; p < vi->view.nr_parts; p++) {
			if (vi->parts[p].culprit_id)
				vi->parts[p].zone = publish_index_of(d, vi->parts[p].culprit_id);
		}
		if (vi->view.zone != NO_ZONE)
			d->ledgers[n++] = vi->view;
	}
	d->snap.ledgers = d->ledgers;
	d->snap.nr_ledgers = n;
}

int publish_fresh(struct daemon *d)
{
	if (!d->tree_dirty)
		return 0;
	if (lay_out(d, false) < 0)
		return -ENOMEM;
	link_zones(d);
	return 0;
}

static void publish_host(struct daemon *d)
{
	const struct host_row *h = probes_host(d->probes);

	d->snap.host_valid = h->valid;
	memcpy(d->snap.host_value, h->value, sizeof(h->value));
	memset(d->snap.host_delta, 0, sizeof(d->snap.host_delta));
	for (int m = 0; m < HM_NR; m++) {
		bool both = h->valid & d->host_before.valid & METRIC_BIT(m);

		if (both && host_metrics[m].kind == METRIC_COUNTER &&
		    h->value[m] >= d->host_before.value[m])
			d->snap.host_delta[m] = h->value[m] - d->host_before.value[m];
	}
	d->host_before = *h;
}

static void publish_disks(struct daemon *d)
{
	const struct disk_view *disks;

	d->snap.nr_disk_uses = 0;
	d->snap.nr_disks = probes_disks(d->probes, &disks);
	memcpy(d->disks, disks, d->snap.nr_disks * sizeof(*disks));
	d->snap.disks = d->disks;
}

int publish_all(struct daemon *d)
{
	uint64_t now_ns = clock_mono_ns();

	d->snap.window_ns = d->snap.now_ns ? now_ns - d->snap.now_ns : 0;
	d->snap.now_ns = now_ns;
	publish_disks(d);
	if (!d->tree_dirty)
		refresh(d);
	else if (lay_out(d, true) < 0)
		return -ENOMEM; /* the previous snapshot may name zones that are gone by now */
	for (size_t i = 0; i < d->victims.nr; i++) {
		struct victim *vi = d->victims.items[i];
		uint32_t z = publish_index_of(d, vi->zone_id);
		const struct zone_view *v = z == NO_ZONE ? NULL : &d->snap.zones[z];
		bool known = v && (v->delta_valid & METRIC_BIT(ZM_RUN_DELAY_NS));

		victim_read(&d->victims, vi, d->ledger, d->snap.window_ns,
			    known ? v->delta[ZM_RUN_DELAY_NS] : UINT64_MAX);
	}
	link_zones(d);
	publish_host(d);
	return 0;
}
