/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sqlite3.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "store/chunk.h"
#include "store/store.h"
#include "test.h"

#define T0 1800000000000ull /* some second in 2027 */

struct env {
	char dir[64], path[96];
	struct store *s;
	struct error e;
};

static void reopen(struct env *v, uint64_t max_bytes, uint64_t max_age_ms)
{
	struct store_options opt = {v->path, max_bytes, max_age_ms};

	store_close(v->s);
	v->s = NULL;
	v->e = (struct error){0};
	if (store_open(&opt, &v->s, &v->e) < 0)
		fail_msg("%s", v->e.msg);
}

static int setup(void **state)
{
	struct env *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	strcpy(v->dir, "/tmp/cz-store-XXXXXX");
	assert_non_null(mkdtemp(v->dir));
	snprintf(v->path, sizeof(v->path), "%s/history.db", v->dir);
	reopen(v, 1 << 30, 1ull << 50);
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"",	       "-wal",	       "-shm",	       "-lock",
					   ".damaged", ".damaged-wal", ".damaged-shm", ".old"};
	struct env *v = *state;

	store_close(v->s);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", v->path, ends[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(v->dir), 0);
	free(v);
	return 0;
}

static uint32_t zone_named(struct env *v, uint64_t id, const char *name, uint64_t t_ms)
{
	char path[128];
	struct store_identity who = {"boot-1", id, path, name, "cgroup", "normal"};
	uint32_t ref = 0;

	snprintf(path, sizeof(path), "/some/%s", name);
	if (store_zone(v->s, &who, 1, t_ms, &ref, &v->e) < 0)
		fail_msg("%s", v->e.msg);
	return ref;
}

static uint32_t metric(struct env *v, const char *name)
{
	uint32_t id = 0;

	assert_int_equal(store_metric(v->s, name, "ns/s", &id, NULL), 0);
	return id;
}

static void commit(struct env *v, uint64_t t_ms)
{
	if (store_commit(v->s, t_ms, &v->e) < 0)
		fail_msg("%s", v->e.msg);
}

/* Ticks with one sample each. */
static void fill(struct env *v, const char *name, uint64_t from_ms, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t z = zone_named(v, 7, name, from_ms + i * 1000);

		assert_int_equal(store_sample(v->s, z, metric(v, "cpu"), 0, value + i), 0);
		commit(v, from_ms + i * 1000);
	}
}

static struct store_result *get(struct env *v, const char *name, uint32_t m, uint64_t from,
				uint64_t to, uint32_t points)
{
	uint32_t refs[64];
	int n = store_find(v->s, name, from, to, refs, ARRAY_SIZE(refs), &v->e);
	struct store_query q = {refs, (size_t)n, m, STORE_ANY, from, to, points};
	struct store_result *r = NULL;

	assert_true(n >= 0);
	if (store_read(v->s, &q, &r, &v->e) < 0)
		fail_msg("%s", v->e.msg);
	return r;
}

static uint64_t count(struct env *v, const char *name, uint64_t from, uint64_t to)
{
	_cleanup_(store_result_freep) struct store_result *r = get(v, name, STORE_ANY, from, to, 1);
	uint64_t n = 0;

	for (size_t i = 0; i < r->nr; i++)
		n += r->series[i].cells[0].count;
	return n;
}

/* What goes in comes out, from ticks and from chunks alike, over a reopening as well. */
static void test_there_and_back(void **state)
{
	struct env *v = *state;

	fill(v, "a", T0, 300, 5);
	for (int round = 0; round < 2; round++) {
		_cleanup_(store_result_freep) struct store_result *r =
		    get(v, "a", metric(v, "cpu"), T0, T0 + 300000, 300);

		assert_int_equal(r->nr, 1);
		for (uint64_t i = 0; i < 300; i++) {
			const struct store_cell *c = &r->series[0].cells[i];

			assert_int_equal(c->count, 1);
			assert_int_equal(c->sum, 5 + i);
		}
		reopen(v, 1 << 30, 1ull << 50);
	}
	assert_int_equal(count(v, "/some/a", T0, T0 + 300000), 300);
	assert_int_equal(count(v, "a", T0 + 10000, T0 + 20000), 10);
	assert_int_equal(count(v, "b", T0, T0 + 300000), 0);
	assert_int_equal(count(v, "me/a", T0, T0 + 300000), 0);
}

