/* SPDX-License-Identifier: MIT */
/* Opening, and beginning anew where a file is damaged or gone. */
#include "store/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

#define ASIDE ".damaged" /* one is kept: a disk that damages files shall not be filled by them */

static int take_lock(struct store *s, struct error *reterr)
{
	char path[600];

	/* Not the file itself: SQLite's own locks end when any fd of it is closed. */
	snprintf(path, sizeof(path), "%s-lock", s->path);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (s->lock_fd < 0)
		return error_errno(reterr, -errno, "history %s", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		error_set(reterr, -EBUSY, "history %s is another cz-gate's", s->path);
		error_hint(reterr, "Stop that one, or give this one a path of its own.");
		return -EBUSY;
	}
	return 0;
}

static int move_aside(const struct store *s, struct error *reterr)
{
	static const char *const ends[] = {"-wal", "-shm", ""};
	char from[600], to[600];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(from, sizeof(from), "%s%s", s->path, ends[i]);
		snprintf(to, sizeof(to), "%s" ASIDE "%s", s->path, ends[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return error_errno(reterr, -errno,
					   "history %s is damaged and cannot be moved aside",
					   s->path);
	}
	return 0;
}

/* Ticks that an earlier writer left. */
static int find_pending(struct store *s, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, SQL_TICK_RANGE, reterr);
	int r = st ? store_step(s, st, reterr) : -EIO;

	if (r < 0)
		return r;
	s->pending = (uint64_t)sqlite3_column_int64(st, 2);
	s->pending_slot = (uint64_t)sqlite3_column_int64(st, 0) / SLOT_MS;
	s->last_ms = (uint64_t)sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	if (!s->pending) {
		uint64_t last = 0;

		st = store_statement(s, SQL_CHUNK_LAST, reterr);
		r = st ? store_number(s, st, &last, reterr) : -EIO;
		s->last_ms = (last >> 32) * SLOT_MS;
	}
	return r < 0 ? r : 0;
}

static int open_once(struct store *s, struct error *reterr)
{
	int r = store_db_open(s, reterr);

	if (r == 0)
		r = find_pending(s, reterr);
	if (r < 0 && s->db)
		store_db_close(s);
	return r;
}

int store_reopen(struct store *s, struct error *reterr)
{
	struct error first = {0}, second = {0};
	int r = -EBADMSG;

	store_db_close(s);
	if (!s->damaged)
		r = open_once(s, &first);
	else
		error_set(&first, -EBADMSG, "history %s: it is damaged", s->path);
	if (r == -EBADMSG) {
		r = move_aside(s, reterr);
		if (r < 0)
			return r;
		s->damaged = false;
		r = open_once(s, &second);
		if (r == 0) {
			error_set(reterr, 0, "%s; it was moved to %s" ASIDE " and a new one begun",
				  first.msg, s->path);
			return 0;
		}
		first = second;
	}
	if (r < 0 && reterr)
		*reterr = first;
	return r;
}

bool store_moved(struct store *s)
{
	int moved = 0;

	return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	       moved;
}

int store_open(const struct store_options *opt, struct store **ret, struct error *reterr)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_errno(reterr, -ENOMEM, "history");
	s->lock_fd = -1;
	s->max_bytes = opt->max_bytes < STORE_BYTES_MIN ? STORE_BYTES_MIN : opt->max_bytes;
	s->max_age_ms = opt->max_age_ms;
	s->chunk = calloc(1, sizeof(*s->chunk));
	r = s->chunk ? str_printf(s->path, sizeof(s->path), "%s", opt->path) : -ENOMEM;
	if (r < 0)
		error_errno(reterr, r, "history %s", opt->path);
	else
		r = take_lock(s, reterr);
	if (r == 0)
		r = store_reopen(s, reterr);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->in_transaction)
		store_rollback(s);
	store_db_close(s);
	hash_done(&s->zones);
	close_fd(&s->lock_fd);
	if (s->chunk)
		chunk_done(s->chunk);
	free(s->chunk);
	free(s->samples);
	pack_done(&s->body);
	free(s);
}
