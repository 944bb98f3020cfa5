/* SPDX-License-Identifier: MIT */
/* What the files of the store share. */
#pragma once
#include <sqlite3.h>
#include "base/hash.h"
#include "store/chunk.h"
#include "store/store.h"

#define STATEMENTS(X)                                                                              \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(BEGIN_READING, "BEGIN")                                                                  \
	X(COMMIT, "COMMIT")                                                                        \
	X(ROLLBACK, "ROLLBACK")                                                                    \
	X(ZONE_GET, "SELECT id FROM zone WHERE boot = ?1 AND kernel_id = ?2")                      \
	X(ZONE_ADD, "INSERT INTO zone(boot, kernel_id, first_ms, last_ms) VALUES(?1, ?2, ?3, ?3)") \
	X(ZONE_SEEN, "UPDATE zone SET last_ms = max(last_ms, ?2) WHERE id = ?1")                   \
	X(ZONE_DROP, "DELETE FROM zone WHERE last_ms < ?1 RETURNING kernel_id")                    \
	X(ZONE_ONE, "SELECT z.id, z.kernel_id, z.first_ms, z.last_ms, n.path, n.name, n.kind, "    \
		    "n.class FROM zone z JOIN name n ON n.zone = z.id WHERE z.id = ?1 "            \
		    "ORDER BY n.since_ms DESC LIMIT 1")                                            \
	X(ZONES, "SELECT z.id, z.kernel_id, z.first_ms, z.last_ms, n.path, n.name, n.kind, "       \
		 "n.class FROM zone z JOIN name n ON n.zone = z.id AND n.since_ms = "              \
		 "(SELECT max(since_ms) FROM name m WHERE m.zone = z.id) "                         \
		 "WHERE z.first_ms <= ?2 AND z.last_ms >= ?1 AND (?3 IS NULL OR EXISTS (SELECT 1 " \
		 "FROM name c WHERE c.zone = z.id AND c.class = ?3 AND c.since_ms <= ?2)) "        \
		 "ORDER BY z.id LIMIT ?4")                                                         \
	X(NAME_GET, "SELECT path, name, kind, class FROM name WHERE zone = ?1 "                    \
		    "ORDER BY since_ms DESC LIMIT 1")                                              \
	X(NAME_ADD, "INSERT OR REPLACE INTO name(zone, since_ms, path, name, kind, class) "        \
		    "VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                              \
	X(NAME_DROP, "DELETE FROM name WHERE zone NOT IN (SELECT id FROM zone)")                   \
	X(FIND, "SELECT DISTINCT z.id FROM zone z JOIN name n ON n.zone = z.id "                   \
		"WHERE (n.name = ?1 OR n.path = ?1) AND n.since_ms <= ?3 AND z.last_ms >= ?2 "     \
		"ORDER BY z.id DESC LIMIT ?4")                                                     \
	X(FIND_SUFFIX, "SELECT DISTINCT z.id FROM zone z JOIN name n ON n.zone = z.id "            \
		       "WHERE substr(n.path, -length(?1) - 1) = '/' || ?1 AND n.since_ms <= ?3 "   \
		       "AND z.last_ms >= ?2 ORDER BY z.id DESC LIMIT ?4")                          \
	X(METRIC_GET, "SELECT id FROM metric WHERE name = ?1")                                     \
	X(METRIC_ADD, "INSERT INTO metric(name, unit) VALUES(?1, ?2)")                             \
	X(METRICS, "SELECT id, name, unit FROM metric ORDER BY id")                                \
	X(TICK_ADD, "INSERT INTO tick(t_ms, body) VALUES(?1, ?2)")                                 \
	X(TICKS, "SELECT seq, t_ms, body FROM tick ORDER BY seq LIMIT ?1")                         \
	X(TICKS_BETWEEN, "SELECT t_ms, body FROM tick WHERE t_ms >= ?1 AND t_ms < ?2 "             \
			 "ORDER BY t_ms")                                                          \
	X(TICK_RANGE, "SELECT min(t_ms), max(t_ms), count(*) FROM tick")                           \
	X(TICK_DROP, "DELETE FROM tick WHERE seq <= ?1")                                           \
	X(CHUNK_ADD, "INSERT INTO chunk(id, body) VALUES(?1, ?2)")                                 \
	X(CHUNK_SET, "UPDATE chunk SET body = ?2 WHERE id = ?1")                                   \
	X(CHUNK_GET, "SELECT body FROM chunk WHERE id = ?1")                                       \
	X(CHUNK_FIRST, "SELECT min(id) FROM chunk")                                                \
	X(CHUNK_LAST, "SELECT max(id) FROM chunk")                                                 \
	X(CHUNK_DROP, "DELETE FROM chunk WHERE id < ?1")                                           \
	X(NOTE_PUT, "INSERT INTO note(kind, run, seq, t_ms, end_ms, body) "                        \
		    "VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(kind, run, seq) DO UPDATE "        \
		    "SET end_ms = excluded.end_ms, body = excluded.body")                          \
	X(NOTE_LAST, "SELECT max(seq) FROM note WHERE kind = ?1 AND run = ?2")                     \
	X(NOTES, "SELECT * FROM (SELECT kind, run, seq, t_ms, end_ms, body FROM note "             \
		 "WHERE kind = ?1 AND t_ms <= ?3 AND end_ms >= ?2 "                                \
		 "ORDER BY t_ms DESC, seq DESC LIMIT ?4) ORDER BY t_ms, seq")                      \
	X(NOTE_DROP, "DELETE FROM note WHERE end_ms < ?1")                                         \
	X(NOTE_TRIM, "DELETE FROM note WHERE kind = ?1 AND t_ms < (SELECT t_ms FROM note "         \
		     "WHERE kind = ?1 ORDER BY t_ms DESC LIMIT 1 OFFSET ?2)")                      \
	X(PAGES, "SELECT p.page_count, f.freelist_count FROM pragma_page_count p, "                \
		 "pragma_freelist_count f")                                                        \
	X(VACUUM, "PRAGMA incremental_vacuum(2000)")
#define X(id, sql) SQL_##id,
enum statement { STATEMENTS(X) SQL_NR };
#undef X

struct store_entry { /* a zone in memory, by kernel id */
	uint32_t zone, revision;
};

struct store {
	char path[512];
	uint64_t max_bytes, max_age_ms;
	int lock_fd;
	sqlite3 *db; /* NULL: could not be opened (again); tried at each commit */
	sqlite3_stmt *statements[SQL_NR];
	bool in_transaction;
	bool damaged;	/* move it aside at the next occasion */
	uint64_t inode; /* of the file, a reader's only */
	store_patience patience;
	void *patience_arg;
	struct hash zones; /* kernel id -> struct store_entry, of the writer's boot */
	char boot[64];

	struct sample *samples; /* of the tick to come */
	size_t nr_samples, cap_samples;
	struct packed body;
	uint64_t last_ms;      /* the latest tick's time; 0 none */
	uint64_t pending;      /* ticks that are no chunks yet */
	uint64_t pending_slot; /* of the oldest of them */
	uint64_t tick_bytes;   /* of the largest tick so far */
	uint64_t age_hold;     /* so many ticks the age is not looked at: the clock jumped */
	struct chunk *chunk;
	struct store_stats stats;
};

/* db.c */
/* The statement with its bindings cleared, ready. NULL: reterr, see store_failed(). */
sqlite3_stmt *store_statement(struct store *s, enum statement which, struct error *reterr);
/* SQLITE_ROW gives 1, SQLITE_DONE 0 (and resets), else the error. */
must_check int store_step(struct store *s, sqlite3_stmt *st, struct error *reterr);
/* Run one that gives no rows, bindings done. */
must_check int store_run(struct store *s, sqlite3_stmt *st, struct error *reterr);
/* The first column of the first row, 0 when there is none. */
must_check int store_number(struct store *s, sqlite3_stmt *st, uint64_t *ret, struct error *reterr);
must_check int store_exec(struct store *s, enum statement which, struct error *reterr);
/* What SQLite has just said, as an error. */
int store_failed(struct store *s, int rc, struct error *reterr);
must_check int store_begin(struct store *s, struct error *reterr); /* unless one is open */
void store_rollback(struct store *s);
must_check int store_db_open(struct store *s, struct error *reterr);
/* As it is, for a reader: -ENOTSUP when this program knows another schema. */
must_check int store_db_open_reader(struct store *s, struct error *reterr);
void store_db_close(struct store *s);

/* recover.c: opens; a damaged file is moved aside first, which reterr tells with a result of 0. */
must_check int store_reopen(struct store *s, struct error *reterr);
/* Has the file been removed or replaced under us? */
bool store_moved(struct store *s);

/* reader.c: -ETIMEDOUT when whoever asks does not wait any longer. */
must_check int store_patient(struct store *s, struct error *reterr);

/* compact.c: ticks of slots that are over become chunks. */
must_check int store_compact(struct store *s, struct error *reterr);
static inline int64_t chunk_id(uint64_t slot, uint32_t zone)
{
	return (int64_t)(slot << 32 | zone);
}

/* retain.c */
must_check int store_retain(struct store *s, uint64_t now_ms, struct error *reterr);
void store_forget_zones(struct store *s);