static void test_cells(void **state)
{
	struct env *v = *state;
	_cleanup_(store_result_freep) struct store_result *r = NULL;

	fill(v, "a", T0, 200, 1000);
	r = get(v, "a", metric(v, "cpu"), T0, T0 + 200000, 2);
	assert_int_equal(r->series[0].cells[1].min, 1100);
	assert_int_equal(r->series[0].cells[1].max, 1199);
	assert_int_equal(r->series[0].cells[1].count, 100);
	assert_int_equal(r->series[0].cells[0].sum, 100 * 1000 + 99 * 50);
}

/* Many zones, metrics and peers with random values, absent now and then, against a plain array. */
#define ZONES 9
#define CELLS 5
#define TICKS 150
static uint64_t expected[TICKS][ZONES][CELLS];
static void random_ticks(struct env *v, const uint32_t m[CELLS])
{
	uint64_t x = 1;

	for (uint64_t t = 0; t < TICKS; t++) {
		for (uint32_t z = ZONES; z-- > 0;) { /* the wrong order, too */
			char name[8];
			uint32_t ref;

			snprintf(name, sizeof(name), "z%u", z);
			ref = store_known(v->s, 100 + z, 1);
			if (!ref)
				ref = zone_named(v, 100 + z, name, T0 + t * 1000);
			for (uint32_t c = 0; c < CELLS; c++) {
				x = hash_u64(x + 1);
				expected[t][z][c] = x % 3 ? x >> x % 64 | 1 : 0;
				if (expected[t][z][c])
					assert_int_equal(store_sample(v->s, ref, m[c],
								      c > 2 ? c : 0,
								      expected[t][z][c]),
							 0);
			}
		}
		commit(v, T0 + t * 1000 + x % 300);
	}
}

static void check_cell(const struct store_result *r, const uint32_t m[CELLS], uint32_t z,
		       uint32_t c)
{
	for (size_t i = 0; i < r->nr; i++) {
		if (r->series[i].metric != m[c] || r->series[i].peer != (c > 2 ? c : 0))
			continue;
		for (uint64_t t = 0; t < TICKS; t++)
			assert_int_equal(r->series[i].cells[t].sum, expected[t][z][c]);
		return;
	}
	fail_msg("zone %u has no series %u", z, c);
}

static void test_random(void **state)
{
	struct env *v = *state;
	uint32_t m[CELLS];

	for (uint32_t c = 0; c < CELLS; c++) {
		char name[8];

		snprintf(name, sizeof(name), "m%u", c < 4 ? c : 3); /* two peers of one metric */
		m[c] = metric(v, name);
	}
	random_ticks(v, m);
	for (uint32_t z = 0; z < ZONES; z++) {
		_cleanup_(store_result_freep) struct store_result *r = NULL;
		char name[8];

		snprintf(name, sizeof(name), "z%u", z);
		r = get(v, name, STORE_ANY, T0, T0 + TICKS * 1000, TICKS);
		assert_int_equal(r->nr, CELLS);
		for (uint32_t c = 0; c < CELLS; c++)
			check_cell(r, m, z, c);
	}
}

static void test_extreme_values(void **state)
{
	static const uint64_t values[] = {0, UINT64_MAX, 0,	     0,
					  1, UINT64_MAX, UINT64_MAX, 1ull << 63};
	struct env *v = *state;
	_cleanup_(store_result_freep) struct store_result *r = NULL;

	for (size_t i = 0; i < 70; i++) {
		assert_int_equal(store_sample(v->s, zone_named(v, 7, "a", T0), metric(v, "cpu"), 0,
					      values[i % ARRAY_SIZE(values)]),
				 0);
		commit(v, T0 + i * 1000);
	}
	r = get(v, "a", metric(v, "cpu"), T0, T0 + 70000, 70);
	for (size_t i = 0; i < 70; i++)
		assert_int_equal(r->series[0].cells[i].sum, values[i % ARRAY_SIZE(values)]);
}

