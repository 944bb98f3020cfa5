/* SPDX-License-Identifier: MIT */
/* How often CPI2 alarms and names by chance: Monte Carlo, seeded, so that what is seen is always
 * the same. */
#include <math.h>
#include "test.h"
#include "base/cleanup.h"
#include "detect/cpi2.h"

#define MINUTE 60000000000ull

static void close_to(double value, double expected, double off)
{
	if (fabs(value - expected) > off)
		fail_msg("%.6f is not within %g of %.6f", value, off, expected);
}

static uint64_t seed;

static double uniform(void) /* 0 < x < 1 */
{
	seed += 0x9e3779b97f4a7c15ull;
	uint64_t x = seed;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	return ((double)(x >> 11) + 0.5) / 9007199254740992.0;
}

static double gaussian(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static double search_job(void) /* the published fit of a web-search job: mean 1.8, deviation 0.16 */
{
	return 1.73 + 0.133 / -0.0534 * (pow(-log(uniform()), 0.0534) - 1);
}

static double normal_job(void)
{
	return 1.8 + 0.16 * gaussian();
}

/* Independent samples of a day, nobody hurts anybody. */
static void no_harm(double (*cpi)(void), uint32_t days, double *ret_outliers, double *ret_episodes)
{
	const struct cpi2_tally *tally;
	struct cpi2 *e;

	seed = 1;
	assert_int_equal(cpi2_new(&cpi2_default, NULL, NULL, &e), 0);
	for (uint32_t t = 0; t < days; t++) {
		assert_int_equal(cpi2_task_add(e, t, t, 0, CLASS_LC), 0);
		assert_int_equal(cpi2_spec_set(e, t, 0, 1800000, 160000), 0);
	}
	for (uint64_t i = 0; i < 1439; i++) /* the next minute would bring a new spec */
		for (uint32_t t = 0; t < days; t++) {
			struct cpi2_sample s = {.time_ns = i * MINUTE,
						.task = t,
						.cpi_ppm = (uint32_t)lround(cpi() * 1e6),
						.cpu_ppm = 1000000};

			assert_int_equal(cpi2_sample(e, &s), 0);
		}
	tally = cpi2_tally(e);
	*ret_outliers = (double)tally->outliers / (double)tally->judged;
	*ret_episodes = (double)tally->episodes / days;
	cpi2_free(e);
}

static void test_alarms_without_harm(void **state)
{
	double outliers, episodes;

	no_harm(search_job, 600, &outliers, &episodes);
	close_to(outliers, 0.0403, 0.0015);
	close_to(episodes, 0.51, 0.08);
	no_harm(normal_job, 600, &outliers, &episodes);
	close_to(outliers, 0.0228, 0.0015);
	close_to(episodes, 0.10, 0.04);
}

/* How often who does it, an innocent task as bursty, and a steady one reach 0.35 in 10 samples. */
static void name_rates(double inflation, double ret[3])
{
	const int runs = 20000;
	int named[3] = {0};

	seed = 2;
	for (int r = 0; r < runs; r++) {
		double cpi[10], use[3][10];

		for (int i = 0; i < 10; i++) {
			bool on = uniform() < 0.5;

			cpi[i] = (on ? inflation : 1) + 0.09 * gaussian();
			use[0][i] = on ? 1 : 0.05;
			use[1][i] = uniform() < 0.5 ? 1 : 0.05;
			use[2][i] = 1;
		}
		for (int k = 0; k < 3; k++)
			named[k] += cpi2_correlation(cpi, use[k], 10, 1.18) >= 0.35;
	}
	for (int k = 0; k < 3; k++)
		ret[k] = (double)named[k] / runs;
}

static void test_names_by_chance(void **state)
{
	static const struct {
		double inflation, culprit, innocent;
	} expected[] = {
	    {1.5, 0, 0}, {1.75, 0.001, 0}, {2, 0.87, 0.05}, {2.5, 0.99, 0.15}, {3, 1, 0.24}};
	double rate[3];

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		name_rates(expected[i].inflation, rate);
		print_message("x%.2f: %.4f named, innocent %.4f, steady %.4f\n",
			      expected[i].inflation, rate[0], rate[1], rate[2]);
		close_to(rate[0], expected[i].culprit, 0.02);
		close_to(rate[1], expected[i].innocent, 0.02);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alarms_without_harm),
	    cmocka_unit_test(test_names_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
