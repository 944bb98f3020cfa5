/* SPDX-License-Identifier: MIT */
/* What the writer adds: zones, metrics, samples, notes; one transaction a tick. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

#define SAMPLES_MAX   2000000 /* of one tick: beyond any host that czd follows */
#define CLOCK_JUMP_MS (24 * 3600 * 1000ull)
#define HOLD_TICKS    3600

uint32_t store_known(const struct store *s, uint64_t kernel_id, uint32_t revision)
{
	const struct store_entry *e = hash_get(&s->zones, kernel_id);

	return e && e->revision == revision ? e->zone : 0;
}

void store_forget_zones(struct store *s)
{
	hash_for_each(&s->zones, e)
		free(e->value);
	hash_done(&s->zones);
	s->nr_samples = 0; /* they are of refs that may be void */
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static int zone_row(struct store *s, const struct store_identity *id, uint64_t t_ms, uint64_t *ret,
		    struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_ZONE_GET, reterr);
	int r;

	if (!st)
		return -EIO;
	bind_text(st, 1, id->boot);
	sqlite3_bind_int64(st, 2, (int64_t)id->kernel_id);
	r = store_number(s, st, ret, reterr);
	if (r < 0 || *ret)
		return r;
	st = store_statement(s, SQL_ZONE_ADD, reterr);
	if (!st)
		return -EIO;
	bind_text(st, 1, id->boot);
	sqlite3_bind_int64(st, 2, (int64_t)id->kernel_id);
	sqlite3_bind_int64(st, 3, (int64_t)t_ms);
	r = store_run(s, st, reterr);
	*ret = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return r;
}

static bool same_text(sqlite3_stmt *st, int column, const char *text)
{
	const char *have = (const char *)sqlite3_column_text(st, column);

	return have && strcmp(have, text) == 0;
}

/* A new line only where something changed. */
static int zone_name(struct store *s, const struct store_identity *id, uint64_t zone, uint64_t t_ms,
		     struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_NAME_GET, reterr);
	bool same;
	int r;

	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)zone);
	r = store_step(s, st, reterr);
	if (r < 0)
		return r;
	same = r && same_text(st, 0, id->path) && same_text(st, 1, id->name) &&
	       same_text(st, 2, id->kind) && same_text(st, 3, id->class);
	sqlite3_reset(st);
	if (same)
		return 0;
	st = store_statement(s, SQL_NAME_ADD, reterr);
	if (!st)
		return -EIO;
	sqlite3_bind_int64(st, 1, (int64_t)zone);
	sqlite3_bind_int64(st, 2, (int64_t)t_ms);
	bind_text(st, 3, id->path);
	bind_text(st, 4, id->name);
	bind_text(st, 5, id->kind);
	bind_text(st, 6, id->class);
	return store_run(s, st, reterr);
}

/* Kernel ids of another boot mean other zones. */
static void see_boot(struct store *s, const char *boot)
{
	if (strcmp(s->boot, boot) == 0)
		return;
	if (s->boot[0])
		store_forget_zones(s);
	str_copy(s->boot, sizeof(s->boot), boot);
}

int store_zone(struct store *s, const struct store_identity *id, uint32_t revision, uint64_t t_ms,
	       uint32_t *ret, struct error *reterr)
{
	struct store_entry *e;
	uint64_t zone = 0;
	int r;

	see_boot(s, id->boot);
	r = store_begin(s, reterr);
	if (r == 0)
		r = zone_row(s, id, t_ms, &zone, reterr);
	if (r == 0)
		r = zone_name(s, id, zone, t_ms, reterr);
	if (r < 0)
		return r;
	if (zone > UINT32_MAX)
		return error_set(reterr, -ERANGE, "history %s: more zones than can be numbered",
				 s->path);
	e = hash_get(&s->zones, id->kernel_id);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e || hash_put(&s->zones, id->kernel_id, e) < 0) {
			free(e);
			return error_errno(reterr, -ENOMEM, "history");
		}
	}
	e->zone = *ret = (uint32_t)zone;
	e->revision = revision;
	return 0;
}

uint32_t store_find_metric(struct store *s, const char *name)
{
	sqlite3_stmt *st = store_statement(s, SQL_METRIC_GET, NULL);
	uint64_t id = 0;

	if (!st)
		return 0;
	bind_text(st, 1, name);
	return store_number(s, st, &id, NULL) < 0 || id > UINT32_MAX ? 0 : (uint32_t)id;
}

int store_metric(struct store *s, const char *name, const char *unit, uint32_t *ret,
		 struct error *reterr)
{
	uint32_t id = store_find_metric(s, name);
	sqlite3_stmt *st;
	int r;

	if (!id) {
		r = store_begin(s, reterr);
		if (r < 0)
			return r;
		st = store_statement(s, SQL_METRIC_ADD, reterr);
		if (!st)
			return -EIO;
		bind_text(st, 1, name);
		bind_text(st, 2, unit);
		r = store_run(s, st, reterr);
		if (r < 0)
			return r;
		id = (uint32_t)sqlite3_last_insert_rowid(s->db);
	}
	*ret = id;
	return 0;
}

