/* SPDX-License-Identifier: MIT */
/*
 * Ticks of a slot that is over become one chunk a zone, and go, in one transaction. Ticks have
 * their zones in order: merging them needs the memory of one zone and of the ticks as they are.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

struct group { /* ticks of one slot, times growing */
	size_t nr;
	bool more; /* there are ticks after these */
	uint64_t last_seq, slot;
	uint64_t t_ms[SLOT_TICKS];
	void *body[SLOT_TICKS];
	struct tick_reader reader[SLOT_TICKS];
};

static void group_free(struct group *g)
{
	for (size_t i = 0; g && i < g->nr; i++)
		free(g->body[i]);
	free(g);
}
DEFINE_CLEANUP(struct group *, group_free)

static int group_take(struct group *g, sqlite3_stmt *st, uint64_t t_ms)
{
	size_t size = (size_t)sqlite3_column_bytes(st, 2);
	void *copy = malloc(size + 1);

	if (!copy)
		return -ENOMEM;
	if (size)
		memcpy(copy, sqlite3_column_blob(st, 2), size);
	g->last_seq = (uint64_t)sqlite3_column_int64(st, 0);
	g->t_ms[g->nr] = t_ms;
	g->body[g->nr] = copy;
	tick_open(&g->reader[g->nr], copy, size);
	tick_next_zone(&g->reader[g->nr++]);
	return 0;
}

/* The oldest ticks that make one chunk. */
static int group_load(struct store *s, struct group *g, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_TICKS, reterr);
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int(st, 1, SLOT_TICKS + 1);
	while ((r = store_step(s, st, reterr)) > 0) {
		uint64_t t_ms = (uint64_t)sqlite3_column_int64(st, 1);

		if (!g->nr)
			g->slot = t_ms / SLOT_MS;
		g->more = g->nr == SLOT_TICKS || t_ms / SLOT_MS != g->slot ||
			  (g->nr && t_ms <= g->t_ms[g->nr - 1]);
		if (g->more)
			break;
		r = group_take(g, st, t_ms);
		if (r < 0) {
			error_errno(reterr, r, "history");
			break;
		}
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static uint64_t lowest_zone(const struct group *g)
{
	uint64_t zone = UINT64_MAX;

	for (size_t i = 0; i < g->nr; i++) {
		if (!g->reader[i].done && g->reader[i].zone < zone)
			zone = g->reader[i].zone;
	}
	return zone;
}

static int gather(struct store *s, struct group *g, uint64_t zone)
{
	struct sample sample;
	int r = 0;

	chunk_reset(s->chunk);
	for (size_t i = 0; i < g->nr && r != -ENOMEM; i++) {
		struct tick_reader *reader = &g->reader[i];

		if (reader->done || reader->zone != zone)
			continue;
		r = chunk_time(s->chunk, g->t_ms[i]);
		while (r != -ENOMEM && tick_sample(reader, &sample))
			r = chunk_add(s->chunk, sample.metric, sample.peer, sample.value);
		tick_next_zone(reader);
	}
	return r == -ENOMEM ? r : 0;
}

/* After the clock went back there may be a chunk of that slot already: the new one goes behind. */
static int prepend_existing(struct store *s, int64_t id, bool *ret_exists, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_CHUNK_GET, reterr);
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, id);
	r = store_step(s, st, reterr);
	*ret_exists = r > 0;
	if (r > 0)
		pack_bytes(&s->body, sqlite3_column_blob(st, 0),
			   (size_t)sqlite3_column_bytes(st, 0));
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static int put_chunk(struct store *s, uint64_t slot, uint64_t zone, bool may_exist,
		     struct error *reterr)
{
	int64_t id = chunk_id(slot, (uint32_t)zone);
	bool exists = false;
	sqlite3_stmt *st;

	s->body.len = 0;
	if (may_exist && prepend_existing(s, id, &exists, reterr) < 0)
		return reterr->code;
	chunk_pack(s->chunk, slot * SLOT_MS, &s->body);
	if (s->body.failed)
		return error_errno(reterr, -ENOMEM, "history");
	st = store_statement(s, exists ? SQL_CHUNK_SET : SQL_CHUNK_ADD, reterr);
	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_blob64(st, 2, s->body.data, s->body.len, SQLITE_STATIC);
	return store_run(s, st, reterr);
}

static int mark_seen(struct store *s, uint64_t zone, uint64_t t_ms, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_ZONE_SEEN, reterr);

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)zone);
	sqlite3_bind_int64(st, 2, (int64_t)t_ms);
	return store_run(s, st, reterr);
}

static int put_zones(struct store *s, struct group *g, struct error *reterr)
{
	uint64_t zone, last = 0;
	sqlite3_stmt *st = store_statement(s, SQL_CHUNK_LAST, reterr);
	int r = st ? store_number(s, st, &last, reterr) : -EIO;

	while (r == 0 && (zone = lowest_zone(g)) != UINT64_MAX) {
		r = gather(s, g, zone);
		if (r < 0)
			return error_errno(reterr, r, "history");
		r = put_chunk(s, g->slot, zone, g->slot <= last >> 32, reterr);
		if (r == 0)
			r = mark_seen(s, zone, g->t_ms[g->nr - 1], reterr);
	}
	s->stats.dropped_samples_total += s->chunk->dropped;
	s->chunk->dropped = 0;
	return r;
}

static int drop_ticks(struct store *s, const struct group *g, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_TICK_DROP, reterr);

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)g->last_seq);
	return store_run(s, st, reterr);
}

static int turn_into_chunks(struct store *s, struct group *g, struct error *reterr)
{
	int r = store_begin(s, reterr);

	if (r == 0)
		r = put_zones(s, g, reterr);
	if (r == 0)
		r = drop_ticks(s, g, reterr);
	if (r == 0)
		r = store_exec(s, SQL_COMMIT, reterr);
	if (r < 0)
		store_rollback(s);
	s->in_transaction = false;
	return r;
}

int store_compact(struct store *s, struct error *reterr)
{
	struct error e = {0};
	int r = 0;

	while (r == 0 && s->pending) {
		_cleanup_(group_freep) struct group *g = calloc(1, sizeof(*g));

		if (!g)
			return error_errno(reterr, -ENOMEM, "history");
		r = group_load(s, g, &e);
		if (r == 0)
			s->pending_slot = g->slot;
		if (r < 0 || !g->nr || !g->more)
			break;
		r = turn_into_chunks(s, g, &e);
		if (r == 0)
			s->pending -= g->nr < s->pending ? g->nr : s->pending;
	}
	if (r < 0 && reterr)
		*reterr = e;
	return r;
}
