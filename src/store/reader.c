/* SPDX-License-Identifier: MIT */
/* A reader beside the writer: a connection of its own, which writes nothing. */
#include "store/internal.h"

#include <stdlib.h>
#include <sys/stat.h>
#include "base/str.h"

#define STEPS_BETWEEN 1000 /* of SQLite's machine; some 50 us */

static int on_progress(void *arg)
{
	const struct store *s = arg;

	return !s->patience(s->patience_arg);
}

int store_patient(struct store *s, struct error *reterr)
{
	return !s->patience || s->patience(s->patience_arg)
		   ? 0
		   : store_failed(s, SQLITE_INTERRUPT, reterr);
}

int store_open_reader(const char *path, store_patience patience, void *arg, struct store **ret,
		      struct error *reterr)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return error_errno(reterr, -ENOMEM, "history");
	s->lock_fd = -1;
	s->patience = patience;
	s->patience_arg = arg;
	if (!str_copy(s->path, sizeof(s->path), path)) {
		free(s);
		return error_errno(reterr, -ENAMETOOLONG, "history %s", path);
	}
	*ret = s;
	return 0;
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static int open_now(struct store *s, struct error *reterr)
{
	int r;

	s->inode = inode_of(s->path);
	s->damaged = false;
	r = store_db_open_reader(s, reterr);
	if (r == 0)
		sqlite3_progress_handler(s->db, STEPS_BETWEEN, on_progress, s);
	return r;
}

int store_begin_reading(struct store *s, struct error *reterr)
{
	int r = 0;

	if (s->db && (s->damaged || store_moved(s)))
		store_db_close(s);
	if (!s->db)
		r = open_now(s, reterr);
	return r < 0 ? r : store_exec(s, SQL_BEGIN_READING, reterr);
}

/* Without an effect but that the next one sees what was written since. */
void store_end_reading(struct store *s)
{
	if (s->db && !sqlite3_get_autocommit(s->db) && store_exec(s, SQL_ROLLBACK, NULL) < 0)
		store_db_close(s);
}

uint64_t store_found_damaged(const struct store *s)
{
	return s->damaged ? s->inode : 0;
}

void store_suspect(struct store *s, uint64_t inode)
{
	s->damaged |= inode && inode == inode_of(s->path);
}
