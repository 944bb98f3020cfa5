/* SPDX-License-Identifier: MIT */
/* The journal as text and as a file; no cgroup is needed. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "test.h"
#include "actuate/journal.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"

#define BOOT	   "11111111-2222-3333-4444-555555555555"
#define OTHER_BOOT "99999999-2222-3333-4444-555555555555"
#define ODD_PATH   "/q\"\\\xff\x01 \xc3\xa9/z"

static char dir[32];
static int dirfd_ = -1;

static int setup(void **state)
{
	strcpy(dir, "/tmp/cz-journal-XXXXXX");
	assert_non_null(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirfd_ >= 0);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"journal", "journal.old-boot", "journal.new",
					    "journal.bad"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(dirfd_, names[i], 0);
	close_fd(&dirfd_);
	return rmdir(dir);
}

static void put(const char *text)
{
	assert_int_equal(write_file_atomic(dirfd_, "journal", text, strlen(text), 0600), 0);
}

static void get(char *buf, size_t size)
{
	assert_true(read_file_at(dirfd_, "journal", buf, size) >= 0);
}

static void open_journal(struct journal *j)
{
	assert_int_equal(journal_open(j, dirfd_, BOOT, NULL), 0);
}

static struct entry *make(uint64_t seq)
{
	struct entry *e;

	assert_int_equal(entry_new(seq, 77, ODD_PATH, &e), 0);
	e->knob = KNOB_CPU_IDLE;
	e->at_ns = 5;
	strcpy(e->from, "0");
	strcpy(e->to, "1");
	assert_int_equal(entry_add(e, KF_WEIGHT, 77, ODD_PATH, "303", NULL), 0);
	assert_int_equal(entry_add(e, KF_IDLE, UINT64_MAX, "/else", "0", "1"), 0);
	assert_int_equal(entry_pin(e, KF_CPUS, 78, ODD_PATH, ""), 0);
	return e;
}

static void begin(struct journal *j, uint64_t seq)
{
	assert_int_equal(journal_begin(j, make(seq)), 0);
}

static void test_round_trip(void **state)
{
	struct journal j;
	const struct entry *e;

	open_journal(&j);
	begin(&j, 12);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 1);
	assert_int_equal(j.bad_lines, 0);
	assert_int_equal(j.last_seq, 12);
	e = j.open[0];
	assert_string_equal(e->path, ODD_PATH);
	assert_int_equal(e->zone_id, 77);
	assert_int_equal(e->knob, KNOB_CPU_IDLE);
	assert_int_equal(e->at_ns, 5);
	assert_int_equal(e->nr, 3);
	assert_true(e->parts[0].side && !e->parts[0].path);
	assert_string_equal(e->parts[0].old, "303");
	assert_true(e->parts[1].id == UINT64_MAX && !e->parts[1].side);
	assert_string_equal(e->parts[1].path, "/else");
	assert_string_equal(e->parts[1].new, "1");
	assert_string_equal(e->parts[2].old, e->parts[2].new);
	journal_done(&j);
}

/* Nothing open: only the header stays, and the numbers go on. */
static void test_cut_back(void **state)
{
	struct journal j;
	char text[4096];

	open_journal(&j);
	begin(&j, 3);
	begin(&j, 4);
	journal_end(&j, journal_find(&j, 3), "restored", NULL, 0);
	get(text, sizeof(text));
	assert_non_null(strstr(text, "\"op\":\"end\",\"seq\":3,\"how\":\"restored\""));
	journal_end(&j, journal_find(&j, 4), "restored", NULL, 0);
	get(text, sizeof(text));
	assert_int_equal(strlen(strchr(text, '\n')), 1);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.last_seq, 4);
	assert_int_equal(j.nr, 0);
	journal_done(&j);
}

static void test_one_writer(void **state)
{
	struct journal j, second;
	struct error e = {0};

	open_journal(&j);
	assert_int_equal(journal_open(&second, dirfd_, BOOT, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "another czd"));
	journal_done(&second);
	/* Replaced under the lock's feet: the new file is as locked as the old. */
	begin(&j, 1);
	assert_int_equal(unlinkat(dirfd_, "journal", 0), 0);
	begin(&j, 2);
	assert_int_equal(journal_open(&second, dirfd_, BOOT, NULL), -EBUSY);
	journal_done(&second);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 2);
	journal_done(&j);
}

static void test_cut_by_somebody(void **state)
{
	struct journal j;

	open_journal(&j);
	begin(&j, 1);
	assert_int_equal(ftruncate(j.fd, 10), 0);
	begin(&j, 2);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 2);
	assert_int_equal(j.bad_lines, 0);
	journal_done(&j);
}

static void test_other_boot(void **state)
{
	struct journal j;
	char text[4096];

	assert_int_equal(journal_open(&j, dirfd_, OTHER_BOOT, NULL), 0);
	begin(&j, 9);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 0);
	assert_int_equal(j.last_seq, 0);
	assert_true(j.writable);
	assert_true(read_file_at(dirfd_, "journal.old-boot", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "\"seq\":9"));
	get(text, sizeof(text));
	assert_non_null(strstr(text, BOOT));
	journal_done(&j);
}

#define HEADER "{\"journal\":1,\"boot\":\"" BOOT "\",\"last_seq\":7}\n"
#define DO(seq, part)                                                                              \
	"{\"op\":\"do\",\"seq\":" seq ",\"zone\":\"5\",\"knob\":\"cpu.idle\",\"path\":\"/a\","     \
	"\"from\":\"0\",\"to\":\"1\",\"at\":1,\"parts\":[" part "]}\n"
