/* SPDX-License-Identifier: MIT */
/*
 * History: samples, who waited for whom, findings, actions, events, and what zones were called
 * when. One SQLite file (WAL), one writer: cz-gate. Bounded by size and by age.
 *
 * A tick is one transaction: killed at any instant, the file holds every tick whose store_commit()
 * has returned. Ticks are stored as they come (tick.h) and turned into columns a zone and slot
 * (chunk.h) when the slot is over; readers see both. Whoever reads needs no clock: times are
 * milliseconds since 1970, given by the caller, and may jump.
 *
 * A store that cannot write (full disk, read-only file) says so in store_commit(), which gives that
 * tick up; later ticks are tried again. A damaged file is moved aside for a new one, and that is
 * said as well. Errors: -ENOSPC full, -EROFS may not write, -EBADMSG damaged, -EBUSY another writer
 * has it, -ENOTSUP made by a newer Control Zone, -EIO and others as the system says.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"

struct store;
struct store_options {
	const char *path;
	uint64_t max_bytes;  /* of the file; at least STORE_BYTES_MIN */
	uint64_t max_age_ms; /* what is older is dropped */
};
#define STORE_BYTES_MIN (1024 * 1024)

/* Opens or makes the file. What there is to say about a new beginning (a damaged file was moved
 * aside) is in reterr although 0 is returned; its code is 0 when there is nothing. */
must_check int store_open(const struct store_options *opt, struct store **ret,
			  struct error *reterr);
void store_close(struct store *s);

/* Writing. */

struct store_identity {
	const char *boot; /* kernel ids are unique in one boot */
	uint64_t kernel_id;
	const char *path, *name, *kind, *class;
};
/* The zone with that kernel id, as of `revision`; 0: not known (any more), or changed since. */
uint32_t store_known(const struct store *s, uint64_t kernel_id, uint32_t revision);
/* The zone, as it is called from t_ms on. Refs are valid until the file is closed or replaced. */
must_check int store_zone(struct store *s, const struct store_identity *id, uint32_t revision,
			  uint64_t t_ms, uint32_t *ret, struct error *reterr);
/* A metric by name, made when it is new; unit is shown to people. */
must_check int store_metric(struct store *s, const char *name, const char *unit, uint32_t *ret,
			    struct error *reterr);
/* One value of the tick to come. peer: another zone, or 0. */
must_check int store_sample(struct store *s, uint32_t zone, uint32_t metric, uint32_t peer,
			    uint64_t value);

enum store_note_kind { NOTE_FINDING, NOTE_ACTION, NOTE_EVENT };
/* Something told once or updated: (kind, run, seq) names it. body is JSON, kept as it is. */
struct store_note {
	enum store_note_kind kind;
	uint64_t run; /* of czd: its sequence numbers begin anew */
	uint64_t seq;
	uint64_t t_ms, end_ms; /* when it began and was last so; end >= begin */
	const char *body;
};
must_check int store_note(struct store *s, const struct store_note *n, struct error *reterr);
/* The largest seq of that kind and run, 0 none. */
uint64_t store_last_note(struct store *s, enum store_note_kind kind, uint64_t run);

/* Notes since the last commit become part of history now: the next tick may be long in coming. */
must_check int store_flush(struct store *s, struct error *reterr);
/* All since the last commit becomes part of history, as of t_ms; does what is due (compaction,
 * retention). On an error all of it is given up and refs and metrics are to be asked for again. */
must_check int store_commit(struct store *s, uint64_t t_ms, struct error *reterr);

/*
 * Reading. The writer's store can be read too, between its commits. Another thread has a store of
 * its own for it, on the same file, which writes nothing: all that is asked between
 * store_begin_reading() and store_end_reading() is of one instant, and the writer goes on
 * meanwhile. A file that was moved aside or replaced is opened anew there.
 */

/* Called now and then during a question; false: it is given up, with -ETIMEDOUT. */
typedef bool (*store_patience)(void *arg);
must_check int store_open_reader(const char *path, store_patience patience, void *arg,
				 struct store **ret, struct error *reterr);
must_check int store_begin_reading(struct store *s, struct error *reterr);
void store_end_reading(struct store *s);
/* The file that this reader has found damaged, by its inode; 0: none. */
uint64_t store_found_damaged(const struct store *s);
/* A reader found that file damaged: when it is still this one, the next commit begins anew. */
void store_suspect(struct store *s, uint64_t inode);

#define STORE_POINTS_MAX 10000
#define STORE_SERIES_MAX 512
#define STORE_ANY	 UINT32_MAX

struct store_cell {
	uint64_t count, min, max;
	uint64_t sum; /* saturates */
};
struct store_series {
	uint32_t metric, peer;
	struct store_cell *cells; /* [points]; count 0: nothing known */
};
struct store_query {
	const uint32_t *zones; /* taken together: one that was made again under its name */
	size_t nr_zones;
	uint32_t metric, peer;	 /* or STORE_ANY */
	uint64_t from_ms, to_ms; /* [from, to) */
	uint32_t points;	 /* cells of equal width over the range */
};
struct store_result {
	size_t nr;
	uint64_t dropped; /* series beyond STORE_SERIES_MAX */
	struct store_series series[STORE_SERIES_MAX];
	/* private: where the next series is likely to be, what is being filled */
	uint32_t hint;
	bool no_memory;
	const struct store_query *query;
};
must_check int store_read(struct store *s, const struct store_query *q, struct store_result **ret,
			  struct error *reterr);
void store_result_free(struct store_result *r);
DEFINE_CLEANUP(struct store_result *, store_result_free)

/* Zones that were called so (name, path, or a suffix of the path at a '/') between from and to;
 * newest first. Returns how many, at most max. */
must_check int store_find(struct store *s, const char *name, uint64_t from_ms, uint64_t to_ms,
			  uint32_t *ret, size_t max, struct error *reterr);

struct store_zone_row {
	uint32_t zone;
	uint64_t kernel_id, first_ms, last_ms;	/* last: to within a slot */
	const char *path, *name, *kind, *class; /* its latest; valid during the call */
};
typedef void (*store_zone_visit)(const struct store_zone_row *row, void *arg);
/* Zones that were there between from and to, class NULL: all. */
must_check int store_zones(struct store *s, uint64_t from_ms, uint64_t to_ms, const char *class,
			   size_t max, store_zone_visit visit, void *arg, struct error *reterr);
/* The latest identity of one zone. -ENOENT. */
must_check int store_zone_row(struct store *s, uint32_t zone, store_zone_visit visit, void *arg,
			      struct error *reterr);
/* The id of a metric that is known, 0: none of that name. */
uint32_t store_find_metric(struct store *s, const char *name);
typedef void (*store_metric_visit)(uint32_t id, const char *name, const char *unit, void *arg);
must_check int store_metrics(struct store *s, store_metric_visit visit, void *arg,
			     struct error *reterr);
typedef void (*store_note_visit)(const struct store_note *n, void *arg);
/* What was so between from and to, oldest first; the latest `max` of them. */
must_check int store_notes(struct store *s, enum store_note_kind kind, uint64_t from_ms,
			   uint64_t to_ms, size_t max, store_note_visit visit, void *arg,
			   struct error *reterr);

struct store_stats {
	uint64_t bytes;		       /* of the file */
	uint64_t oldest_ms, newest_ms; /* of samples; 0 none */
	uint64_t ticks_total, lost_ticks_total, dropped_samples_total;
};
void store_stats(struct store *s, struct store_stats *ret);
