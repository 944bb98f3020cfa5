/* SPDX-License-Identifier: MIT */
/*
 * The snapshot for those who gather: every metric of every zone, in columns. Who asks each tick and
 * says what it has is told of zones that moved only, so that thousands of idle ones cost nothing.
 */
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/api.h"
#include "daemon/shape.h"

/* Of one victim; what the others did is in the total of cause neighbour all the same. */
#define PAIRS_MAX 128

static json_t *columns(const struct metric_desc *m, size_t n)
{
	json_t *names = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(names, json_string(m[i].name));
	return names;
}

static json_t *values(const uint64_t *value, metric_set valid, size_t n)
{
	json_t *row = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(row, shape_known(valid & METRIC_BIT(i), value[i]));
	return row;
}

/* As text, "7,,42": thousands of zones would be tens of thousands of JSON numbers. */
static json_t *values_text(const struct zone_view *v)
{
	char buf[ZM_NR * 21], digits[20], *p = buf;

	for (int m = 0; m < ZM_NR; m++) {
		uint64_t left = v->value[m];
		int n = 0;

		if (m)
			*p++ = ',';
		if (!(v->valid & METRIC_BIT(m)))
			continue;
		do {
			digits[n++] = (char)('0' + left % 10);
			left /= 10;
		} while (left);
		while (n)
			*p++ = digits[--n];
	}
	return json_stringn_nocheck(buf, (size_t)(p - buf));
}

static json_t *zone_whole(const struct zone_view *v)
{
	return json_pack("{s:I,s:o,s:o,s:s,s:s,s:b,s:o}", "id", (json_int_t)v->id, "name",
			 shape_string(v->name), "path", shape_string(v->path), "kind",
			 zone_kind_name(v->kind), "class", zone_class_name(v->class), "class_own",
			 v->class_is_own, "values", values_text(v));
}

static json_t *zone_moved(const struct zone_view *v)
{
	return json_pack("{s:I,s:o}", "id", (json_int_t)v->id, "values", values_text(v));
}

/* What a client already has. */
struct had {
	uint64_t tree;
	bool same;  /* all of it */
	bool whole; /* nothing that could be built on */
};

static json_t *zones(const struct snapshot *s, const struct had *had)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < s->nr_zones && !had->same; i++) {
		const struct zone_view *v = &s->zones[i];

		if (had->whole || v->told_seq > had->tree)
			json_array_append_new(rows, zone_whole(v));
		else if (v->moved)
			json_array_append_new(rows, zone_moved(v));
	}
	return rows;
}

/* Can it be said which zones went since? The ring must not have lost one of them. */
static bool knows_gone(const struct daemon *d, uint64_t tree)
{
	return d->next_gone <= GONE_KEPT || d->gone[d->next_gone % GONE_KEPT].tree_seq <= tree;
}

static json_t *gone(const struct daemon *d, const struct had *had)
{
	json_t *ids = json_array();

	for (size_t i = 0; i < GONE_KEPT && !had->whole && !had->same; i++) {
		if (d->gone[i].id && d->gone[i].tree_seq > had->tree)
			json_array_append_new(ids, json_integer((json_int_t)d->gone[i].id));
	}
	return ids;
}

static int most_first(const void *a, const void *b)
{
	const struct ledger_cell *x = a, *y = b;

	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

/* Totals since the ledger took the victim in: counters, which no missed tick can falsify. */
static json_t *pairs(const struct daemon *d, const struct victim *vi, uint64_t *ret_left_out)
{
	_cleanup_free_ struct ledger_cell *cells = calloc(vi->nr_cells + 1, sizeof(*cells));
	json_t *rows = json_array();

	*ret_left_out = 0;
	if (!cells)
		return rows;
	for (size_t i = 0; i < vi->nr_cells; i++)
		cells[i] = vi->cells[i];
	qsort(cells, vi->nr_cells, sizeof(*cells), most_first);
	for (size_t i = 0; i < vi->nr_cells && cells[i].ns; i++) {
		const struct zone *z = zones_by_id(d->zones, cells[i].culprit_id);
		const struct gone_zone *gone = z ? NULL : shape_gone(d, cells[i].culprit_id);

		if (i >= PAIRS_MAX) {
			++*ret_left_out;
			continue;
		}
		json_array_append_new(rows,
				      json_pack("{s:I,s:o,s:s,s:I}", "culprit",
						(json_int_t)cells[i].culprit_id, "name",
						z      ? shape_string(d->snap.zones[z->index].name)
						: gone ? shape_string(gone->name)
						       : json_null(),
						"class",
						zone_class_name(z ? d->snap.zones[z->index].class
								: gone ? gone->class
								       : CLASS_NORMAL),
						"ns_total", (json_int_t)cells[i].ns));
	}
	return rows;
}

static json_t *victim(const struct daemon *d, const struct victim *vi)
{
	const struct ledger_view *w = &vi->view;
	const struct zone_view *v = &d->snap.zones[w->zone];
	json_t *o = shape_ledger(d, w), *totals = json_object();
	uint64_t left_out;

	for (int c = 0; c < CAUSE_NR; c++)
		json_object_set_new(totals, cause_name(c),
				    shape_known(vi->primed, vi->totals.cause_ns[c]));
	json_object_set_new(o, "zone", json_integer((json_int_t)v->id));
	json_object_set_new(o, "state", json_string(protected_state(d, v, w)));
	json_object_set_new(o, "cause_ns_total", totals);
	json_object_set_new(o, "waits_total", shape_known(vi->primed, vi->totals.waits));
	json_object_set_new(o, "pairs", pairs(d, vi, &left_out));
	json_object_set_new(o, "pairs_left_out", json_integer((json_int_t)left_out));
	return o;
}

static json_t *victims(const struct daemon *d)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < d->victims.nr; i++) {
		if (d->victims.items[i]->view.zone != NO_ZONE)
			json_array_append_new(rows, victim(d, d->victims.items[i]));
	}
	return rows;
}

json_t *api_snapshot(const struct api_call *c, struct error *reterr)
{
	const struct daemon *d = c->d;
	const struct snapshot *s = &d->snap;
	struct had had = {0};
	uint64_t had_ns, run;

	if (arg_u64(c, "run", &run, reterr) < 0 || arg_u64(c, "tree", &had.tree, reterr) < 0 ||
	    arg_u64(c, "now_ns", &had_ns, reterr) < 0)
		return NULL;
	had.same = run == d->self.started_ns && had_ns && had_ns == s->now_ns;
	had.whole = !had.same && (run != d->self.started_ns || had_ns != s->now_ns - s->window_ns ||
				  !knows_gone(d, had.tree));
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I}", "run",
			 (json_int_t)d->self.started_ns, "tree", (json_int_t)d->tree_seq, "now_ns",
			 (json_int_t)s->now_ns, "real_ns",
			 (json_int_t)(clock_real_ns() - (clock_mono_ns() - s->now_ns)), "window_ns",
			 (json_int_t)s->window_ns, "whole", had.whole, "same", had.same, "gone",
			 gone(d, &had), "zone_columns", columns(zone_metrics, ZM_NR), "zones",
			 zones(s, &had), "host_columns", columns(host_metrics, HM_NR), "host",
			 values(s->host_value, s->host_valid, HM_NR), "ledgers", victims(d), "mode",
			 shape_mode(d, 0), "self", api_self(d), "event_seq",
			 (json_int_t)d->events.last_seq);
}
