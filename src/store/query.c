/* SPDX-License-Identifier: MIT */
/* Samples of a range, put into cells of equal width. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

static struct store_series *series_of(struct store_result *r, uint32_t metric, uint32_t peer)
{
	struct store_series *found;

	if (r->hint < r->nr && r->series[r->hint].metric == metric &&
	    r->series[r->hint].peer == peer)
		return &r->series[r->hint];
	for (size_t i = 0; i < r->nr; i++) {
		if (r->series[i].metric == metric && r->series[i].peer == peer) {
			r->hint = (uint32_t)i;
			return &r->series[i];
		}
	}
	if (r->nr == STORE_SERIES_MAX) {
		r->dropped++;
		return NULL;
	}
	found = &r->series[r->nr];
	found->cells = calloc(r->query->points, sizeof(*found->cells));
	if (!found->cells) {
		r->no_memory = true;
		return NULL;
	}
	found->metric = metric;
	found->peer = peer;
	r->hint = (uint32_t)r->nr++;
	return found;
}

static void take(uint32_t metric, uint32_t peer, uint64_t t_ms, uint64_t value, void *arg)
{
	struct store_result *r = arg;
	const struct store_query *q = r->query;
	struct store_series *series;
	struct store_cell *c;

	if (t_ms < q->from_ms || t_ms >= q->to_ms)
		return;
	series = series_of(r, metric, peer);
	if (!series)
		return;
	c = &series->cells[(t_ms - q->from_ms) * q->points / (q->to_ms - q->from_ms)];
	c->min = c->count && c->min < value ? c->min : value;
	c->max = c->count && c->max > value ? c->max : value;
	c->sum = c->sum + value < c->sum ? UINT64_MAX : c->sum + value;
	c->count++;
}

static bool is_wanted(const struct store_query *q, uint64_t zone)
{
	for (size_t i = 0; i < q->nr_zones; i++) {
		if (q->zones[i] == zone)
			return true;
	}
	return false;
}

static int read_tick(const void *blob, size_t size, uint64_t t_ms, struct store_result *res)
{
	const struct store_query *q = res->query;
	struct tick_reader reader;
	struct sample sample;

	tick_open(&reader, blob, size);
	while (tick_next_zone(&reader)) {
		if (!is_wanted(q, reader.zone))
			continue;
		while (tick_sample(&reader, &sample)) {
			if ((q->metric == STORE_ANY || q->metric == sample.metric) &&
			    (q->peer == STORE_ANY || q->peer == sample.peer))
				take(sample.metric, sample.peer, t_ms, sample.value, res);
		}
	}
	return reader.u.bad ? -EBADMSG : 0;
}

static int damaged(struct store *s, struct error *reterr)
{
	return store_failed(s, SQLITE_CORRUPT, reterr);
}

/* What is not in chunks yet. */
static int read_ticks(struct store *s, struct store_result *res, struct error *reterr)
{
	const struct store_query *q = res->query;
	sqlite3_stmt *st = store_statement(s, SQL_TICKS_BETWEEN, reterr);
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)q->from_ms);
	sqlite3_bind_int64(st, 2, (int64_t)q->to_ms);
	while ((r = store_step(s, st, reterr)) > 0) {
		r = store_patient(s, reterr);
		if (r == 0 &&
		    read_tick(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1),
			      (uint64_t)sqlite3_column_int64(st, 0), res) < 0)
			r = damaged(s, reterr);
		if (r < 0) {
			sqlite3_reset(st);
			break;
		}
	}
	return r;
}

static int read_chunk(struct store *s, uint64_t slot, uint32_t zone, struct store_result *res,
		      struct error *reterr)
{
	const struct store_query *q = res->query;
	sqlite3_stmt *st = store_statement(s, SQL_CHUNK_GET, reterr);
	int r;

	if (!st)
		return -EIO;
	r = store_patient(s, reterr);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, chunk_id(slot, zone));
	r = store_step(s, st, reterr);
	if (r <= 0)
		return r;
	r = chunk_walk(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0),
		       slot * SLOT_MS, q->metric, q->peer, take, res);
	sqlite3_reset(st);
	return r < 0 ? damaged(s, reterr) : 0;
}