static void test_names_over_time(void **state)
{
	struct env *v = *state;
	struct store_identity who = {"boot-1", 7, "/x/new", "new", "cgroup", "lc"};
	uint32_t ref = 0;

	fill(v, "old", T0, 10, 1);
	assert_int_equal(store_known(v->s, 7, 1), zone_named(v, 7, "old", T0));
	assert_int_equal(store_known(v->s, 7, 2), 0); /* changed since: to be asked for */
	assert_int_equal(store_zone(v->s, &who, 2, T0 + 10000, &ref, NULL), 0);
	assert_int_equal(ref, store_known(v->s, 7, 2));
	commit(v, T0 + 10000);
	assert_int_equal(count(v, "old", T0, T0 + 10000), 10);
	assert_int_equal(count(v, "new", T0, T0 + 20000), 10);
	who.boot = "boot-2"; /* the same kernel id is another zone */
	assert_int_equal(store_zone(v->s, &who, 1, T0 + 20000, &ref, NULL), 0);
	assert_int_not_equal(ref, store_known(v->s, 7, 2));
}

/* Two zones, one after the other, under one name: a service that was restarted. */
static void test_restarted(void **state)
{
	struct env *v = *state;

	fill(v, "redis", T0, 5, 1);
	assert_int_equal(
	    store_sample(v->s, zone_named(v, 8, "redis", T0 + 9000), metric(v, "cpu"), 0, 3), 0);
	commit(v, T0 + 9000);
	assert_int_equal(count(v, "redis", T0, T0 + 10000), 6);
}

struct seen {
	size_t nr;
	uint64_t last_seq;
	char body[64];
};

static void note_seen(const struct store_note *n, void *arg)
{
	struct seen *seen = arg;

	seen->nr++;
	seen->last_seq = n->seq;
	snprintf(seen->body, sizeof(seen->body), "%s", n->body);
}

static void test_notes(void **state)
{
	struct env *v = *state;
	struct seen seen = {0};

	for (uint64_t i = 1; i <= 20; i++) {
		struct store_note n = {NOTE_FINDING, 5, i, T0 + i * 1000, T0 + i * 1000, "{}"};

		assert_int_equal(store_note(v->s, &n, NULL), 0);
		n.end_ms += 500;
		n.body = "{\"later\":1}";
		assert_int_equal(store_note(v->s, &n, NULL), 0); /* the same, later */
	}
	commit(v, T0 + 30000);
	assert_int_equal(store_last_note(v->s, NOTE_FINDING, 5), 20);
	assert_int_equal(store_last_note(v->s, NOTE_FINDING, 6), 0);
	assert_int_equal(store_last_note(v->s, NOTE_EVENT, 5), 0);
	assert_int_equal(
	    store_notes(v->s, NOTE_FINDING, T0 + 5200, T0 + 8000, 10, note_seen, &seen, NULL), 0);
	assert_int_equal(seen.nr, 4); /* 5 (until 5500), 6, 7, 8 */
	assert_int_equal(seen.last_seq, 8);
	assert_string_equal(seen.body, "{\"later\":1}");
	seen.nr = 0;
	assert_int_equal(store_notes(v->s, NOTE_FINDING, T0, T0 + 99999, 3, note_seen, &seen, NULL),
			 0);
	assert_int_equal(seen.nr, 3); /* the latest */
	assert_int_equal(seen.last_seq, 20);
}

/* The clock goes back an hour: both hours are there, and the time told twice has both. */
static void test_clock_goes_back(void **state)
{
	struct env *v = *state;

	fill(v, "a", T0, 200, 1);
	fill(v, "a", T0 + 50500, 200, 1);
	assert_int_equal(count(v, "a", T0, T0 + 300000), 400);
	assert_int_equal(count(v, "a", T0 + 100000, T0 + 110000), 20);
	reopen(v, 1 << 30, 1ull << 50);
	assert_int_equal(count(v, "a", T0, T0 + 300000), 400);
}

static void test_age(void **state)
{
	struct env *v = *state;

	reopen(v, 1 << 30, 100000);
	fill(v, "a", T0, 500, 1);
	assert_true(count(v, "a", T0, T0 + 500000) <= 100 + 3 * SLOT_MS / 1000);
	assert_true(count(v, "a", T0, T0 + 500000) >= 100);
	/* ten years ahead, perhaps by mistake: nothing is thrown away for it */
	fill(v, "b", T0 + 315360000000ull, 200, 1);
	assert_true(count(v, "a", T0, T0 + 500000) >= 100);
	assert_int_equal(count(v, "b", T0 + 315360000000ull, T0 + 315360900000ull), 200);
}

