/* SPDX-License-Identifier: MIT */
/* Percentiles of waits, as the daemon forms them from the ledger's histogram. */
#include "test.h"
#include "daemon/victims.h"

#define MS     1000000ull
#define SECOND (1000 * MS)

static void put(uint64_t counts[LEDGER_BUCKETS], uint64_t wait_ns, uint64_t n)
{
	unsigned int b = 0;

	while (ledger_bucket_ns(b) < wait_ns)
		b++;
	counts[b] += n;
}

/* 60 waits of 4 ms among 8,000 of 1 us: the percentile over waits is 1 us, but for 24 % of the time
 * somebody waits, and whoever arrives then waits long. x = (60 * 4 ms - 10 ms) / 60. */
static void test_few_long_waits(void **state)
{
	uint64_t counts[LEDGER_BUCKETS] = {0}, p99;

	put(counts, 1000, 8000);
	put(counts, 4 * MS, 60);
	p99 = wait_p99_at_any_time(counts, SECOND);
	assert_in_range(p99, 3800000, 4400000);
}

static void test_waits_below_one_percent_of_the_time(void **state)
{
	uint64_t counts[LEDGER_BUCKETS] = {0};

	assert_int_equal(wait_p99_at_any_time(counts, SECOND), 0);
	put(counts, 1000, 9000);
	assert_int_equal(wait_p99_at_any_time(counts, SECOND), 0);
	put(counts, 4 * MS, 1);
	assert_in_range(wait_p99_at_any_time(counts, SECOND), 0, 4000);
}

/* All waits alike: w - (1 % of the time) / n. */
static void test_all_alike(void **state)
{
	uint64_t counts[LEDGER_BUCKETS] = {0}, w = 0;

	put(counts, MS, 100);
	for (unsigned int b = 0; b < LEDGER_BUCKETS; b++) {
		if (counts[b])
			w = ledger_bucket_ns(b);
	}
	assert_int_equal(wait_p99_at_any_time(counts, SECOND), w - 10 * MS / 100);
}

/* Half the waits long, half short: the answer lies within the short ones' reach as well. */
static void test_two_kinds(void **state)
{
	uint64_t counts[LEDGER_BUCKETS] = {0}, p99;

	put(counts, 2 * MS, 4);
	put(counts, MS, 40);
	p99 = wait_p99_at_any_time(counts, SECOND);
	/* 4 (2 - x) + 40 (1 - x) = 10 ms: x = 0.864 ms, buckets 12.5 % wide */
	assert_in_range(p99, 800000, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_few_long_waits),
	    cmocka_unit_test(test_waits_below_one_percent_of_the_time),
	    cmocka_unit_test(test_all_alike),
	    cmocka_unit_test(test_two_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
