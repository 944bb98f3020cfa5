/* SPDX-License-Identifier: MIT */
/* SQLite: the file, its schema, prepared statements, and errors as sentences. */
#include "store/internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

#define APPLICATION_ID	0x435a4831 /* "CZH1" */
#define BUSY_TIMEOUT_MS 200

#define X(id, sql) [SQL_##id] = sql,
static const char *const sql_texts[SQL_NR] = {STATEMENTS(X)};
#undef X

/* The n-th brings a file of version n to n + 1. Those that were released are never changed. */
static const char *const migrations[] = {
    "CREATE TABLE metric(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, unit TEXT NOT NULL);"
    "CREATE TABLE zone(id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL,"
    " kernel_id INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " UNIQUE(boot, kernel_id));"
    "CREATE TABLE name(zone INTEGER NOT NULL, since_ms INTEGER NOT NULL, path TEXT NOT NULL,"
    " name TEXT NOT NULL, kind TEXT NOT NULL, class TEXT NOT NULL,"
    " PRIMARY KEY(zone, since_ms)) WITHOUT ROWID;"
    "CREATE INDEX name_name ON name(name);"
    "CREATE INDEX name_path ON name(path);"
    "CREATE TABLE tick(seq INTEGER PRIMARY KEY, t_ms INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE chunk(id INTEGER PRIMARY KEY, body BLOB NOT NULL);",

    "CREATE TABLE note(kind INTEGER NOT NULL, run INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " t_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, body TEXT NOT NULL,"
    " PRIMARY KEY(kind, run, seq)) WITHOUT ROWID;"
    "CREATE INDEX note_time ON note(kind, t_ms);",
};

static const struct {
	int rc, code;
	const char *words;
} failures[] = {
    {SQLITE_FULL, -ENOSPC, "there is no room for it"},
    {SQLITE_READONLY, -EROFS, "it may not be written"},
    {SQLITE_PERM, -EACCES, "it may not be opened"},
    {SQLITE_CANTOPEN, -EACCES, "it cannot be opened"},
    {SQLITE_CORRUPT, -EBADMSG, "it is damaged"},
    {SQLITE_NOTADB, -EBADMSG, "it is no history: damaged, or another kind of file"},
    {SQLITE_CONSTRAINT, -EBADMSG, "it is damaged"},
    {SQLITE_BUSY, -EBUSY, "another process holds it"},
    {SQLITE_LOCKED, -EBUSY, "another process holds it"},
    {SQLITE_NOMEM, -ENOMEM, "out of memory"},
    {SQLITE_INTERRUPT, -ETIMEDOUT, "the answer takes too long"},
};

int store_failed(struct store *s, int rc, struct error *reterr)
{
	int saved = s->db ? sqlite3_system_errno(s->db) : 0;

	if ((rc & 0xff) == SQLITE_IOERR && (saved == ENOSPC || saved == EDQUOT || saved == EFBIG))
		rc = SQLITE_FULL;
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		if (failures[i].rc != (rc & 0xff))
			continue;
		s->damaged |= failures[i].code == -EBADMSG;
		return error_set(reterr, failures[i].code, "history %s: %s", s->path,
				 failures[i].words);
	}
	return error_set(reterr, -EIO, "history %s: %s%s%s", s->path, sqlite3_errstr(rc),
			 saved ? ": " : "", saved ? strerror(saved) : "");
}

sqlite3_stmt *store_statement(struct store *s, enum statement which, struct error *reterr)
{
	sqlite3_stmt **st = &s->statements[which];
	int rc;

	if (!s->db) {
		error_set(reterr, -EIO, "history %s is not open", s->path);
		return NULL;
	}
	if (*st) {
		sqlite3_reset(*st);
		sqlite3_clear_bindings(*st);
		return *st;
	}
	rc = sqlite3_prepare_v3(s->db, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	if (rc != SQLITE_OK)
		store_failed(s, rc, reterr);
	return *st;
}

int store_step(struct store *s, sqlite3_stmt *st, struct error *reterr)
{
	int rc = sqlite3_step(st), r;

	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(st);
	if (rc == SQLITE_DONE)
		return 0;
	r = store_failed(s, rc, reterr);
	/* Without room, SQLite takes back all of the transaction, not only this statement. */
	if (s->in_transaction && sqlite3_get_autocommit(s->db))
		store_rollback(s);
	return r;
}

int store_run(struct store *s, sqlite3_stmt *st, struct error *reterr)
{
	int r;

	do {
		r = store_step(s, st, reterr);
	} while (r > 0);
	return r;
}

int store_number(struct store *s, sqlite3_stmt *st, uint64_t *ret, struct error *reterr)
{
	int r = store_step(s, st, reterr);

	if (r < 0)
		return r;
	*ret = r ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return 0;
}

int store_exec(struct store *s, enum statement which, struct error *reterr)
{
	sqlite3_stmt *st = store_statement(s, which, reterr);

	return st ? store_run(s, st, reterr) : -EIO;
}

int store_begin(struct store *s, struct error *reterr)
{
	int r;

	if (s->in_transaction)
		return 0;
	r = store_exec(s, SQL_BEGIN, reterr);
	s->in_transaction = r == 0;
	return r;
}

/* What memory knows of zones may have been part of it. */
void store_rollback(struct store *s)
{
	if (s->in_transaction && !sqlite3_get_autocommit(s->db) &&
	    store_exec(s, SQL_ROLLBACK, NULL) < 0)
		s->damaged |= !sqlite3_get_autocommit(s->db);
	s->in_transaction = false;
	store_forget_zones(s);
}

/* Settings and schema: text of ours, without any value in it. */
static int run_script(struct store *s, const char *sql, struct error *reterr)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_failed(s, rc, reterr);
}

