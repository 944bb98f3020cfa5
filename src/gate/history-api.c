/* SPDX-License-Identifier: MIT */
/* What is asked of history. Answers are bounded: points, series, rows. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "gate/gate.h"
#include "gate/history.h"

#define POINTS_DEFAULT 300
#define POINTS_MAX     2000
#define ZONES_MAX      64   /* that had one name, one after the other */
#define ROWS_MAX       1000 /* of zones, findings, actions, events */
#define SINCE_DEFAULT  (3600 * 1000ull)
#define METRIC_DEFAULT "cpu_usage_ns_total"

struct question {
	struct store *store;
	uint64_t from_ms, to_ms, step_ms;
	uint32_t points;
	const char *zone;
	uint32_t refs[ZONES_MAX];
	size_t nr_refs;
};

static int take_number(const struct request *r, const char *name, uint64_t max, uint64_t *ret,
		       struct error *reterr)
{
	const char *text = request_query(r, name);

	if (!text)
		return 0;
	if (parse_u64(text, ret) < 0 || *ret > max)
		return error_set(reterr, -EINVAL, "'%s' is a whole number, at most %llu", name,
				 (unsigned long long)max);
	return 1;
}

#define YEAR_9999_MS 253402300800000ull
static int take_range(const struct request *r, struct question *q, struct error *reterr)
{
	uint64_t now_ms = clock_real_ns() / 1000000, points = POINTS_DEFAULT, since_ns;
	const char *since = request_query(r, "since");
	int given;

	q->to_ms = now_ms;
	if (take_number(r, "to", YEAR_9999_MS, &q->to_ms, reterr) < 0)
		return -EINVAL;
	if (since && parse_duration_ns(since, &since_ns) < 0)
		return error_set(reterr, -EINVAL, "'since' has to be a time such as 1h");
	since_ns = since ? since_ns / 1000000 : SINCE_DEFAULT;
	q->from_ms = q->to_ms > since_ns ? q->to_ms - since_ns : 0;
	given = take_number(r, "from", YEAR_9999_MS, &q->from_ms, reterr);
	if (given < 0 || take_number(r, "points", POINTS_MAX, &points, reterr) < 0)
		return -EINVAL;
	if (given && since)
		return error_set(reterr, -EINVAL, "'since' and 'from' say the same: give one");
	if (q->from_ms >= q->to_ms || !points)
		return error_set(
		    reterr, -EINVAL,
		    "the range is empty: 'from' has to be before 'to', in ms since 1970");
	/* cells of whole milliseconds, so that each can be told by its beginning */
	q->points = (uint32_t)points;
	q->step_ms = (q->to_ms - q->from_ms + points - 1) / points;
	q->to_ms = q->from_ms + q->step_ms * points;
	return 0;
}

static int take_zone(const struct request *r, struct question *q, struct error *reterr)
{
	int n;

	q->zone = request_query(r, "zone");
	if (!q->zone)
		return error_set(reterr, -EINVAL, "'zone' is missing: a name, a path, or host");
	n = store_find(q->store, q->zone, q->from_ms, q->to_ms, q->refs, ZONES_MAX, reterr);
	if (n < 0)
		return n;
	if (!n) {
		error_set(reterr, -ENOENT, "history knows no zone '%s' in that time", q->zone);
		error_hint(reterr, "Zones are listed by /api/v1/history/zones.");
		return -ENOENT;
	}
	q->nr_refs = (size_t)n;
	return 0;
}

static int begin(struct request *r, struct question *q, struct error *reterr)
{
	const char *why;

	q->store = history_store(r->gate->history, &why);
	if (!q->store)
		return error_set(reterr, -EOPNOTSUPP, "%s", why);
	return take_range(r, q, reterr);
}

