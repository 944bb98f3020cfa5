/* SPDX-License-Identifier: MIT */
/* Folded stacks and the picture of them: sums, order, what strangers call their functions. */
#include "base/cleanup.h"
#include "cli/folded.h"
#include "test.h"

static void add(struct folded *f, uint64_t samples, size_t nr, const char *const names[])
{
	_cleanup_(strbuf_done) struct strbuf line = {0};

	for (size_t i = 0; i < nr; i++)
		folded_frame(&line, names[i]);
	folded_add(f, line.data, samples);
}
#define ADD(f, samples, ...)                                                                       \
	add(f, samples, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                    \
	    (const char *const[]){__VA_ARGS__})

static void test_text(void **state)
{
	_cleanup_(folded_done) struct folded f = {0};
	_cleanup_(strbuf_done) struct strbuf b = {0};

	ADD(&f, 3, "redis", "main", "read");
	ADD(&f, 1, "a;b\n", "x");
	ADD(&f, 4, "redis", "main", "read");
	ADD(&f, 2, "redis", "main");
	folded_sort(&f);
	folded_text(&f, &b);
	assert_string_equal(b.data, "a:b\\x0a;x 1\nredis;main 2\nredis;main;read 7\n");
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Frames that begin with another's name, and sort between it and its callees, do not cut it. */
static void test_frames_are_whole(void **state)
{
	_cleanup_(folded_done) struct folded f = {0};
	_cleanup_(strbuf_done) struct strbuf b = {0};

	ADD(&f, 30, "p", "f", "g");
	ADD(&f, 20, "p", "f!", "g");
	ADD(&f, 10, "p", "f");
	folded_sort(&f);
	folded_svg(&f, "t", "n", &b);
	assert_int_equal(count(b.data, "class=\"f\""), 5);
	assert_int_equal(count(b.data, "<title>p\n60 samples, 100.0 %</title>"), 1);
	assert_int_equal(count(b.data, "<title>f\n40 samples, 66.7 %</title>"), 1);
	assert_int_equal(count(b.data, "<title>f!\n20 samples, 33.3 %</title>"), 1);
	assert_int_equal(count(b.data, "<title>g\n30 samples, 50.0 %</title>"), 1);
}

static void test_order_does_not_matter(void **state)
{
	_cleanup_(strbuf_done) struct strbuf one = {0}, other = {0};

	for (int i = 0; i < 2; i++) {
		_cleanup_(folded_done) struct folded f = {0};

		ADD(&f, 1, "p", i ? "x" : "y");
		ADD(&f, 1, "p", i ? "y" : "x");
		folded_sort(&f);
		folded_svg(&f, "t", "n", i ? &one : &other);
	}
	assert_string_equal(one.data, other.data);
}

static void test_hostile_names(void **state)
{
	_cleanup_(folded_done) struct folded f = {0};
	_cleanup_(strbuf_done) struct strbuf b = {0};

	ADD(&f, 1, "</title><script>alert(1)</script>", "]]>", "&x;\x1b[2J", "\xef\xbf\xbf\xff");
	folded_sort(&f);
	folded_svg(&f, "<b>", "\"'", &b);
	assert_int_equal(count(b.data, "<script"), 1);
	assert_int_equal(count(b.data, "]]>"), 1);
	assert_null(strstr(b.data, "<b>"));
	assert_null(strchr(b.data, 0x1b));
	assert_null(strstr(b.data, "\xef\xbf\xbf"));
	assert_null(strchr(b.data, (char)0xff));
	assert_non_null(strstr(b.data, "&amp;x:\\x1b[2J"));
}

/* Deeper than is drawn, and a name of no length. */
static void test_limits(void **state)
{
	_cleanup_(folded_done) struct folded f = {0};
	_cleanup_(strbuf_done) struct strbuf b = {0};
	const char *names[400];

	for (size_t i = 0; i < 400; i++)
		names[i] = i % 2 ? "f" : "";
	add(&f, 1, 400, names);
	folded_sort(&f);
	folded_svg(&f, "t", "n", &b);
	assert_int_equal(count(b.data, "class=\"f\""), 192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_frames_are_whole),
	    cmocka_unit_test(test_order_does_not_matter),
	    cmocka_unit_test(test_hostile_names),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