static int pragma_number(struct store *s, const char *sql, uint64_t *ret, struct error *reterr)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), r;

	if (rc != SQLITE_OK)
		return store_failed(s, rc, reterr);
	r = store_number(s, st, ret, reterr);
	sqlite3_finalize(st);
	return r;
}

static int migrate_step(struct store *s, uint64_t version, struct error *reterr)
{
	char stamp[96];

	snprintf(stamp, sizeof(stamp),
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", APPLICATION_ID,
		 (int)version + 1);
	if (run_script(s, "BEGIN IMMEDIATE", reterr) < 0 ||
	    run_script(s, migrations[version], reterr) < 0 || run_script(s, stamp, reterr) < 0) {
		if (!sqlite3_get_autocommit(s->db))
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return reterr->code;
	}
	return 0;
}

static int migrate(struct store *s, struct error *reterr)
{
	uint64_t version, tables;
	int r;

	if (pragma_number(s, "PRAGMA user_version", &version, reterr) < 0 ||
	    pragma_number(s, "SELECT count(*) FROM sqlite_schema", &tables, reterr) < 0)
		return reterr->code;
	if (version == 0 && tables)
		return store_failed(s, SQLITE_NOTADB, reterr);
	if (version > ARRAY_SIZE(migrations)) {
		error_set(reterr, -ENOTSUP, "history %s was made by a newer Control Zone", s->path);
		error_hint(reterr, "Upgrade, or move the file away: a new one is made.");
		return -ENOTSUP;
	}
	for (; version < ARRAY_SIZE(migrations); version++) {
		r = migrate_step(s, version, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Nobody else needs to read it; SQLite gives its other files the same mode. One that is there is
 * not opened: to close it would end the locks that a reader of this process has on it. */
static int make_file(const struct store *s, struct error *reterr)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd >= 0)
		close(fd);
	else if (errno != EEXIST || access(s->path, R_OK | W_OK) < 0)
		return error_errno(reterr, -errno, "history %s", s->path);
	return 0;
}

static int configure(struct store *s, struct error *reterr)
{
	char sizes[128];

	snprintf(sizes, sizeof(sizes), "PRAGMA max_page_count = %llu",
		 (unsigned long long)(s->max_bytes + s->max_bytes / 8) / 4096);
	sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	sqlite3_extended_result_codes(s->db, 1);
	return run_script(s,
			  "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;"
			  "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
			  "PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -4096;"
			  "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
			  reterr) < 0
		   ? reterr->code
		   : run_script(s, sizes, reterr);
}

int store_db_open(struct store *s, struct error *reterr)
{
	int r = make_file(s, reterr), rc;

	if (r < 0)
		return r;
	rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE, NULL);
	r = rc == SQLITE_OK ? 0 : store_failed(s, rc, reterr);
	if (r == 0)
		r = configure(s, reterr);
	if (r == 0)
		r = migrate(s, reterr);
	if (r < 0)
		store_db_close(s);
	return r;
}

int store_db_open_reader(struct store *s, struct error *reterr)
{
	uint64_t version = 0;
	int rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY, NULL), r;

	r = rc == SQLITE_OK ? 0 : store_failed(s, rc, reterr);
	if (r == 0) {
		sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
		sqlite3_extended_result_codes(s->db, 1);
		/* its files are the writer's to end */
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		r = run_script(s,
			       "PRAGMA cache_size = -4096; PRAGMA trusted_schema = OFF;"
			       "PRAGMA cell_size_check = ON; PRAGMA query_only = ON",
			       reterr);
	}
	if (r == 0)
		r = pragma_number(s, "PRAGMA user_version", &version, reterr);
	if (r == 0 && version != ARRAY_SIZE(migrations))
		r = error_set(reterr, -ENOTSUP, "history %s is another Control Zone's", s->path);
	if (r < 0)
		store_db_close(s);
	return r;
}

void store_db_close(struct store *s)
{
	for (int i = 0; i < SQL_NR; i++) {
		sqlite3_finalize(s->statements[i]);
		s->statements[i] = NULL;
	}
	sqlite3_close(s->db);
	s->db = NULL;
	s->in_transaction = false;
	store_forget_zones(s);
}
