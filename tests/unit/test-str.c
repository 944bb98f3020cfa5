/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/str.h"
#include "test.h"

static void test_strbuf(void **state)
{
	struct strbuf b = {0};

	for (int i = 0; i < 1000; i++)
		strbuf_printf(&b, "%d,", i % 10);
	strbuf_puts(&b, "end");
	assert_false(b.failed);
	assert_int_equal(b.len, 2003);
	assert_int_equal(strlen(b.data), 2003);
	strbuf_reset(&b);
	assert_string_equal(b.data, "");
	strbuf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	strbuf_done(&b);
	assert_null(b.data);

	strbuf_add(&b, "x", SIZE_MAX); /* cannot be: fails without touching memory */
	assert_true(b.failed);
	strbuf_puts(&b, "y");
	assert_true(b.failed);
	assert_null(b.data);
	strbuf_done(&b);
}

static void test_escape(void **state)
{
	char buf[64];

	assert_string_equal(str_escape(buf, sizeof(buf), "redis.service"), "redis.service");
	assert_string_equal(str_escape(buf, sizeof(buf), "a\nb\033[2J"), "a\\x0ab\\x1b[2J");
	assert_string_equal(str_escape(buf, sizeof(buf), "\x7f"), "\\x7f");
	assert_string_equal(str_escape(buf, sizeof(buf), "caf\xc3\xa9"), "caf\xc3\xa9");
	assert_string_equal(str_escape(buf, sizeof(buf), "\xff\xc3"), "\\xff\\xc3");
	assert_string_equal(str_escape(buf, sizeof(buf), "\xc0\x80"), "\\xc0\\x80"); /* overlong */
	assert_string_equal(str_escape(buf, sizeof(buf), "\xc2\x9b"), "\\xc2\\x9b"); /* C1: CSI */
	assert_string_equal(str_escape(buf, sizeof(buf), "\xe2\x80\xae"),
			    "\\xe2\\x80\\xae"); /* RLO */
	assert_string_equal(str_escape(buf, sizeof(buf), "\xed\xa0\x80"),
			    "\\xed\\xa0\\x80"); /* surrogate */
}

static void test_escape_cuts(void **state)
{
	char buf[8];

	assert_string_equal(str_escape(buf, sizeof(buf), "1234567"), "1234567");
	assert_string_equal(str_escape(buf, sizeof(buf), "12345678"), "1234...");
	assert_string_equal(str_escape(buf, sizeof(buf), "123\n\n"), "123..."); /* no half escape */
	assert_string_equal(str_escape(buf, 2, "12"), ".");
	assert_string_equal(str_escape(buf, 1, "12"), "");
	buf[0] = 'z';
	str_escape(buf, 0, "12");
	assert_int_equal(buf[0], 'z');
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} cases[] = {
	    {"/a", "/a", true},
	    {"/a", "/ab", false},
	    {"", "", true},
	    {"*", "", true},
	    {"*", "abc", true},
	    {"*", "a/c", false},
	    {"**", "a/c", true},
	    {"/system.slice/redis*", "/system.slice/redis.service", true},
	    {"/system.slice/redis*", "/system.slice/redis.service/sub", false},
	    {"/system.slice/**", "/system.slice/redis.service/sub", true},
	    {"/a/**/b", "/a/b", true},
	    {"/a/**/b", "/a/x/y/b", true},
	    {"/a/**/b", "/a/xb", false},
	    {"**/b", "/x/b", true},
	    {"/a?c", "/abc", true},
	    {"/a?c", "/a/c", false},
	    {"/*/*/c", "/a/b/c", true},
	    {"/*/*/c", "/a/c", false},
	    {"*a*b*c", "xxaxxbxxbxc", true},
	    {"*a*b*c", "xxaxxbxxbx", false},
	    {"**a*b/c", "a/ab/ab/c", true},
	    {"***", "x/y", true},
	    {"/a/**/**/b", "/a/b", true},
	    {"ab*", "a", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (path_glob_match(cases[i].pattern, cases[i].path) != cases[i].match)
			fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].path);
	}
}

static void test_distance(void **state)
{
	char long_name[300];

	assert_int_equal(str_distance("redis", "redis"), 0);
	assert_int_equal(str_distance("reids", "redis"), 1); /* transposition */
	assert_int_equal(str_distance("", "abc"), 3);
	assert_int_equal(str_distance("kitten", "sitting"), 3);
	assert_int_equal(str_distance("batch/hog", "batch/hag"), 1);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	assert_int_equal(str_distance(long_name, "x"), 255);
}

static void test_copies(void **state)
{
	char buf[4];

	assert_true(str_copy(buf, sizeof(buf), "abc"));
	assert_false(str_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_int_equal(str_printf(buf, sizeof(buf), "%d", 123), 0);
	assert_int_equal(str_printf(buf, sizeof(buf), "%d", 1234), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strbuf),	cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_escape_cuts), cmocka_unit_test(test_glob),
	    cmocka_unit_test(test_distance),	cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
