/* SPDX-License-Identifier: MIT */
/* What history answers; in the thread that reads it. Answers are bounded: points, series, rows. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "gate/history-question.h"
#include "model/cause.h"

#define ZONES_MAX 64   /* that had one name, one after the other */
#define ROWS_MAX  1000 /* of zones, findings, actions, events */

struct zones {
	uint32_t refs[ZONES_MAX];
	size_t nr;
};

static int find_zones(struct store *s, const struct question *q, struct zones *ret,
		      struct error *reterr)
{
	int n = store_find(s, q->zone, q->from_ms, q->to_ms, ret->refs, ZONES_MAX, reterr);

	if (n < 0)
		return n;
	ret->nr = (size_t)n;
	if (n)
		return 0;
	error_set(reterr, -ENOENT, "history knows no zone '%s' in that time", q->zone);
	error_hint(reterr, "Zones are listed by /api/v1/history/zones.");
	return -ENOENT;
}

static json_t *head(const struct question *q)
{
	return json_pack("{s:I,s:I,s:I,s:i}", "from_ms", (json_int_t)q->from_ms, "to_ms",
			 (json_int_t)q->to_ms, "step_ms", (json_int_t)q->step_ms, "points",
			 (int)q->points);
}

static json_t *known(bool is_known, uint64_t value)
{
	return is_known ? json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value)
			: json_null();
}

/* Columns, one number or null a cell. */
static json_t *columns(const struct store_series *s, uint32_t points)
{
	json_t *mean = json_array(), *min = json_array(), *max = json_array(), *n = json_array();

	for (uint32_t i = 0; i < points; i++) {
		const struct store_cell *c = s ? &s->cells[i] : NULL;
		bool any = c && c->count;

		json_array_append_new(mean, known(any, any ? c->sum / c->count : 0));
		json_array_append_new(min, known(any, any ? c->min : 0));
		json_array_append_new(max, known(any, any ? c->max : 0));
		json_array_append_new(n, json_integer(any ? (json_int_t)c->count : 0));
	}
	return json_pack("{s:o,s:o,s:o,s:o}", "mean", mean, "min", min, "max", max, "count", n);
}

struct unit {
	uint32_t id;
	char text[32];
};

static void find_unit(uint32_t id, const char *name, const char *unit, void *arg)
{
	struct unit *u = arg;

	if (u->id == id)
		snprintf(u->text, sizeof(u->text), "%s", unit);
}

static int read_series(struct store *s, const struct question *q, struct store_result **ret,
		       struct unit *unit, struct error *reterr)
{
	struct zones zones;
	int r = find_zones(s, q, &zones, reterr);
	struct store_query query = {
	    .zones = zones.refs, .from_ms = q->from_ms, .to_ms = q->to_ms, .points = q->points};

	if (r < 0)
		return r;
	query.nr_zones = zones.nr;
	query.metric = unit->id = store_find_metric(s, q->metric);
	if (!unit->id) {
		error_set(reterr, -ENOENT, "history has no metric '%s'", q->metric);
		error_hint(reterr, "czctl probes lists what is measured.");
		return -ENOENT;
	}
	r = store_metrics(s, find_unit, unit, reterr);
	return r < 0 ? r : store_read(s, &query, ret, reterr);
}

json_t *answer_series(struct store *s, const struct question *q, struct error *reterr)
{
	_cleanup_(store_result_freep) struct store_result *res = NULL;
	struct unit unit = {0};
	json_t *body;

	if (read_series(s, q, &res, &unit, reterr) < 0)
		return NULL;
	body = head(q);
	json_object_set_new(body, "zone", json_string(q->zone));
	json_object_set_new(body, "metric", json_string(q->metric));
	json_object_set_new(body, "unit", json_string(unit.text));
	json_object_update_new(body, columns(res->nr ? &res->series[0] : NULL, q->points));
	return body;
}

/* The ledger: whom a zone waited for. */

static void name_one(uint32_t id, const char *name, const char *unit, void *arg)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", id);
	json_object_set_new(arg, key, json_string(name));
}

/* "ledger_self_ns" -> "self"; NULL: no part of the ledger. */
static const char *cause_of(const json_t *names, uint32_t metric)
{
	char key[16], name[64];
	const char *text;

	snprintf(key, sizeof(key), "%u", metric);
	text = json_string_value(json_object_get(names, key));
	for (int c = 0; text && c < CAUSE_NR; c++) {
		snprintf(name, sizeof(name), "ledger_%s_ns", cause_name(c));
		if (!strcmp(text, name))
			return cause_name(c);
	}
	return NULL;
}

static void peer_row(const struct store_zone_row *row, void *arg)
{
	json_object_set_new(arg, "zone", json_string(row->name));
	json_object_set_new(arg, "path", json_string(row->path));
	json_object_set_new(arg, "class", json_string(row->class));
}

