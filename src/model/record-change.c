/* SPDX-License-Identifier: MIT */
/*
 * How a recorded tree and its readings change from line to line. What a reading grew by is worked
 * out as czd did: counters that a line does not name have not grown.
 */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "model/record-internal.h"

uint32_t record_zone_index(const struct record_reader *r, uint64_t id)
{
	uintptr_t known = (uintptr_t)hash_get(&r->index, id);

	return known ? (uint32_t)(known - 1) : NO_ZONE;
}

int record_reindex(struct record_reader *r)
{
	hash_done(&r->index);
	for (size_t i = 0; i < r->nr_zones; i++)
		if (hash_put(&r->index, r->zones[i].id, (void *)(uintptr_t)(i + 1)) < 0)
			return -ENOMEM;
	return 0;
}

int record_note_gone(struct record_reader *r, uint64_t id)
{
	if (r->nr_gone == r->cap_gone) {
		size_t cap = r->cap_gone ? 2 * r->cap_gone : 64;
		uint64_t *grown = realloc(r->gone, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		r->gone = grown;
		r->cap_gone = cap;
	}
	r->gone[r->nr_gone++] = id;
	return 0;
}

/* Closes the gaps. What lay below a zone that went is the root's, should it still be there. */
static int drop_gone(struct record_reader *r, struct error *reterr)
{
	_cleanup_free_ uint32_t *now = calloc(r->nr_zones + 1, sizeof(*now));
	_cleanup_free_ bool *went = calloc(r->nr_zones + 1, sizeof(*went));
	size_t kept = 0;

	if (!now || !went)
		return -ENOMEM;
	for (size_t i = 0; i < r->nr_gone; i++) {
		uint32_t zone = record_zone_index(r, r->gone[i]);

		if (zone == 0)
			return error_set(reterr, -EINVAL, "the root cannot go");
		if (zone != NO_ZONE)
			went[zone] = true;
	}
	for (size_t i = 0; i < r->nr_zones; i++) {
		struct zone_view z = r->zones[i];

		if (went[i]) {
			json_decref(r->rows[i]);
			continue;
		}
		if (z.parent != NO_ZONE)
			z.parent = went[z.parent] ? 0 : now[z.parent];
		now[i] = (uint32_t)kept;
		r->rows[kept] = r->rows[i];
		r->zones[kept++] = z;
	}
	r->nr_zones = kept;
	return record_reindex(r);
}

static int reserve_zone(struct record_reader *r)
{
	size_t cap = r->cap_zones ? 2 * r->cap_zones : 64;
	void *grown;

	if (r->nr_zones < r->cap_zones)
		return 0;
	grown = realloc(r->zones, cap * sizeof(*r->zones));
	if (!grown)
		return -ENOMEM;
	r->zones = grown;
	grown = realloc(r->rows, cap * sizeof(json_t *));
	if (!grown)
		return -ENOMEM;
	r->rows = grown;
	r->cap_zones = cap;
	return 0;
}

/* Its place in the tree and its readings stay. */
static void zone_changes(struct zone_view *z, const struct zone_view *row)
{
	struct zone_view before = *z;

	*z = *row;
	z->parent = before.parent;
	z->depth = before.depth;
	z->valid = before.valid;
	z->delta_valid = before.delta_valid;
	z->io_span_ns = before.io_span_ns;
	z->memory_span_ns = before.memory_span_ns;
	memcpy(z->interface, before.interface, sizeof(z->interface));
	memcpy(z->value, before.value, sizeof(z->value));
	memcpy(z->delta, before.delta, sizeof(z->delta));
}

static int read_row(struct record_reader *r, json_t *row, struct error *reterr)
{
	struct zone_view z;
	uint32_t at;
	int err;

	err = record_read_zone(r, row, true, r->zones, (uint32_t)r->nr_zones, &z, reterr);
	if (err)
		return err;
	at = record_zone_index(r, z.id);
	if (at != NO_ZONE) {
		zone_changes(&r->zones[at], &z);
		json_decref(r->rows[at]);
		r->rows[at] = json_incref(row);
		return 0;
	}
	if (r->nr_zones && z.parent == NO_ZONE)
		return error_set(reterr, -EINVAL, "a new zone that is under none");
	if (r->nr_zones == RECORD_ZONES_MAX)
		return error_set(reterr, -EINVAL, "more than %d zones", RECORD_ZONES_MAX);
	err = reserve_zone(r);
	if (err || (err = hash_put(&r->index, z.id, (void *)(uintptr_t)(r->nr_zones + 1))))
		return err;
	r->rows[r->nr_zones] = json_incref(row);
	r->zones[r->nr_zones++] = z;
	return 0;
}

/* Ledgers name zones by their index. Those of zones that went are not shown any more. */
static void relink_ledgers(struct record_reader *r, const uint64_t *victims)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->nr_ledgers; i++) {
		struct ledger_view *l = &r->ledgers[i];
		struct ledger_part *parts = r->parts[i];

		l->zone = record_zone_index(r, victims[i]);
		if (l->zone == NO_ZONE) {
			free(parts);
			continue;
		}
		for (size_t p = 0; p < l->nr_parts; p++)
			if (parts[p].culprit_id)
				parts[p].zone = record_zone_index(r, parts[p].culprit_id);
		r->parts[kept] = parts;
		r->ledgers[kept++] = *l;
	}
	r->nr_ledgers = kept;
}