/* The slots in the range that there are. */
static int slots(struct store *s, const struct store_query *q, uint64_t *ret_first,
		 uint64_t *ret_last, struct error *reterr)
{
	uint64_t first = 0, last = 0, from = q->from_ms / SLOT_MS, to = (q->to_ms - 1) / SLOT_MS;
	sqlite3_stmt *st = store_statement(s, SQL_CHUNK_FIRST, reterr);

	if (!st || store_number(s, st, &first, reterr) < 0)
		return -EIO;
	st = store_statement(s, SQL_CHUNK_LAST, reterr);
	if (!st || store_number(s, st, &last, reterr) < 0)
		return -EIO;
	first >>= 32;
	last >>= 32;
	*ret_first = from > first ? from : first;
	*ret_last = to < last ? to : last;
	return 0;
}

struct lifetime {
	uint64_t first_slot, last_slot;
};

static void note_lifetime(const struct store_zone_row *row, void *arg)
{
	struct lifetime *l = arg;

	l->first_slot = row->first_ms / SLOT_MS;
	l->last_slot = row->last_ms / SLOT_MS;
}

static int read_zone(struct store *s, uint32_t zone, struct store_result *res, uint64_t first,
		     uint64_t last, struct error *reterr)
{
	struct lifetime l = {0};
	int r = store_zone_row(s, zone, note_lifetime, &l, reterr);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* after the clock went back, samples are older than the zone: then it costs a look more */
	if (l.first_slot <= l.last_slot) {
		first = first > l.first_slot ? first : l.first_slot;
		last = last < l.last_slot ? last : l.last_slot;
	}
	for (uint64_t slot = first; slot <= last && r == 0; slot++)
		r = read_chunk(s, slot, zone, res, reterr);
	return r;
}

int store_read(struct store *s, const struct store_query *q, struct store_result **ret,
	       struct error *reterr)
{
	_cleanup_(store_result_freep) struct store_result *res = NULL;
	struct error e = {0};
	uint64_t first = 0, last = 0;
	int r;

	if (q->from_ms >= q->to_ms || !q->points || q->points > STORE_POINTS_MAX)
		return error_set(reterr, -EINVAL,
				 "a range ends after it begins and has 1 to %d points",
				 STORE_POINTS_MAX);
	if (q->to_ms - q->from_ms > UINT64_MAX / STORE_POINTS_MAX)
		return error_set(reterr, -EINVAL, "the range is too long");
	res = calloc(1, sizeof(*res));
	if (!res)
		return error_errno(reterr, -ENOMEM, "history");
	res->query = q;
	r = slots(s, q, &first, &last, &e);
	for (size_t i = 0; r == 0 && i < q->nr_zones; i++)
		r = read_zone(s, q->zones[i], res, first, last, &e);
	if (r == 0)
		r = read_ticks(s, res, &e);
	if (r == 0 && res->no_memory)
		r = error_errno(&e, -ENOMEM, "history");
	if (r < 0) {
		if (reterr)
			*reterr = e;
		return r;
	}
	res->query = NULL;
	*ret = TAKE_PTR(res);
	return 0;
}

void store_result_free(struct store_result *r)
{
	for (size_t i = 0; r && i < r->nr; i++)
		free(r->series[i].cells);
	free(r);
}

void store_stats(struct store *s, struct store_stats *ret)
{
	uint64_t first = 0;
	sqlite3_stmt *st;

	*ret = s->stats;
	ret->newest_ms = s->last_ms;
	if (!s->db)
		return;
	st = store_statement(s, SQL_PAGES, NULL);
	if (st && store_number(s, st, &ret->bytes, NULL) == 0)
		ret->bytes *= 4096;
	st = store_statement(s, SQL_CHUNK_FIRST, NULL);
	if (st && store_number(s, st, &first, NULL) == 0)
		ret->oldest_ms = (first >> 32) * SLOT_MS;
	if (!ret->oldest_ms) {
		st = store_statement(s, SQL_TICK_RANGE, NULL);
		if (st && store_number(s, st, &first, NULL) == 0)
			ret->oldest_ms = first;
	}
}
