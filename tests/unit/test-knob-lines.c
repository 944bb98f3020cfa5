/* SPDX-License-Identifier: MIT */
/* Knob files with one line a device, as one text. */
#include "actuate/knob-lines.h"
#include "test.h"

static void test_get(void **state)
{
	const char *text = "253:0 5;8:0 rbps=1 wbps=max riops=max wiops=max";
	char line[64];

	assert_true(lines_get(text, "8:0", line, sizeof(line)));
	assert_string_equal(line, "8:0 rbps=1 wbps=max riops=max wiops=max");
	assert_true(lines_get(text, "253:0", line, sizeof(line)));
	assert_string_equal(line, "253:0 5");
	assert_false(lines_get(text, "53:0", line, sizeof(line)));
	assert_false(lines_get(text, "8", line, sizeof(line)));
	assert_false(lines_get("", "8:0", line, sizeof(line)));
}

static void test_set_keeps_the_others_and_the_order(void **state)
{
	char text[64] = "";

	assert_int_equal(lines_set(text, sizeof(text), "8:0", "8:0 100"), 0);
	assert_string_equal(text, "8:0 100");
	assert_int_equal(lines_set(text, sizeof(text), "253:0", "253:0 7"), 0);
	assert_string_equal(text, "253:0 7;8:0 100");
	assert_int_equal(lines_set(text, sizeof(text), "253:0", "253:0 9"), 0);
	assert_string_equal(text, "253:0 9;8:0 100");
}

static void test_what_does_not_fit_is_refused(void **state)
{
	char text[16] = "8:0 100";

	assert_int_equal(lines_set(text, sizeof(text), "253:0", "253:0 1048576"), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_get),
	    cmocka_unit_test(test_set_keeps_the_others_and_the_order),
	    cmocka_unit_test(test_what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