/* Over the cells of the whole wait: where a part has no value, it was none of it. */
static json_t *part(struct store *s, const struct store_series *p, const char *cause,
		    const struct store_series *wait, uint32_t points)
{
	json_t *row = json_pack("{s:s,s:n,s:n,s:n}", "cause", cause, "zone", "path", "class");
	json_t *mean = json_array();
	uint64_t sum = 0;

	if (p->peer && store_zone_row(s, p->peer, peer_row, row, NULL) < 0)
		json_object_set_new(row, "zone", json_string("(gone)"));
	for (uint32_t i = 0; i < points; i++) {
		uint64_t n = wait ? wait->cells[i].count : 0;

		json_array_append_new(mean, known(n, n ? p->cells[i].sum / n : 0));
		sum += p->cells[i].sum;
	}
	json_object_set_new(row, "sum", known(true, sum));
	json_object_set_new(row, "mean", mean);
	return row;
}

static void add_parts(struct store *s, const struct question *q, const struct store_result *res,
		      const json_t *names, json_t *body)
{
	uint32_t wait_id = store_find_metric(s, "wait_ns_total");
	const struct store_series *wait = NULL;
	json_t *parts = json_array();

	for (size_t i = 0; i < res->nr; i++) {
		if (res->series[i].metric == wait_id)
			wait = &res->series[i];
	}
	for (size_t i = 0; i < res->nr; i++) {
		const char *cause = cause_of(names, res->series[i].metric);

		if (cause)
			json_array_append_new(parts,
					      part(s, &res->series[i], cause, wait, q->points));
	}
	json_object_set_new(body, "parts", parts);
	json_object_set_new(body, "wait", columns(wait, q->points));
}

json_t *answer_ledger(struct store *s, const struct question *q, struct error *reterr)
{
	_cleanup_(store_result_freep) struct store_result *res = NULL;
	json_t *names = json_object(), *body = NULL;
	struct zones zones;
	int r = find_zones(s, q, &zones, reterr);

	if (r == 0)
		r = store_metrics(s, name_one, names, reterr);
	if (r == 0) {
		struct store_query query = {zones.refs, zones.nr, STORE_ANY, STORE_ANY,
					    q->from_ms, q->to_ms, q->points};

		r = store_read(s, &query, &res, reterr);
	}
	if (r == 0) {
		body = head(q);
		json_object_set_new(body, "zone", json_string(q->zone));
		json_object_set_new(body, "unit", json_string("ns/s"));
		add_parts(s, q, res, names, body);
	}
	json_decref(names);
	return body;
}

static void add_zone(const struct store_zone_row *row, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "name", row->name,
					     "path", row->path, "kind", row->kind, "class",
					     row->class, "id", (json_int_t)row->kernel_id,
					     "first_ms", (json_int_t)row->first_ms, "last_ms",
					     (json_int_t)row->last_ms));
}

static void add_metric(uint32_t id, const char *name, const char *unit, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s,s:s}", "name", name, "unit", unit));
}

static json_t *store_row(const struct store_stats *st)
{
	return json_pack("{s:I,s:o,s:o,s:I,s:I}", "bytes", (json_int_t)st->bytes, "oldest_ms",
			 known(st->oldest_ms, st->oldest_ms), "newest_ms",
			 known(st->newest_ms, st->newest_ms), "ticks_total",
			 (json_int_t)st->ticks_total, "lost_ticks_total",
			 (json_int_t)st->lost_ticks_total);
}

json_t *answer_zones(struct store *s, const struct question *q, struct error *reterr)
{
	json_t *zones = json_array(), *metrics = json_array(), *body = NULL;

	if (store_zones(s, q->from_ms, q->to_ms, q->class, ROWS_MAX, add_zone, zones, reterr) ==
		0 &&
	    store_metrics(s, add_metric, metrics, reterr) == 0)
		body = json_pack("{s:I,s:I,s:O,s:O,s:o}", "from_ms", (json_int_t)q->from_ms,
				 "to_ms", (json_int_t)q->to_ms, "zones", zones, "metrics", metrics,
				 "store", store_row(&q->stats));
	json_decref(zones);
	json_decref(metrics);
	return body;
}

static void add_note(const struct store_note *n, void *arg)
{
	json_t *row = json_loads(n->body, JSON_REJECT_DUPLICATES, NULL);

	if (!row)
		return;
	json_object_set_new(row, "from_ms", json_integer((json_int_t)n->t_ms));
	json_object_set_new(row, "to_ms", json_integer((json_int_t)n->end_ms));
	json_array_append_new(arg, row);
}

json_t *answer_notes(struct store *s, const struct question *q, struct error *reterr)
{
	json_t *rows = json_array(), *body = NULL;

	if (store_notes(s, q->note, q->from_ms, q->to_ms, ROWS_MAX, add_note, rows, reterr) == 0)
		body = json_pack("{s:I,s:I,s:O}", "from_ms", (json_int_t)q->from_ms, "to_ms",
				 (json_int_t)q->to_ms, q->kind, rows);
	json_decref(rows);
	return body;
}