/* A zone that nothing is left of is forgotten, and known again when it runs again. */
static void test_zone_is_forgotten(void **state)
{
	struct env *v = *state;

	reopen(v, 1 << 30, 100000);
	zone_named(v, 3, "early", T0);
	fill(v, "a", T0, 500, 1);
	assert_int_equal(store_known(v->s, 3, 1), 0);
	assert_int_not_equal(store_known(v->s, 7, 1), 0);
}

static uint64_t file_bytes(const struct env *v)
{
	struct stat st;

	assert_int_equal(stat(v->path, &st), 0);
	return (uint64_t)st.st_size;
}

static void noisy_ticks(struct env *v, uint64_t from_ms, size_t n, size_t zones)
{
	uint64_t x = from_ms;

	for (size_t t = 0; t < n; t++) {
		for (size_t z = 0; z < zones; z++) {
			uint32_t ref = store_known(v->s, 1000 + z, 1);
			char name[16];

			snprintf(name, sizeof(name), "z%zu", z);
			if (!ref)
				ref = zone_named(v, 1000 + z, name, from_ms + t * 1000);
			x = hash_u64(x + 1);
			assert_int_equal(store_sample(v->s, ref, 1, 0, x), 0);
		}
		commit(v, from_ms + t * 1000);
	}
}

static void test_size(void **state)
{
	struct env *v = *state;
	struct store_stats st;

	reopen(v, 2 << 20, 1ull << 50);
	assert_int_equal(metric(v, "cpu"), 1);
	noisy_ticks(v, T0, 4000, 200); /* about 8 MB if all of it were kept */
	store_stats(v->s, &st);
	assert_true(st.bytes <= (2 << 20) + (2 << 20) / 8);
	assert_true(file_bytes(v) <= (2 << 20) + (2 << 20) / 8);
	assert_true(st.oldest_ms > T0 + 1000000);
	assert_int_equal(count(v, "z7", T0 + 3900000, T0 + 4000000), 100);
	assert_int_equal(st.lost_ticks_total, 0);
	reopen(v, 1 << 20, 1ull << 50); /* a smaller limit: the file shrinks */
	noisy_ticks(v, T0 + 4000000, 400, 200);
	assert_true(file_bytes(v) <= (1 << 20) + (1 << 20) / 8);
}

/* The clock jumps ten years ahead while the file is full: only as much goes as has to. */
static void test_size_when_the_clock_jumps(void **state)
{
	struct env *v = *state;

	reopen(v, 2 << 20, 10000000);
	assert_int_equal(metric(v, "cpu"), 1);
	noisy_ticks(v, T0, 2000, 200);
	noisy_ticks(v, T0 + 315360000000ull, 200, 200);
	assert_int_equal(count(v, "z7", T0 + 1900000, T0 + 2000000), 100);
	assert_int_equal(count(v, "z7", T0 + 315360000000ull, T0 + 315360900000ull), 200);
}

/* Its folder may be reached by a link: /var is one on some hosts. */
static void test_behind_a_link(void **state)
{
	struct env *v = *state;
	char link[] = "/tmp/cz-store-link-XXXXXX", path[64];
	struct store_options opt = {path, 1 << 30, 1ull << 50};
	struct store *s = NULL;

	assert_non_null(mkdtemp(link));
	assert_int_equal(rmdir(link), 0);
	assert_int_equal(symlink(v->dir, link), 0);
	store_close(v->s);
	v->s = NULL;
	snprintf(path, sizeof(path), "%s/history.db", link);
	if (store_open(&opt, &s, &v->e) < 0)
		fail_msg("%s", v->e.msg);
	store_close(s);
	unlink(link);
}

static void test_only_one_writer(void **state)
{
	struct env *v = *state;
	struct store_options opt = {v->path, 0, 0};
	struct store *other = NULL;

	assert_int_equal(store_open(&opt, &other, &v->e), -EBUSY);
	assert_non_null(strstr(v->e.msg, "another cz-gate"));
}