static void answer(struct request *r, json_t *body, const struct error *e)
{
	if (body)
		request_json(r, MHD_HTTP_OK, body);
	else
		request_error(r, e);
	json_decref(body);
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

static int read_series(struct question *q, const char *metric, struct store_result **ret,
		       struct unit *unit, struct error *reterr)
{
	struct store_query query = {.zones = q->refs,
				    .nr_zones = q->nr_refs,
				    .from_ms = q->from_ms,
				    .to_ms = q->to_ms,
				    .points = q->points};
	int r;

	query.metric = unit->id = store_find_metric(q->store, metric);
	if (!unit->id) {
		error_set(reterr, -ENOENT, "history has no metric '%s'", metric);
		error_hint(reterr, "czctl probes lists what is measured.");
		return -ENOENT;
	}
	r = store_metrics(q->store, find_unit, unit, reterr);
	return r < 0 ? r : store_read(q->store, &query, ret, reterr);
}

void history_serve(struct request *r)
{
	_cleanup_(store_result_freep) struct store_result *res = NULL;
	const char *metric = request_query(r, "metric");
	struct question q = {0};
	struct unit unit = {0};
	struct error e = {0};
	json_t *body = NULL;

	metric = metric ? metric : METRIC_DEFAULT;
	if (begin(r, &q, &e) == 0 && take_zone(r, &q, &e) == 0 &&
	    read_series(&q, metric, &res, &unit, &e) == 0) {
		body = head(&q);
		json_object_set_new(body, "zone", json_string(q.zone));
		json_object_set_new(body, "metric", json_string(metric));
		json_object_set_new(body, "unit", json_string(unit.text));
		json_object_update_new(body, columns(res->nr ? &res->series[0] : NULL, q.points));
	}
	answer(r, body, &e);
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

static int ledger_body(struct question *q, json_t *body, struct error *reterr)
{
	struct store_query query = {q->refs,	q->nr_refs, STORE_ANY, STORE_ANY,
				    q->from_ms, q->to_ms,   q->points};
	_cleanup_(store_result_freep) struct store_result *res = NULL;
	uint32_t wait_id = store_find_metric(q->store, "wait_ns_total");
	const struct store_series *wait = NULL;
	json_t *names = json_object(), *parts = json_array();
	int r = store_metrics(q->store, name_one, names, reterr);

	if (r == 0)
		r = store_read(q->store, &query, &res, reterr);
	for (size_t i = 0; r == 0 && i < res->nr; i++) {
		if (res->series[i].metric == wait_id)
			wait = &res->series[i];
	}
	for (size_t i = 0; r == 0 && i < res->nr; i++) {
		const char *cause = cause_of(names, res->series[i].metric);

		if (cause)
			json_array_append_new(
			    parts, part(q->store, &res->series[i], cause, wait, q->points));
	}
	json_object_set_new(body, "parts", parts);
	json_object_set_new(body, "wait", columns(wait, q->points));
	json_decref(names);
	return r;
}

void history_serve_ledger(struct request *r)
{
	struct question q = {0};
	struct error e = {0};
	json_t *body = NULL;

	if (begin(r, &q, &e) == 0 && take_zone(r, &q, &e) == 0) {
		body = head(&q);
		json_object_set_new(body, "zone", json_string(q.zone));
		json_object_set_new(body, "unit", json_string("ns/s"));
		if (ledger_body(&q, body, &e) < 0) {
			json_decref(body);
			body = NULL;
		}
	}
	answer(r, body, &e);
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

void history_serve_zones(struct request *r)
{
	json_t *zones = json_array(), *metrics = json_array(), *body = NULL;
	struct question q = {0};
	struct error e = {0};

	if (begin(r, &q, &e) == 0 &&
	    store_zones(q.store, q.from_ms, q.to_ms, request_query(r, "class"), ROWS_MAX, add_zone,
			zones, &e) == 0 &&
	    store_metrics(q.store, add_metric, metrics, &e) == 0) {
		struct store_stats st;

		store_stats(q.store, &st);
		body = json_pack("{s:I,s:I,s:O,s:O,s:{s:I,s:o,s:o,s:I,s:I}}", "from_ms",
				 (json_int_t)q.from_ms, "to_ms", (json_int_t)q.to_ms, "zones",
				 zones, "metrics", metrics, "store", "bytes", (json_int_t)st.bytes,
				 "oldest_ms", known(st.oldest_ms, st.oldest_ms), "newest_ms",
				 known(st.newest_ms, st.newest_ms), "ticks_total",
				 (json_int_t)st.ticks_total, "lost_ticks_total",
				 (json_int_t)st.lost_ticks_total);
	}
	answer(r, body, &e);
	json_decref(zones);
	json_decref(metrics);
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

void history_serve_notes(struct request *r)
{
	static const char *const names[] = {"findings", "actions", "events"};
	json_t *body = NULL, *rows = json_array();
	struct question q = {0};
	struct error e = {0};
	int kind = 0;

	while (kind < 3 && strcmp(names[kind], r->parts[0]) != 0)
		kind++;
	if (kind == 3)
		error_set(&e, -ENOENT, "history has findings, actions and events");
	else if (begin(r, &q, &e) == 0 &&
		 store_notes(q.store, (enum store_note_kind)kind, q.from_ms, q.to_ms, ROWS_MAX,
			     add_note, rows, &e) == 0)
		body = json_pack("{s:I,s:I,s:O}", "from_ms", (json_int_t)q.from_ms, "to_ms",
				 (json_int_t)q.to_ms, names[kind], rows);
	answer(r, body, &e);
	json_decref(rows);
}
