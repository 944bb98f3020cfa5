/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "base/cleanup.h"
#include "bench/sine.h"
#include "test.h"

#define SECOND 1000000000ull
#define NR     40

static const struct sine sine = {.period_ns = 20 * SECOND, .min_ppm = 100000, .max_ppm = 900000};

static int near(double a, double b, double tolerance)
{
	return fabs(a - b) <= tolerance;
}

static void fill(struct sine_point *points, double (*achieved)(double demanded, size_t i))
{
	for (size_t i = 0; i < NR; i++) {
		double share;

		points[i] = (struct sine_point){.start_ns = i * SECOND, .length_ns = SECOND};
		for (uint64_t slot = 0; slot < 100; slot++)
			points[i].demanded_ns +=
			    sine_demand_ns(&sine, points[i].start_ns + slot * 10000000, 10000000);
		share = achieved((double)points[i].demanded_ns / 1e9, i);
		points[i].achieved_ns = (uint64_t)(share * 1e9);
	}
}

static double all(double d, size_t i)
{
	return d;
}

static double half(double d, size_t i)
{
	return d / 2;
}

static double capped(double d, size_t i)
{
	return d < 0.3 ? d : 0.3;
}

static double flat(double d, size_t i)
{
	return 0.25;
}

static double noise(double d, size_t i)
{
	return 0.5 + (i % 2 ? 0.1 : -0.1);
}

static void test_demand(void **state)
{
	uint64_t slot = 10000000;

	assert_true(near((double)sine_demand_ns(&sine, 0, slot), 1000000, 100));
	assert_true(near((double)sine_demand_ns(&sine, 5 * SECOND, slot), 5000000, 20000));
	assert_true(near((double)sine_demand_ns(&sine, 10 * SECOND, slot), 9000000, 100));
	assert_int_equal(sine_demand_ns(&sine, 3 * SECOND, slot),
			 sine_demand_ns(&sine, 23 * SECOND, slot));
	assert_int_equal(sine_demand_ns(&(struct sine){SECOND, 400000, 400000}, 123456, 1000), 400);
}

static void test_whole(void **state)
{
	struct sine_point points[NR];
	struct sine_fit fit;

	fill(points, all);
	sine_fit(&sine, points, NR, &fit);
	assert_true(near(fit.correlation, 1, 1e-9));
	assert_true(near(fit.demanded_amplitude, 0.4, 0.003)); /* a point averages over 1 s */
	assert_true(near(fit.amplitude_ratio, 1, 1e-9));
	assert_true(near(fit.unmet_ratio, 0, 1e-9));
	assert_true(near(fit.max_share, 0.9, 0.01));

	fill(points, half);
	sine_fit(&sine, points, NR, &fit);
	assert_true(near(fit.correlation, 1, 1e-9));
	assert_true(near(fit.amplitude_ratio, 0.5, 1e-6));
	assert_true(near(fit.unmet_ratio, 0.5, 1e-6));
}

static void test_flattened(void **state)
{
	struct sine_point points[NR];
	struct sine_fit fit;

	fill(points, capped);
	sine_fit(&sine, points, NR, &fit);
	assert_true(near(fit.max_share, 0.3, 1e-9));
	assert_true(fit.amplitude_ratio < 0.3);
	assert_true(fit.unmet_ratio > 0.4);

	fill(points, noise);
	sine_fit(&sine, points, NR, &fit);
	assert_true(fabs(fit.correlation) < 0.2);
	assert_true(fit.amplitude_ratio < 0.05);

	fill(points, flat); /* no variation: a correlation is not known, rather than 0 */
	sine_fit(&sine, points, NR, &fit);
	assert_true(isnan(fit.correlation));
	assert_true(near(fit.achieved_amplitude, 0, 1e-9));
}

static void test_too_little(void **state)
{
	struct sine_point points[NR];
	struct sine_fit fit;

	fill(points, all);
	sine_fit(&sine, points, 0, &fit);
	assert_true(isnan(fit.correlation) && isnan(fit.unmet_ratio) && fit.max_share == 0);
	sine_fit(&sine, points, 3, &fit);
	assert_true(isnan(fit.correlation) && isnan(fit.amplitude_ratio));
	assert_true(near(fit.unmet_ratio, 0, 1e-9));
	for (size_t i = 0; i < NR; i++)
		points[i].start_ns = 0; /* all at one phase: no sine can be fitted */
	sine_fit(&sine, points, NR, &fit);
	assert_true(isnan(fit.achieved_amplitude));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_demand),
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_flattened),
	    cmocka_unit_test(test_too_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