static int change_tree(struct record_reader *r, json_t *rows, struct error *reterr)
{
	int err = r->nr_gone ? drop_gone(r, reterr) : 0;

	r->nr_gone = 0;
	for (size_t i = 0; i < json_array_size(rows) && !err; i++) {
		err = read_row(r, json_array_get(rows, i), reterr);
		if (err)
			(void)error_wrap(reterr, err, "'tree' item %zu", i);
	}
	return err;
}

int record_read_tree(struct record_reader *r, const json_t *o, struct error *reterr)
{
	json_t *rows = json_object_get(o, "tree");
	uint64_t victims[RECORD_LEDGERS_MAX];
	int err;

	if (rows && !json_is_array(rows))
		return error_set(reterr, -EINVAL, "'tree' is not a list");
	if (!rows && !r->nr_gone)
		return 0;
	for (size_t i = 0; i < r->nr_ledgers; i++)
		victims[i] = r->zones[r->ledgers[i].zone].id;
	err = change_tree(r, rows, reterr);
	relink_ledgers(r, victims);
	return err;
}

/* One item of a MOVED text: "C=N", "C=N+D", "C+D", "C!", "Q=0". */
struct moved {
	char extra; /* 'Q', 'I', 'M'; 0: a metric */
	bool unknown, set, grew;
	uint64_t column, value, by;
};

static int scan_number(const char **p, uint64_t *ret)
{
	const char *end = *p + strlen(*p);

	if (**p < '0' || **p > '9')
		return -EINVAL;
	return scan_u64(p, end, ret);
}

static int scan_item(const char **p, struct moved *m)
{
	*m = (struct moved){.extra = (char)(**p && strchr("QIM", **p) ? **p : 0)};
	if (m->extra)
		++*p;
	else if (scan_number(p, &m->column) < 0 || m->column >= RECORD_COLUMNS_MAX)
		return -EINVAL;
	if (**p == '!' && !m->extra) {
		m->unknown = true;
		++*p;
	}
	if (**p == '=' && !m->unknown) {
		m->set = true;
		++*p;
		if (scan_number(p, &m->value) < 0)
			return -EINVAL;
	}
	if (**p == '+' && !m->unknown && !m->extra) {
		m->grew = true;
		++*p;
		if (scan_number(p, &m->by) < 0)
			return -EINVAL;
	}
	if (!m->unknown && !m->set && !m->grew)
		return -EINVAL;
	if (**p == ',')
		return *++*p ? 0 : -EINVAL;
	return **p ? -EINVAL : 0;
}