static void test_newer_is_left_alone(void **state)
{
	struct env *v = *state;
	struct store_options opt = {v->path, 0, 0};
	sqlite3 *db = NULL;

	fill(v, "a", T0, 3, 1);
	store_close(v->s);
	v->s = NULL;
	assert_int_equal(sqlite3_open(v->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(&opt, &v->s, &v->e), -ENOTSUP);
	assert_non_null(strstr(v->e.msg, "newer"));
	assert_int_equal(sqlite3_open(v->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	reopen(v, 1 << 30, 1ull << 50);
	assert_int_equal(count(v, "a", T0, T0 + 9000), 3);
}

/* A file of version 1 is brought up and keeps what it has. */
static void test_migration(void **state)
{
	struct env *v = *state;
	sqlite3 *db = NULL;

	fill(v, "a", T0, 100, 1);
	store_close(v->s);
	v->s = NULL;
	assert_int_equal(sqlite3_open(v->path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "DROP TABLE note; PRAGMA user_version = 1", NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	reopen(v, 1 << 30, 1ull << 50);
	assert_int_equal(v->e.msg[0], 0);
	assert_int_equal(count(v, "a", T0, T0 + 100000), 100);
	test_notes(state);
}

static void spoil(const struct env *v, off_t at, size_t n)
{
	int fd = open(v->path, O_WRONLY);

	assert_true(fd >= 0);
	while (n--)
		assert_int_equal(pwrite(fd, "\x5a", 1, at++), 1);
	close(fd);
}

static void test_damaged_at_start(void **state)
{
	struct env *v = *state;
	char aside[128];

	fill(v, "a", T0, 100, 1);
	store_close(v->s);
	v->s = NULL;
	spoil(v, 0, 200);
	reopen(v, 1 << 30, 1ull << 50);
	assert_non_null(strstr(v->e.msg, "moved to"));
	snprintf(aside, sizeof(aside), "%s.damaged", v->path);
	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(count(v, "a", T0, T0 + 100000), 0);
	fill(v, "a", T0, 100, 1);
	assert_int_equal(count(v, "a", T0, T0 + 100000), 100);
}

static void test_not_a_history(void **state)
{
	struct env *v = *state;
	sqlite3 *db = NULL;

	store_close(v->s);
	v->s = NULL;
	unlink(v->path);
	assert_int_equal(sqlite3_open(v->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE mine(x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	reopen(v, 1 << 30, 1ull << 50); /* another program's database: kept, aside */
	assert_non_null(strstr(v->e.msg, "moved to"));
}

/* Spoilt pages that are met only later: reading says so, and the next tick begins a new file. */
static void test_damaged_later(void **state)
{
	struct env *v = *state;
	struct store_result *r = NULL;
	uint32_t refs[4];
	int n, result;

	reopen(v, 64 << 20, 1ull << 50);
	metric(v, "cpu");
	noisy_ticks(v, T0, 1000, 100);
	store_close(v->s);
	v->s = NULL;
	spoil(v, 20 * 4096, file_bytes(v) - 40 * 4096);
	reopen(v, 64 << 20, 1ull << 50);
	n = store_find(v->s, "z7", T0, T0 + 999000, refs, 4, &v->e);
	result = n;
	if (n > 0) {
		struct store_query q = {refs, (size_t)n, 1, 0, T0, T0 + 999000, 10};

		result = store_read(v->s, &q, &r, &v->e);
		store_result_free(r);
	}
	if (result >= 0 && !v->e.msg[0])
		fail_msg("damage was not noticed");
	for (int i = 0; i < 3 && store_commit(v->s, T0 + 1000000 + i, &v->e) < 0; i++)
		;
	fill(v, "a", T0 + 2000000, 100, 1);
	assert_int_equal(count(v, "a", T0 + 2000000, T0 + 2100000), 100);
}

static void test_removed_under_us(void **state)
{
	struct env *v = *state;
	bool told = false;

	fill(v, "a", T0, 10, 1);
	unlink(v->path);
	for (uint64_t i = 0; i < 200 && !told; i++)
		told = store_commit(v->s, T0 + 10000 + i * 1000, &v->e) < 0;
	assert_true(told);
	assert_non_null(strstr(v->e.msg, "removed"));
	assert_int_equal(store_commit(v->s, T0 + 300000, &v->e), -EAGAIN);
	fill(v, "a", T0 + 400000, 10, 1);
	assert_int_equal(access(v->path, F_OK), 0);
}

/* Killed at any instant, of writing, compaction and retention: what was told to be kept is kept. */
#define KILLS 25
static void write_until_killed(struct env *v, uint64_t from, volatile uint64_t *done)
{
	for (uint64_t i = from;; i++) {
		for (uint64_t z = 0; z < 20; z++)
			if (store_sample(v->s, zone_named(v, 50 + z, "busy", T0), 1, 0, i + z) < 0)
				_exit(1);
		if (store_commit(v->s, T0 + i * 1000, &v->e) < 0)
			_exit(1);
		*done = i + 1;
	}
}

static void test_killed(void **state)
{
	struct env *v = *state;
	uint64_t *done =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(done, MAP_FAILED);
	metric(v, "cpu");
	commit(v, T0 - 1000);
	for (uint64_t kill_nr = 0; kill_nr < KILLS; kill_nr++) {
		uint64_t before = *done, goal = before + 1 + hash_u64(kill_nr) % 100;
		int status;
		pid_t pid;

		store_close(v->s);
		v->s = NULL;
		pid = fork();
		if (pid == 0) {
			reopen(v, 1 << 30, 1ull << 50);
			write_until_killed(v, before, done);
		}
		while (*(volatile uint64_t *)done < goal && waitpid(pid, &status, WNOHANG) == 0)
			usleep(100);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		reopen(v, 1 << 30, 1ull << 50);
		assert_int_equal(v->e.msg[0], 0);
		assert_in_range(count(v, "busy", T0, T0 + 1000000000), *done * 20, *done * 20 + 20);
		*done = count(v, "busy", T0, T0 + 1000000000) / 20;
	}
	munmap(done, 4096);
}

/* A small filesystem in a mount namespace of its own runs full; then there is room again. */
static void fill_up(struct env *v, uint64_t *t_ms)
{
	int r = 0;

	for (; *t_ms < T0 + 5000000 && r == 0; *t_ms += 1000) {
		for (size_t z = 0; z < 100; z++)
			assert_int_equal(store_sample(v->s, store_known(v->s, 1000 + z, 1), 1, 0,
						      hash_u64(*t_ms + z)),
					 0);
		r = store_commit(v->s, *t_ms, &v->e);
	}
	if (r != -ENOSPC)
		fail_msg("%d: %s", r, v->e.msg);
}

static void test_full_disk(void **state)
{
	struct env *v = *state;
	uint64_t t_ms = T0 + 70000;
	struct store_stats st;
	char path[128];

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		skip();

	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("none", v->dir, "tmpfs", 0, "size=2m"), 0);
	reopen(v, 1 << 30, 1ull << 50);
	assert_int_equal(metric(v, "cpu"), 1);
	noisy_ticks(v, T0, 70, 100);
	fill_up(v, &t_ms);
	assert_non_null(strstr(v->e.msg, "no room"));
	assert_int_equal(count(v, "z7", T0, T0 + 70000), 70); /* readable meanwhile */
	assert_int_equal(mount("none", v->dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
	noisy_ticks(v, t_ms + 100000, 100, 100);
	assert_int_equal(count(v, "z7", t_ms + 100000, t_ms + 200000), 100);
	store_stats(v->s, &st);
	assert_true(st.lost_ticks_total > 0);
	store_close(v->s);
	v->s = NULL;
	snprintf(path, sizeof(path), "%s", v->dir);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static int note_of(struct env *v, uint64_t seq, const char *body)
{
	struct store_note n = {NOTE_EVENT, 1, seq, T0 + seq, T0 + seq, body};

	return store_note(v->s, &n, &v->e);
}

static void test_notes_without_a_tick(void **state)
{
	struct env *v = *state;

	assert_int_equal(note_of(v, 1, "{}"), 0);
	assert_int_equal(store_flush(v->s, NULL), 0);
	assert_int_equal(store_flush(v->s, NULL), 0);
	assert_int_equal(note_of(v, 2, "{}"), 0);
	reopen(v, 1 << 30, 1ull << 50);
	assert_int_equal(store_last_note(v->s, NOTE_EVENT, 1), 1);
	fill(v, "a", T0, 3, 1);
}

/* No room in the middle of a tick: SQLite takes all of it back, so its zones are not known. */
static void test_no_room_for_a_part(void **state)
{
	struct env *v = *state;
	char body[4096];
	uint64_t seq = 0;
	int r = 0;

	memset(body, 'x', sizeof(body));
	body[sizeof(body) - 1] = 0;
	reopen(v, STORE_BYTES_MIN, 1ull << 50);
	fill(v, "a", T0, 3, 1);
	assert_int_equal(
	    store_sample(v->s, zone_named(v, 8, "b", T0 + 3000), metric(v, "cpu"), 0, 1), 0);
	while (r == 0 && seq < 1000)
		r = note_of(v, ++seq, body);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(store_known(v->s, 8, 1), 0);
	commit(v, T0 + 3000);
	assert_int_equal(count(v, "b", T0, T0 + 9000), 0);
	assert_int_equal(/* its number is free again, and nothing goes by it */
			 store_sample(v->s, zone_named(v, 9, "c", T0 + 4000), metric(v, "cpu"), 0,
				      1),
			 0);
	commit(v, T0 + 4000);
	assert_int_equal(count(v, "c", T0, T0 + 9000), 1);
}

/* More notes than fit: the oldest go, and the samples stay. */
static void test_notes_leave_room(void **state)
{
	struct env *v = *state;
	struct store_stats st;
	char body[500];
	uint64_t seq = 0;

	memset(body, 'x', sizeof(body));
	body[sizeof(body) - 1] = 0;
	reopen(v, STORE_BYTES_MIN, 1ull << 50);
	for (uint64_t t = 0; t < 800; t++) {
		for (int i = 0; i < 5; i++)
			assert_int_equal(note_of(v, ++seq, body), 0);
		fill(v, "a", T0 + t * 1000, 1, t);
	}
	store_stats(v->s, &st);
	assert_int_equal(st.lost_ticks_total, 0);
	assert_int_equal(count(v, "a", T0, T0 + 800000), 800);
	assert_int_equal(store_last_note(v->s, NOTE_EVENT, 1), seq);
}

/* Read-only for everybody but root: as nobody. */
static void test_may_not_write(void **state)
{
	struct env *v = *state;
	pid_t pid;
	int status;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		struct store_options opt = {v->path, 0, 0};
		struct store *s = NULL;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(9);
		_exit(store_open(&opt, &s, &v->e) == -EACCES && strstr(v->e.msg, "history") ? 0
											    : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_bad_questions(void **state)
{
	struct env *v = *state;
	uint32_t ref = 1;
	struct store_query q = {&ref, 1, 1, 0, T0, T0, 10};
	struct store_result *r = NULL;

	assert_int_equal(store_read(v->s, &q, &r, &v->e), -EINVAL);
	q.to_ms = T0 + 1;
	q.points = STORE_POINTS_MAX + 1;
	assert_int_equal(store_read(v->s, &q, &r, &v->e), -EINVAL);
	q.points = 1;
	q.to_ms = UINT64_MAX;
	q.from_ms = 0;
	assert_int_equal(store_read(v->s, &q, &r, &v->e), -EINVAL);
	q.to_ms = UINT64_MAX / STORE_POINTS_MAX;
	assert_int_equal(store_read(v->s, &q, &r, &v->e), 0);
	store_result_free(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_there_and_back),
	    T(test_cells),
	    T(test_random),
	    T(test_extreme_values),
	    T(test_names_over_time),
	    T(test_restarted),
	    T(test_notes),
	    T(test_clock_goes_back),
	    T(test_age),
	    T(test_zone_is_forgotten),
	    T(test_size),
	    T(test_size_when_the_clock_jumps),
	    T(test_behind_a_link),
	    T(test_only_one_writer),
	    T(test_newer_is_left_alone),
	    T(test_migration),
	    T(test_damaged_at_start),
	    T(test_not_a_history),
	    T(test_damaged_later),
	    T(test_removed_under_us),
	    T(test_killed),
	    T(test_full_disk),
	    T(test_notes_without_a_tick),
	    T(test_no_room_for_a_part),
	    T(test_notes_leave_room),
	    T(test_may_not_write),
	    T(test_bad_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
