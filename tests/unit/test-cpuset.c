/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "test.h"

static void test_round_trip(void **state)
{
	static const struct {
		const char *in, *out;
		unsigned int count;
	} cases[] = {
	    {"", "", 0},	   {"\n", "", 0},
	    {"0", "0", 1},	   {"0-3,7,9-11\n", "0-3,7,9-11", 8},
	    {" 3,1,2 ", "1-3", 3}, {"63-64", "63-64", 2},
	    {"4095", "4095", 1},   {"0-4095", "0-4095", 4096},
	    {"1,1,1-1", "1", 1},
	};
	char buf[64];
	struct cpuset s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cpuset_parse(cases[i].in, &s), 0);
		assert_int_equal(cpuset_count(&s), cases[i].count);
		assert_int_equal(cpuset_format(&s, buf, sizeof(buf)), 0);
		assert_string_equal(buf, cases[i].out);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *in;
		int r;
	} cases[] = {
	    {"a", -EINVAL},	  {"1-", -EINVAL},
	    {"-1", -EINVAL},	  {"1,", -EINVAL},
	    {",1", -EINVAL},	  {"3-1", -EINVAL},
	    {"1--2", -EINVAL},	  {"1, 2", -EINVAL},
	    {"1- 2", -EINVAL},	  {"4096", -ERANGE},
	    {"0-4096", -ERANGE},  {"0x1", -EINVAL},
	    {"0-3:1/2", -EINVAL}, {"99999999999999999999", -ERANGE},
	};
	struct cpuset s, before;

	assert_int_equal(cpuset_parse("5", &s), 0);
	before = s;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cpuset_parse(cases[i].in, &s), cases[i].r);
	assert_true(cpuset_equal(&s, &before));
}

static void test_sets(void **state)
{
	struct cpuset a, b, r;
	char buf[6];

	assert_int_equal(cpuset_parse("0-3,100", &a), 0);
	assert_int_equal(cpuset_parse("2-5", &b), 0);
	cpuset_and(&r, &a, &b);
	assert_int_equal(cpuset_format(&r, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "2-3");
	cpuset_or(&r, &a, &b);
	assert_int_equal(cpuset_count(&r), 7);
	assert_int_equal(cpuset_format(&r, buf, sizeof(buf)), -ENAMETOOLONG); /* "0-5,100" */
	cpuset_andnot(&r, &a, &b);
	assert_true(cpuset_has(&r, 0) && cpuset_has(&r, 100) && !cpuset_has(&r, 2));
	cpuset_del(&r, 100);
	cpuset_add(&r, CPUSET_MAX); /* ignored */
	assert_false(cpuset_has(&r, CPUSET_MAX));
	assert_int_equal(cpuset_next(&a, 0), 0);
	assert_int_equal(cpuset_next(&a, 4), 100);
	assert_int_equal(cpuset_next(&a, 101), -1);
	assert_int_equal(cpuset_next(&a, CPUSET_MAX), -1);
	cpuset_zero(&r);
	assert_int_equal(cpuset_next(&r, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
