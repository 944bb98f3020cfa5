/* SPDX-License-Identifier: MIT */
#include "test.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "detect/cpi2.h"
#include "detect/work.h"

#define SEC 1000000000ull

/* A second with so many units at so many ns each, give or take 2 %. */
static struct work_verdict second(struct work *w, uint64_t units, uint64_t cost_ns)
{
	static uint64_t n;
	uint64_t noise = hash_u64(++n) % 40001;
	struct work_sample s = {units, units * cost_ns / 1000000 * (980000 + noise), SEC};
	struct work_verdict v;

	work_judge(w, &s, &v);
	work_learn(w, &s, &v);
	return v;
}

static bool is_harm(const struct work_verdict *v)
{
	return v->known && v->cost_ns > v->limit_ns;
}

static void train(struct work *w, uint64_t units, uint64_t cost_ns, int seconds)
{
	for (int i = 0; i < seconds; i++)
		second(w, units, cost_ns);
}

static void test_nothing_is_known_at_first(void **state)
{
	struct work w = {0};
	struct work_verdict v = second(&w, 20000, 580000);

	assert_false(v.known);
	train(&w, 20000, 580000, 8);
	assert_false(second(&w, 20000, 580000).known);
	v = second(&w, 20000, 580000);
	assert_true(v.known && !v.nearby);
	assert_true(v.usual_ns > 570000 && v.usual_ns < 590000);
	assert_true(v.limit_ns >= 1.24 * v.usual_ns && v.limit_ns < 1.4 * v.usual_ns);
	assert_false(is_harm(&v));
}

static void test_dear_units_are_harm(void **state)
{
	struct work w = {0};
	struct work_verdict v;

	train(&w, 20000, 580000, 60);
	v = second(&w, 20000, 900000); /* what a memset beside Redis does to a request */
	assert_true(is_harm(&v));
	assert_true(v.extra_ns > 20000ull * 300000 && v.extra_ns < 20000ull * 350000);
	train(&w, 20000, 900000, 500); /* it does not become usual meanwhile */
	v = second(&w, 20000, 900000);
	assert_true(is_harm(&v));
	v = second(&w, 20000, 580000);
	assert_false(is_harm(&v));
	v = second(&w, 20000, 660000); /* a seventh more is none */
	assert_false(is_harm(&v));
}

/* Fewer requests, each dearer: what batches do. */
static void test_load_is_no_harm(void **state)
{
	struct work w = {0};
	struct work_verdict v;

	train(&w, 40000, 500000, 30);
	train(&w, 5000, 900000, 30);
	v = second(&w, 5000, 900000);
	assert_true(v.known && !is_harm(&v));
	v = second(&w, 40000, 500000);
	assert_true(v.known && !is_harm(&v));
	v = second(&w, 40000, 900000);
	assert_true(is_harm(&v));
}

/* A closed loop slows down with its units: the load at hand was never seen. */
static void test_a_load_nearby(void **state)
{
	struct work w = {0};
	struct work_verdict v;

	train(&w, 20000, 50000, 30);
	v = second(&w, 10500, 95000);
	assert_true(v.known && v.nearby && is_harm(&v));
	v = second(&w, 10500, 65000);
	assert_true(v.known && v.nearby && !is_harm(&v));
	assert_false(second(&w, 300, 95000).known);
}

static void test_another_kind_of_work(void **state)
{
	struct work w = {0};
	struct work_verdict v;

	train(&w, 20000, 580000, 60);
	train(&w, 20000, 1200000, 620);
	v = second(&w, 20000, 1200000);
	assert_true(v.known && !is_harm(&v));
}

static void test_too_few_units(void **state)
{
	struct work w = {0};

	train(&w, 19, 580000, 60);
	assert_false(second(&w, 19, 580000).known);
	work_judge(&w, &(struct work_sample){100, 1000, 0}, &(struct work_verdict){0});
}

/* Who it was: cost takes the place of CPI. */
static void test_the_culprit_by_cost(void **state)
{
	struct work w = {0};
	struct work_verdict v = {0};
	double cost[10], hog[10], steady[10];

	train(&w, 20000, 580000, 60);
	for (int i = 0; i < 10; i++) {
		v = second(&w, 20000, i >= 7 ? 1100000 : 580000);
		cost[i] = v.cost_ns;
		hog[i] = i >= 7 ? 1 : 0;
		steady[i] = 0.5;
	}
	assert_true(cpi2_correlation(cost, hog, 10, v.limit_ns) >= 0.3);
	assert_true(cpi2_correlation(cost, hog, 10, v.limit_ns) >=
		    0.65 * cpi2_ceiling(cost[9], v.limit_ns));
	assert_true(cpi2_correlation(cost, steady, 10, v.limit_ns) < 0.05);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_is_known_at_first),
	    cmocka_unit_test(test_dear_units_are_harm),
	    cmocka_unit_test(test_load_is_no_harm),
	    cmocka_unit_test(test_a_load_nearby),
	    cmocka_unit_test(test_another_kind_of_work),
	    cmocka_unit_test(test_too_few_units),
	    cmocka_unit_test(test_the_culprit_by_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