int store_sample(struct store *s, uint32_t zone, uint32_t metric, uint32_t peer, uint64_t value)
{
	if (s->nr_samples == s->cap_samples) {
		size_t cap = s->cap_samples ? s->cap_samples * 2 : 4096;
		struct sample *grown;

		if (cap > SAMPLES_MAX)
			return -ENOSPC;
		grown = realloc(s->samples, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->samples = grown;
		s->cap_samples = cap;
	}
	s->samples[s->nr_samples++] = (struct sample){zone, metric, peer, value};
	return 0;
}

int store_note(struct store *s, const struct store_note *n, struct error *reterr)
{
	int r = store_begin(s, reterr);
	sqlite3_stmt *st = r < 0 ? NULL : store_statement(s, SQL_NOTE_PUT, reterr);

	if (!st)
		return r < 0 ? r : -EIO;
	sqlite3_bind_int(st, 1, (int)n->kind);
	sqlite3_bind_int64(st, 2, (int64_t)n->run);
	sqlite3_bind_int64(st, 3, (int64_t)n->seq);
	sqlite3_bind_int64(st, 4, (int64_t)n->t_ms);
	sqlite3_bind_int64(st, 5, (int64_t)n->end_ms);
	bind_text(st, 6, n->body);
	return store_run(s, st, reterr);
}

static int by_zone(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	if (x->zone != y->zone)
		return x->zone < y->zone ? -1 : 1;
	return x < y ? -1 : x > y; /* keep the order of one zone's: merge sort does */
}

/* czd tells zones oldest first, as their refs were given: mostly there is nothing to sort. */
static void sort_samples(struct store *s)
{
	for (size_t i = 1; i < s->nr_samples; i++) {
		if (s->samples[i - 1].zone > s->samples[i].zone) {
			qsort(s->samples, s->nr_samples, sizeof(s->samples[0]), by_zone);
			return;
		}
	}
}

static int write_tick(struct store *s, uint64_t t_ms, struct error *reterr)
{
	sqlite3_stmt *st;
	int r = store_begin(s, reterr);

	if (r < 0)
		return r;
	st = store_statement(s, SQL_TICK_ADD, reterr);
	if (!st)
		return -EIO;
	s->body.len = 0;
	sort_samples(s);
	tick_pack(&s->body, s->samples, s->nr_samples);
	if (s->body.failed)
		return error_errno(reterr, -ENOMEM, "history");
	sqlite3_bind_int64(st, 1, (int64_t)t_ms);
	if (s->body.len)
		sqlite3_bind_blob64(st, 2, s->body.data, s->body.len, SQLITE_STATIC);
	else
		sqlite3_bind_zeroblob(st, 2, 0);
	return store_run(s, st, reterr);
}

static int commit_tick(struct store *s, uint64_t t_ms, struct error *reterr)
{
	int r = write_tick(s, t_ms, reterr);

	if (r == 0)
		r = store_exec(s, SQL_COMMIT, reterr);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	s->in_transaction = false;
	s->nr_samples = 0;
	if (!s->pending++)
		s->pending_slot = t_ms / SLOT_MS;
	s->tick_bytes = s->tick_bytes > s->body.len ? s->tick_bytes : s->body.len;
	s->stats.ticks_total++;
	return 0;
}

int store_flush(struct store *s, struct error *reterr)
{
	int r = s->in_transaction ? store_exec(s, SQL_COMMIT, reterr) : 0;

	if (r < 0)
		store_rollback(s);
	s->in_transaction = false;
	return r;
}

/* What is due once a slot. */
static int maintain(struct store *s, uint64_t t_ms, struct error *reterr)
{
	int r = store_retain(s, t_ms, reterr); /* first: compaction needs room */

	if (r == 0)
		r = store_compact(s, reterr);
	if (r == 0 && store_moved(s)) {
		error_set(reterr, -EIO, "history %s was removed or replaced; a new one is begun",
			  s->path);
		store_db_close(s);
		return -EIO;
	}
	return r;
}

/* Damaged, or could not be opened: try to begin anew. */
static int come_back(struct store *s, struct error *reterr)
{
	int r = store_reopen(s, reterr);

	s->stats.lost_ticks_total++; /* its refs are void */
	if (r < 0)
		return r;
	if (!reterr->msg[0])
		return error_set(reterr, -EAGAIN, "history is open again");
	return reterr->code = -EAGAIN;
}

int store_commit(struct store *s, uint64_t t_ms, struct error *reterr)
{
	struct error e = {0};
	bool jumped, slot_over;
	int r;

	if (!s->db || s->damaged) {
		r = come_back(s, &e);
	} else {
		jumped = s->last_ms && t_ms > s->last_ms + CLOCK_JUMP_MS;
		slot_over = s->pending && (t_ms / SLOT_MS != s->pending_slot ||
					   t_ms <= s->last_ms || s->pending >= SLOT_TICKS);
		s->age_hold = jumped ? HOLD_TICKS : s->age_hold ? s->age_hold - 1 : 0;
		r = commit_tick(s, t_ms, &e);
		s->stats.lost_ticks_total += r < 0;
		if (r == 0)
			s->last_ms = t_ms;
		if (r == -ENOSPC || (r == 0 && slot_over))
			r = maintain(s, t_ms, r == 0 ? &e : NULL) < 0 && r == 0 ? e.code : r;
	}
	if (r < 0 && reterr)
		*reterr = e;
	return r;
}
