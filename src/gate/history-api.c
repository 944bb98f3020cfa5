/* SPDX-License-Identifier: MIT */
/* What is asked of history: taken apart here, answered by the thread that reads. */
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "gate/gate.h"
#include "gate/history.h"
#include "gate/history-reader.h"

#define SINCE_DEFAULT  (3600 * 1000ull)
#define METRIC_DEFAULT "cpu_usage_ns_total"

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

/* The question is complete but for its time: ask. */
static void ask(struct request *r, struct question *q)
{
	struct error e = {0};

	if (history_may_read(r->gate->history, &q->stats, &e) < 0 || take_range(r, q, &e) < 0)
		request_error(r, &e);
	else
		reader_ask(r->gate->reader, r, q);
}

static void ask_of_zone(struct request *r, struct question *q)
{
	q->zone = request_query(r, "zone");
	if (q->zone)
		ask(r, q);
	else
		request_fail(r, MHD_HTTP_BAD_REQUEST, -EINVAL,
			     "'zone' is missing: a name, a path, or host", "");
}

void history_serve(struct request *r)
{
	const char *metric = request_query(r, "metric");
	struct question q = {.answer = answer_series, .metric = metric ? metric : METRIC_DEFAULT};

	ask_of_zone(r, &q);
}

void history_serve_ledger(struct request *r)
{
	struct question q = {.answer = answer_ledger};

	ask_of_zone(r, &q);
}

void history_serve_zones(struct request *r)
{
	struct question q = {.answer = answer_zones, .class = request_query(r, "class")};

	ask(r, &q);
}

void history_serve_notes(struct request *r)
{
	static const char *const names[] = {"findings", "actions", "events"};
	struct question q = {.answer = answer_notes};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], r->parts[0]) != 0)
			continue;
		q.kind = names[i];
		q.note = (enum store_note_kind)i;
	}
	if (q.kind)
		ask(r, &q);
	else
		request_fail(r, MHD_HTTP_NOT_FOUND, -ENOENT,
			     "history has findings, actions and events", "");
}
