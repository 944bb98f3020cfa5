/* SPDX-License-Identifier: MIT */
/* The intended schedule is statistics, not timing: checked without a clock. */
#include <math.h>
#include "base/cleanup.h"
#include "bench/arrival.h"
#include "test.h"

#define N 100000

static void test_fixed(void **state)
{
	struct arrival a;

	arrival_init(&a, ARRIVAL_FIXED, 3, 1);
	assert_int_equal(arrival_next_ns(&a), 333333333);
	assert_int_equal(arrival_next_ns(&a), 666666666);
	assert_int_equal(arrival_next_ns(&a), 1000000000); /* no drift from rounding */
	arrival_init(&a, ARRIVAL_FIXED, 20000, 7);
	for (uint64_t i = 1; i <= N; i++)
		assert_int_equal(arrival_next_ns(&a), i * 50000);
}

static void test_poisson(void **state)
{
	double sum = 0, squares = 0, longer_than_mean = 0, lag1 = 0, before = 0;
	struct arrival a;
	uint64_t last = 0;

	arrival_init(&a, ARRIVAL_POISSON, 20000, 42);
	for (int i = 0; i < N; i++) {
		uint64_t at = arrival_next_ns(&a);
		double gap;

		assert_true(at >= last);
		gap = (double)(at - last) / 50000;
		sum += gap;
		squares += gap * gap;
		longer_than_mean += gap > 1;
		lag1 += (gap - 1) * (before - 1);
		before = gap;
		last = at;
	}
	/* Exponential gaps: mean 1, variance 1, P(gap > mean) = 1/e, independent. 5 sigma each. */
	assert_true(fabs(sum / N - 1) < 5 / sqrt(N));
	assert_true(fabs(squares / N - 2) < 5 * sqrt(20.0 / N));
	assert_true(fabs(longer_than_mean / N - exp(-1)) < 5 * sqrt(0.2325 / N));
	assert_true(fabs(lag1 / N) < 5 / sqrt(N));
}

/* Counts per millisecond (mean 20): their variance equals their mean. */
static void test_poisson_counts(void **state)
{
	static unsigned int counts[4000];
	double mean = 0, variance = 0;
	struct arrival a;
	uint64_t at;

	arrival_init(&a, ARRIVAL_POISSON, 20000, 3);
	while ((at = arrival_next_ns(&a)) < ARRAY_SIZE(counts) * 1000000)
		counts[at / 1000000]++;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		mean += counts[i] / (double)ARRAY_SIZE(counts);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		variance += (counts[i] - mean) * (counts[i] - mean) / (double)ARRAY_SIZE(counts);
	assert_true(fabs(mean - 20) < 0.4);
	assert_true(variance / mean > 0.88 && variance / mean < 1.12);
}

static void test_seeds(void **state)
{
	struct arrival a, b, c;
	int same = 0;

	arrival_init(&a, ARRIVAL_POISSON, 1000, 5);
	arrival_init(&b, ARRIVAL_POISSON, 1000, 5);
	arrival_init(&c, ARRIVAL_POISSON, 1000, 6);
	for (int i = 0; i < 100; i++) {
		uint64_t at = arrival_next_ns(&a);

		assert_int_equal(arrival_next_ns(&b), at);
		same += arrival_next_ns(&c) == at;
	}
	assert_true(same < 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fixed),
	    cmocka_unit_test(test_poisson),
	    cmocka_unit_test(test_poisson_counts),
	    cmocka_unit_test(test_seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
