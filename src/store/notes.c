/* SPDX-License-Identifier: MIT */
/* Reading what is no sample: zones and their names, findings, actions, events. */
#include "store/internal.h"

static const char *text(sqlite3_stmt *st, int column)
{
	const unsigned char *t = sqlite3_column_text(st, column);

	return t ? (const char *)t : "";
}

int store_find(struct store *s, const char *name, uint64_t from_ms, uint64_t to_ms, uint32_t *ret,
	       size_t max, struct error *reterr)
{
	static const enum statement ways[] = {SQL_FIND, SQL_FIND_SUFFIX};
	size_t n = 0;

	for (size_t i = 0; i < 2 && !n; i++) {
		sqlite3_stmt *st = store_statement(s, ways[i], reterr);
		int r;

		if (!st)
			return -EIO;
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		/* when it was last seen is known to within a slot */
		sqlite3_bind_int64(st, 2,
				   (int64_t)(from_ms > 2 * SLOT_MS ? from_ms - 2 * SLOT_MS : 0));
		sqlite3_bind_int64(st, 3, (int64_t)to_ms);
		sqlite3_bind_int64(st, 4, (int64_t)max);
		while ((r = store_step(s, st, reterr)) > 0 && n < max)
			ret[n++] = (uint32_t)sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
		if (r < 0)
			return r;
	}
	return (int)n;
}

static void visit_zone(sqlite3_stmt *st, store_zone_visit visit, void *arg)
{
	struct store_zone_row row = {
	    .zone = (uint32_t)sqlite3_column_int64(st, 0),
	    .kernel_id = (uint64_t)sqlite3_column_int64(st, 1),
	    .first_ms = (uint64_t)sqlite3_column_int64(st, 2),
	    .last_ms = (uint64_t)sqlite3_column_int64(st, 3),
	    .path = text(st, 4),
	    .name = text(st, 5),
	    .kind = text(st, 6),
	    .class = text(st, 7),
	};

	visit(&row, arg);
}

int store_zones(struct store *s, uint64_t from_ms, uint64_t to_ms, const char *class, size_t max,
		store_zone_visit visit, void *arg, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_ZONES, reterr);
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)(from_ms > 2 * SLOT_MS ? from_ms - 2 * SLOT_MS : 0));
	sqlite3_bind_int64(st, 2, (int64_t)to_ms);
	if (class)
		sqlite3_bind_text(st, 3, class, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (int64_t)max);
	while ((r = store_step(s, st, reterr)) > 0)
		visit_zone(st, visit, arg);
	return r;
}

int store_zone_row(struct store *s, uint32_t zone, store_zone_visit visit, void *arg,
		   struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_ZONE_ONE, reterr);
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, zone);
	r = store_step(s, st, reterr);
	if (r > 0)
		visit_zone(st, visit, arg);
	sqlite3_reset(st);
	return r > 0 ? 0 : r < 0 ? r : error_set(reterr, -ENOENT, "no such zone in history");
}

int store_metrics(struct store *s, store_metric_visit visit, void *arg, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_METRICS, reterr);
	int r;

	if (!st)
		return -EIO;
	while ((r = store_step(s, st, reterr)) > 0)
		visit((uint32_t)sqlite3_column_int64(st, 0), text(st, 1), text(st, 2), arg);
	return r;
}

uint64_t store_last_note(struct store *s, enum store_note_kind kind, uint64_t run)
{
	sqlite3_stmt *st = store_statement(s, SQL_NOTE_LAST, NULL);
	uint64_t seq = 0;

	if (!st)
		return 0;
	sqlite3_bind_int(st, 1, (int)kind);
	sqlite3_bind_int64(st, 2, (int64_t)run);
	return store_number(s, st, &seq, NULL) < 0 ? 0 : seq;
}

int store_notes(struct store *s, enum store_note_kind kind, uint64_t from_ms, uint64_t to_ms,
		size_t max, store_note_visit visit, void *arg, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_NOTES, reterr);
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int(st, 1, (int)kind);
	sqlite3_bind_int64(st, 2, (int64_t)from_ms);
	sqlite3_bind_int64(st, 3, (int64_t)to_ms);
	sqlite3_bind_int64(st, 4, (int64_t)max);
	while ((r = store_step(s, st, reterr)) > 0) {
		struct store_note n = {
		    .kind = (enum store_note_kind)sqlite3_column_int(st, 0),
		    .run = (uint64_t)sqlite3_column_int64(st, 1),
		    .seq = (uint64_t)sqlite3_column_int64(st, 2),
		    .t_ms = (uint64_t)sqlite3_column_int64(st, 3),
		    .end_ms = (uint64_t)sqlite3_column_int64(st, 4),
		    .body = text(st, 5),
		};

		visit(&n, arg);
	}
	return r;
}
