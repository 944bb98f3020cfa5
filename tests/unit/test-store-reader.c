/* SPDX-License-Identifier: MIT */
/* A reader beside the writer: what it sees, when it gives up, and what becomes of damage. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "store/store.h"
#include "test.h"

#define T0 1800000000000ull

struct env {
	char dir[64], path[96];
	struct store *writer, *reader;
	int patience; /* so many times it is asked for; negative: for ever */
};

static bool has_patience(void *arg)
{
	struct env *v = arg;

	return v->patience < 0 || v->patience-- > 0;
}

static int setup(void **state)
{
	struct env *v = calloc(1, sizeof(*v));
	struct store_options opt = {v->path, 1 << 30, 1ull << 50};
	struct error e = {0};

	strcpy(v->dir, "/tmp/cz-reader-XXXXXX");
	assert_non_null(mkdtemp(v->dir));
	snprintf(v->path, sizeof(v->path), "%s/history.db", v->dir);
	v->patience = -1;
	assert_int_equal(store_open(&opt, &v->writer, &e), 0);
	assert_int_equal(store_open_reader(v->path, has_patience, v, &v->reader, &e), 0);
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"",	       "-wal",	       "-shm",	      "-lock",
					   ".damaged", ".damaged-wal", ".damaged-shm"};
	struct env *v = *state;

	store_close(v->reader);
	store_close(v->writer);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", v->path, ends[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(v->dir), 0);
	free(v);
	return 0;
}

/* Ticks of one zone, one a second. */
static void write_ticks(struct env *v, uint64_t from_ms, size_t n)
{
	struct store_identity who = {"boot", 7, "/some/zone", "zone", "cgroup", "normal"};
	struct error e = {0};
	uint32_t zone, metric;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(store_zone(v->writer, &who, 1, from_ms, &zone, &e), 0);
		assert_int_equal(store_metric(v->writer, "cpu", "ns/s", &metric, &e), 0);
		assert_int_equal(store_sample(v->writer, zone, metric, 0, i), 0);
		assert_int_equal(store_commit(v->writer, from_ms + i * 1000, &e), 0);
	}
}

/* How many samples there are, or what went wrong. */
static int read_all(struct env *v, struct error *reterr)
{
	_cleanup_(store_result_freep) struct store_result *res = NULL;
	uint32_t zone = 1;
	struct store_query q = {&zone, 1, STORE_ANY, STORE_ANY, T0, T0 + 1000000, 1};
	int r = store_read(v->reader, &q, &res, reterr);

	return r < 0 ? r : res->nr ? (int)res->series[0].cells[0].count : 0;
}

static int ask(struct env *v, struct error *reterr)
{
	int r = store_begin_reading(v->reader, reterr);

	if (r == 0)
		r = read_all(v, reterr);
	store_end_reading(v->reader);
	return r;
}

/* All of one question is of one instant, although ticks become chunks meanwhile. */
static void test_one_instant(void **state)
{
	struct env *v = *state;
	struct error e = {0};

	write_ticks(v, T0, 100);
	assert_int_equal(ask(v, &e), 100);
	assert_int_equal(store_begin_reading(v->reader, &e), 0);
	assert_int_equal(read_all(v, &e), 100);
	write_ticks(v, T0 + 100000, 100);
	assert_int_equal(read_all(v, &e), 100);
	store_end_reading(v->reader);
	assert_int_equal(ask(v, &e), 200);
}

static void test_gives_up(void **state)
{
	struct env *v = *state;
	struct error e = {0};

	write_ticks(v, T0, 200);
	assert_int_equal(ask(v, &e), 200);
	v->patience = 2;
	assert_int_equal(ask(v, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "too long"));
	assert_int_equal(store_found_damaged(v->reader), 0);
	v->patience = -1;
	assert_int_equal(ask(v, &e), 200);
	write_ticks(v, T0 + 200000, 10); /* and the writer was not held up */
}

/* SQLite itself is stopped too: in the middle of a statement that looks at all names. */
static void test_gives_up_within_a_statement(void **state)
{
	struct env *v = *state;
	struct error e = {0};
	uint32_t refs[4], zone;

	for (uint64_t i = 1; i <= 3000; i++) {
		struct store_identity who = {"boot", i, "/a/b", "b", "cgroup", "normal"};

		assert_int_equal(store_zone(v->writer, &who, 1, T0, &zone, &e), 0);
	}
	assert_int_equal(store_commit(v->writer, T0, &e), 0);
	v->patience = 0;
	assert_int_equal(store_begin_reading(v->reader, &e), 0);
	assert_int_equal(store_find(v->reader, "nobody", T0, T0 + 1, refs, 4, &e), -ETIMEDOUT);
	store_end_reading(v->reader);
}

/* Damage that a reader meets is the writer's to mend, and only where it is still the same file. */
static void test_damaged(void **state)
{
	struct env *v = *state;
	struct error e = {0};
	sqlite3 *db = NULL;
	uint64_t inode;
	FILE *f;

	write_ticks(v, T0, 200);
	assert_int_equal(ask(v, &e), 200);
	assert_int_equal(sqlite3_open(v->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	f = fopen(v->path, "r+");
	assert_non_null(f);
	fseek(f, 4096, SEEK_SET);
	for (int i = 0; i < 20000; i++)
		fputs("no page", f);
	fclose(f);
	store_close(v->reader);
	assert_int_equal(store_open_reader(v->path, has_patience, v, &v->reader, &e), 0);
	assert_true(ask(v, &e) < 0);
	assert_int_equal(e.code, -EBADMSG);
	inode = store_found_damaged(v->reader);
	assert_int_not_equal(inode, 0);
	store_suspect(v->writer, inode + 1);
	store_suspect(v->writer, 0);
	store_suspect(v->writer, inode);
	assert_int_equal(store_commit(v->writer, T0 + 201000, &e), -EAGAIN);
	assert_non_null(strstr(e.msg, ".damaged"));
	write_ticks(v, T0 + 300000, 5);
	assert_int_equal(ask(v, &e), 5);
	store_suspect(v->writer, inode);
	write_ticks(v, T0 + 310000, 5); /* it is another by now */
	assert_int_equal(ask(v, &e), 10);
}

static void test_no_file(void **state)
{
	struct env *v = *state;
	struct store *s = NULL;
	struct error e = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/none", v->dir);
	assert_int_equal(store_open_reader(path, has_patience, v, &s, &e), 0);
	assert_int_equal(store_begin_reading(s, &e), -EACCES);
	store_end_reading(s);
	store_close(s);
	assert_int_equal(access(path, F_OK), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_one_instant), T(test_gives_up), T(test_gives_up_within_a_statement),
	    T(test_damaged),	 T(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