#define PART "{\"file\":\"cpu.idle\",\"id\":\"5\",\"old\":\"0\",\"new\":\"1\"}"

static void test_damaged_lines(void **state)
{
	static const char *const bad[] = {
	    "garbage\n",
	    "[]\n",
	    "{\"op\":7}\n",
	    "{\"op\":\"do\"}\n",
	    DO("1", PART) /* twice the same number */,
	    DO("0", PART),
	    DO("-3", PART),
	    DO("3", ""),
	    DO("3", "{\"file\":\"/etc/passwd\",\"id\":\"5\",\"old\":\"0\",\"new\":\"1\"}"),
	    DO("3", "{\"file\":\"cpu.idle\",\"id\":\"1\",\"old\":\"0\",\"new\":\"1\"}"),
	    DO("3", "{\"file\":\"cpu.idle\",\"id\":\"x\",\"old\":\"0\",\"new\":\"1\"}"),
	    DO("3", "{\"file\":\"cpu.idle\",\"id\":\"5\",\"old\":\"0\\n1\",\"new\":\"1\"}"),
	    DO("3", "{\"file\":\"cpu.idle\",\"id\":\"5\",\"path\":\"/a/../"
		    "b\",\"old\":\"0\",\"new\":\"1\"}"),
	    DO("3",
	       "{\"file\":\"cpu.idle\",\"id\":\"5\",\"path\":\"/\",\"old\":\"0\",\"new\":\"1\"}"),
	    DO("3", "{\"file\":\"cpu.idle\",\"id\":\"5\",\"old\":\"\\u0100\",\"new\":\"1\"}"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct strbuf b = {0};
		struct journal j;

		strbuf_printf(&b, "%s%s%s%s", HEADER DO("1", PART), bad[i], DO("2", PART),
			      "{\"op\":\"do\",\"seq\":4,\"zo");
		put(b.data);
		strbuf_done(&b);
		open_journal(&j);
		if (j.bad_lines != 1 || j.nr != 2)
			fail_msg("%zu bad lines %u, open %zu", i, j.bad_lines, j.nr);
		assert_true(j.torn);
		assert_int_equal(j.last_seq, 7);
		/* The torn line is gone when the next one comes. */
		begin(&j, 20);
		journal_done(&j);
		open_journal(&j);
		assert_int_equal(j.nr, 3);
		assert_int_equal(j.bad_lines, 1);
		journal_done(&j);
	}
}

/* Without a header its boot can't be known; ids and values still guard the undo. */
static void test_damaged_header(void **state)
{
	struct journal j;

	put("{\"journal\":1,\"boo\n" DO("1", PART) "{\"op\":\"later\",\"x\":1}\n");
	open_journal(&j);
	assert_int_equal(j.nr, 1);
	assert_int_equal(j.bad_lines, 1);
	assert_int_equal(j.unknown_lines, 1);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 1);
	assert_int_equal(j.bad_lines, 0);
	journal_done(&j);
}

static void test_rebase(void **state)
{
	struct rebase r = {.part = 0};
	struct journal j;

	open_journal(&j);
	begin(&j, 1);
	begin(&j, 2);
	r.entry = j.open[1];
	strcpy(j.open[1]->parts[0].old, "404");
	journal_end(&j, j.open[0], "restored", &r, 1);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 1);
	assert_int_equal(j.open[0]->seq, 2);
	assert_string_equal(j.open[0]->parts[0].old, "404");
	journal_done(&j);
}

/* Something stays open for ever, others come and go. */
static void test_stays_small(void **state)
{
	struct journal j;
	struct stat st;

	open_journal(&j);
	begin(&j, 1);
	for (uint64_t seq = 2; seq < 8000; seq++) {
		begin(&j, seq);
		journal_end(&j, journal_find(&j, seq), "restored", NULL, 0);
	}
	assert_int_equal(fstatat(dirfd_, "journal", &st, 0), 0);
	assert_true(st.st_size < (1 << 20) + 4096);
	journal_done(&j);
	open_journal(&j);
	assert_int_equal(j.nr, 1);
	assert_int_equal(j.last_seq, 7999);
	journal_done(&j);
}

static void test_not_a_file(void **state)
{
	struct journal j;

	assert_int_equal(symlinkat("/dev/null", dirfd_, "journal"), 0);
	open_journal(&j);
	assert_false(j.writable);
	assert_int_equal(unlinkat(dirfd_, "journal", 0), 0);
	assert_int_equal(journal_retry(&j, NULL), 0);
	assert_true(j.writable);
	begin(&j, 1);
	journal_done(&j);
}

static void test_paths(void **state)
{
	static const char *const bad[] = {"",	   "/",	  "a",	   "/a/",    "//a",
					  "/a//b", "/..", "/a/..", "/a/./b", "/a/../b"};
	static const char *const good[] = {"/a", "/a/b", "/...", "/a/..b", "/.a"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(zone_path_valid(bad[i]));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(zone_path_valid(good[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_round_trip),		  T(test_cut_back),   T(test_one_writer),
	    T(test_cut_by_somebody),	  T(test_other_boot), T(test_damaged_lines),
	    T(test_damaged_header),	  T(test_rebase),     T(test_stays_small),
	    T(test_not_a_file),
#undef T
	    cmocka_unit_test(test_paths),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
