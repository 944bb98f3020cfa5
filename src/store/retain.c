/* SPDX-License-Identifier: MIT */
/* What is too old or too much goes, oldest first; the space is used again. */
#include "store/internal.h"

#include <stdlib.h>

#define PAGE_BYTES   4096
#define ROUNDS_MAX   16	    /* at once; the rest is done when the next slot is over */
#define SHARE_A_TIME 64	    /* of the slots there are */
#define NOTES_MAX    100000 /* of each kind */

static int one_number(struct store *s, enum statement which, uint64_t value, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, which, reterr);

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)value);
	return store_run(s, st, reterr);
}

static int get_number(struct store *s, enum statement which, uint64_t *ret, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, which, reterr);

	return st ? store_number(s, st, ret, reterr) : -EIO;
}

/* Zones without any sample left. */
static int drop_zones(struct store *s, uint64_t before_ms, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_ZONE_DROP, reterr);
	bool any = false;
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)before_ms);
	while ((r = store_step(s, st, reterr)) > 0) {
		any = true;
		free(hash_remove(&s->zones, (uint64_t)sqlite3_column_int64(st, 0)));
	}
	return r == 0 && any ? store_exec(s, SQL_NAME_DROP, reterr) : r;
}

static int drop_before(struct store *s, uint64_t before_ms, struct error *reterr)
{
	int r = one_number(s, SQL_CHUNK_DROP, before_ms / SLOT_MS << 32, reterr);

	if (r == 0)
		r = one_number(s, SQL_NOTE_DROP, before_ms, reterr);
	return r == 0 ? drop_zones(s, before_ms, reterr) : r;
}

static int pages(struct store *s, uint64_t *ret_file, uint64_t *ret_used, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_PAGES, reterr);
	int r = st ? store_step(s, st, reterr) : -EIO;

	if (r < 0)
		return r;
	*ret_file = (uint64_t)sqlite3_column_int64(st, 0);
	*ret_used = *ret_file - (uint64_t)sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return 0;
}

/* So many pages are left free: for a slot's ticks, and the chunks that they become. */
static uint64_t room(const struct store *s, uint64_t limit)
{
	uint64_t slot = 2 * s->tick_bytes * (SLOT_MS / 1000) / PAGE_BYTES;

	slot += limit / 16;
	return slot < limit / 2 ? slot : limit / 2;
}

/* How many slots go at once. History is not longer than its age: where it seems so, the clock had
 * jumped, and what lies before the jump is not to go in one piece. */
static uint64_t share(const struct store *s, uint64_t first, uint64_t last)
{
	uint64_t most = s->max_age_ms / SLOT_MS, span = last - first;

	return 1 + (span < most ? span : most) / SHARE_A_TIME;
}

/* The oldest slots go until there is room again. */
static int keep_size(struct store *s, struct error *reterr)
{
	uint64_t limit = s->max_bytes / PAGE_BYTES, file, used, first, last;
	int r = pages(s, &file, &used, reterr);

	for (int round = 0; r == 0 && used > limit - room(s, limit) && round < ROUNDS_MAX;
	     round++) {
		if (get_number(s, SQL_CHUNK_FIRST, &first, reterr) < 0 ||
		    get_number(s, SQL_CHUNK_LAST, &last, reterr) < 0)
			return reterr->code;
		first >>= 32;
		last >>= 32;
		if (!first)
			break;
		r = drop_before(s, (first + share(s, first, last)) * SLOT_MS, reterr);
		if (r == 0)
			r = pages(s, &file, &used, reterr);
	}
	return r == 0 && file > limit && used < file ? store_exec(s, SQL_VACUUM, reterr) : r;
}

/* Samples have most of the room: an event takes some 500 bytes, the others a page or two. */
static uint64_t notes_max(const struct store *s, int kind)
{
	uint64_t most = s->max_bytes / (kind == NOTE_EVENT ? 8192 : 32768);

	return most < NOTES_MAX ? most : NOTES_MAX;
}

static int keep_notes(struct store *s, struct error *reterr)
{
	for (int kind = NOTE_FINDING; kind <= NOTE_EVENT; kind++) {
		sqlite3_stmt *st = store_statement(s, SQL_NOTE_TRIM, reterr);

		if (!st)
			return -EIO;
		sqlite3_bind_int(st, 1, kind);
		sqlite3_bind_int64(st, 2, (int64_t)notes_max(s, kind));
		if (store_run(s, st, reterr) < 0)
			return reterr->code;
	}
	return 0;
}

int store_retain(struct store *s, uint64_t now_ms, struct error *reterr)
{
	struct error e = {0};
	int r = store_begin(s, &e);

	/* A clock that is suddenly far ahead may be wrong: history is not thrown away for it. */
	if (r == 0 && !s->age_hold && now_ms > s->max_age_ms)
		r = drop_before(s, now_ms - s->max_age_ms, &e);
	if (r == 0)
		r = keep_notes(s, &e);
	if (r == 0)
		r = keep_size(s, &e);
	if (r == 0)
		r = store_exec(s, SQL_COMMIT, &e);
	if (r < 0) {
		store_rollback(s);
		if (reterr)
			*reterr = e;
	}
	s->in_transaction = false;
	return r;
}
