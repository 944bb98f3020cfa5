/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hist.h"
#include "test.h"

static struct hist *new_hist(void)
{
	struct hist *h = malloc(sizeof(*h));

	assert_non_null(h);
	hist_init(h);
	return h;
}

/* Every value lands in a bucket whose value is within 1 % of it; buckets grow with values. */
static void test_buckets(void **state)
{
	unsigned int last = 0;

	for (uint64_t v = 1; v < UINT64_MAX / 3; v += v / 50 + 1) {
		unsigned int b = hist_bucket(v);
		uint64_t mid = hist_bucket_value(b), off = mid > v ? mid - v : v - mid;

		assert_true(b >= last && b < HIST_BUCKETS);
		assert_true(off * 100 <= v);
		assert_int_equal(hist_bucket(mid), b);
		last = b;
	}
	assert_int_equal(hist_bucket(0), 0);
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket(127) + 1, hist_bucket(128));
}

static void test_quantiles(void **state)
{
	_cleanup_free_ struct hist *h = new_hist();

	assert_int_equal(hist_quantile(h, 990000), 0);
	for (uint64_t v = 1; v <= 100; v++)
		hist_add(h, v); /* below 128: exact */
	assert_int_equal(hist_quantile(h, 500000), 50);
	assert_int_equal(hist_quantile(h, 990000), 99);
	assert_int_equal(hist_quantile(h, 990001), 100);
	assert_int_equal(hist_quantile(h, 0), 1);
	assert_int_equal(hist_quantile(h, 1000000), 100);
	assert_int_equal(h->sum, 5050);
	assert_int_equal(h->min, 1);
	assert_int_equal(h->max, 100);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_against_sorting(void **state)
{
	enum { N = 20001 };
	static uint64_t values[N];
	static const uint32_t q[] = {1000, 500000, 900000, 990000, 999000, 999900};
	_cleanup_free_ struct hist *h = new_hist();

	for (size_t i = 0; i < N; i++) {
		values[i] = hash_u64(i + 1) >> (20 + i % 40);
		hist_add(h, values[i]);
	}
	qsort(values, N, sizeof(values[0]), by_value);
	for (size_t i = 0; i < ARRAY_SIZE(q); i++) {
		uint64_t need = ((uint64_t)N * q[i] + 999999) / 1000000;
		double exact = (double)values[need - 1], got = (double)hist_quantile(h, q[i]);

		assert_true(got >= exact * 0.99 && got <= exact * 1.01);
	}
}

static void test_merge_and_saturation(void **state)
{
	_cleanup_free_ struct hist *a = new_hist();
	_cleanup_free_ struct hist *b = new_hist();

	hist_add_n(a, 1000, 3);
	hist_add_n(b, 5, UINT64_MAX);
	hist_add_n(b, 5, 10);
	hist_add_n(b, 7, 0); /* nothing */
	assert_true(b->total == UINT64_MAX && b->max == 5);
	hist_merge(a, b);
	assert_true(a->total == UINT64_MAX);
	assert_int_equal(a->min, 5);
	assert_int_equal(a->max, 1000);
	assert_int_equal(hist_quantile(a, 500000), 5);
	hist_add(a, UINT64_MAX);
	assert_true(a->sum == UINT64_MAX && a->max == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_buckets),
	    cmocka_unit_test(test_quantiles),
	    cmocka_unit_test(test_against_sorting),
	    cmocka_unit_test(test_merge_and_saturation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