static void apply_item(const struct moved *m, uint8_t metric, uint64_t *value, uint64_t *delta,
		       metric_set *valid, metric_set *delta_valid)
{
	metric_set bit = METRIC_BIT(metric);

	*valid = m->unknown ? *valid & ~bit : *valid | bit;
	*delta_valid = m->grew ? *delta_valid | bit : *delta_valid & ~bit;
	if (m->unknown)
		value[metric] = 0;
	else
		value[metric] = m->set ? m->value : value[metric] + m->by;
	delta[metric] = m->by;
}

static void apply_extra(const struct moved *m, struct zone_view *z)
{
	if (m->extra == 'Q')
		z->has_quota = m->value;
	else if (m->extra == 'I')
		z->io_span_ns = m->value;
	else
		z->memory_span_ns = m->value;
}

static int bad_moved(const char *text, struct error *reterr)
{
	return error_set(reterr, -EINVAL, "'%.32s' is not how a reading moves", text);
}

int record_apply_moved(const struct record_reader *r, const char *text, struct zone_view *z,
		       struct error *reterr)
{
	const char *p = text;
	struct moved m;

	z->io_span_ns = z->memory_span_ns = 0; /* a window, unless it is told */
	while (*p) {
		if (scan_item(&p, &m) < 0)
			return bad_moved(p, reterr);
		if (m.extra)
			apply_extra(&m, z);
		else if (r->column[m.column] != COLUMN_UNKNOWN)
			apply_item(&m, r->column[m.column], z->value, z->delta, &z->valid,
				   &z->delta_valid);
	}
	return 0;
}

static int apply_host(struct record_reader *r, const char *text, struct error *reterr)
{
	metric_set delta_valid = 0;
	const char *p = text;
	struct moved m;

	while (*p) {
		if (scan_item(&p, &m) < 0 || m.extra)
			return bad_moved(p, reterr);
		if (r->host_column[m.column] != COLUMN_UNKNOWN)
			apply_item(&m, r->host_column[m.column], r->host_value, r->host_delta,
				   &r->host_valid, &delta_valid);
	}
	return 0;
}

static metric_set counters(void)
{
	metric_set set = 0;

	for (int m = 0; m < ZM_NR; m++)
		if (zone_metrics[m].kind == METRIC_COUNTER)
			set |= METRIC_BIT(m);
	return set;
}

/* A tick went by. */
static void stand_still(struct record_reader *r)
{
	metric_set set = counters();

	for (size_t i = 0; i < r->nr_zones; i++) {
		r->zones[i].delta_valid = r->zones[i].valid & set;
		memset(r->zones[i].delta, 0, sizeof(r->zones[i].delta));
	}
}

static int move_zone(struct record_reader *r, const json_t *pair, struct error *reterr)
{
	const char *text = json_string_value(json_array_get(pair, 1));
	const char *interface = json_string_value(json_array_get(pair, 2));
	uint64_t id;
	uint32_t zone;

	if (!text || record_item_u64(pair, 0, INT64_MAX, &id, reterr) < 0)
		return error_set(reterr, -EINVAL, "not [id, text, interface]");
	zone = record_zone_index(r, id);
	if (zone == NO_ZONE)
		return error_set(reterr, -EINVAL, "no zone has id %llu", (unsigned long long)id);
	if (interface)
		str_copy(r->zones[zone].interface, sizeof(r->zones[zone].interface), interface);
	return record_apply_moved(r, text, &r->zones[zone], reterr);
}

int record_read_moved(struct record_reader *r, const json_t *o, struct error *reterr)
{
	const json_t *moved = json_object_get(o, "moved");
	const char *host = NULL;
	int err;

	if (moved && !json_is_array(moved))
		return error_set(reterr, -EINVAL, "'moved' is not a list");
	if ((err = record_read_tree(r, o, reterr)) ||
	    (err = record_get_text(o, "host", 4096, &host, reterr)))
		return err;
	if (moved)
		stand_still(r);
	for (size_t i = 0; i < json_array_size(moved); i++) {
		err = move_zone(r, json_array_get(moved, i), reterr);
		if (err)
			return error_wrap(reterr, err, "'moved' item %zu", i);
	}
	memset(r->host_delta, 0, sizeof(r->host_delta));
	return host ? apply_host(r, host, reterr) : 0;
}
