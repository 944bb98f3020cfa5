/* SPDX-License-Identifier: MIT */
/* The Gaussian process by hand, CLITE's phases, and the cap of CPI2. */
#include <math.h>
#include "ctl-lab.h"
#include "decide/gauss.h"

static void near(double a, double b)
{
	assert_true(fabs(a - b) < 1e-9);
}

/* Two points, y = -1 and 1: mean 0, variance 1; between them the mean, at them themselves. */
static void two_points_by_hand(void **state)
{
	struct gauss g = {.dims = 1, .nr = 2, .x = {{0}, {1}}, .y = {-1, 1}, .length = {1}};
	double r = sqrt(5), k = (1 + r + r * r / 3) * exp(-r), mean, deviation, x = 0.5, half;

	assert_int_equal(gauss_fit(&g), 0);
	gauss_at(&g, g.x[0], &mean, &deviation);
	near(mean, -1);
	assert_true(deviation < 1e-6);
	gauss_at(&g, &x, &mean, &deviation);
	near(mean, 0);
	r = sqrt(5) / 2;
	half = (1 + r + r * r / 3) * exp(-r);
	near(deviation * deviation, 1 - 2 * half * half / (1 + k));
	/* z = 0 when best = mean: sigma / sqrt(2 pi) */
	near(gauss_improvement(&g, &x, 0, 0), deviation / sqrt(2 * M_PI));
	assert_true(gauss_improvement(&g, g.x[1], 1, 0.01) < 1e-9);
}

static void the_same_point_twice_needs_noise(void **state)
{
	struct gauss g = {.dims = 1, .nr = 2, .x = {{0.5}, {0.5}}, .y = {1, 1}, .length = {1}};

	assert_int_equal(gauss_fit(&g), -EDOM);
	g.noise = 0.01;
	assert_int_equal(gauss_fit(&g), 0);
}

static void lab_of(struct ctl_lab *l, const struct controller *c)
{
	lab_init(l, c, 3);
	l->v.host.total[RES_BW] = 10;
	lab_add(l, false, 1000);
	lab_add(l, true, 0);
	l->v.apps[0].load_ppm = 300000;
}

static void lab(struct ctl_lab *l)
{
	lab_of(l, &controller_clite);
}

/* A world in which the first app needs 3 cores, and the second does as much as it has cores. */
static void live(struct ctl_lab *l)
{
	unsigned int cores = l->v.apps[0].alloc.units[RES_CORE];

	lab_slack(l, 0, cores >= 3 ? 30 : -300);
	l->v.apps[1].progress_ppm = l->v.apps[1].alloc.units[RES_CORE] * 125000;
	lab_step(l);
}

static void it_begins_equal_then_all_for_each(void **state)
{
	struct ctl_lab l;

	lab(&l);
	live(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	assert_int_equal(lab_units(&l, 0, RES_BW), 5);
	live(&l); /* the first second of a sample changes nothing */
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	live(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 7);
	assert_int_equal(lab_units(&l, 0, RES_BW), 9);
	live(&l);
	live(&l);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 7);
	free(l.state);
}

static void finds_the_best_and_keeps_it(const struct controller *c)
{
	struct ctl_lab l;

	lab_of(&l, c);
	for (int i = 0; i < 70 && !l.plan.samples; i++) {
		live(&l);
		assert_int_equal(lab_sum(&l, RES_CORE), 8);
		assert_int_equal(lab_sum(&l, RES_WAY), 8);
	}
	assert_in_range(l.plan.samples, 5, 29);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 3);
	for (int i = 0; i < 20; i++) {
		live(&l);
		assert_int_equal(lab_units(&l, 0, RES_CORE), 3);
	}
	l.v.apps[0].load_ppm = 450000; /* another load: it searches again */
	live(&l);
	assert_int_equal(l.plan.samples, 0);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	free(l.state);
}

static void it_finds_the_best_and_keeps_it(void **state)
{
	finds_the_best_and_keeps_it(&controller_clite);
	finds_the_best_and_keeps_it(&controller_clite_jobs);
}

/* It has no rule for the frequency: what the host runs at stays. */
static void the_frequency_stays(void **state)
{
	struct ctl_lab l;

	lab(&l);
	l.v.apps[0].alloc.units[RES_FREQ] = 23;
	l.v.apps[1].alloc.units[RES_FREQ] = 17;
	live(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	assert_int_equal(lab_units(&l, 0, RES_FREQ), 23);
	assert_int_equal(lab_units(&l, 1, RES_FREQ), 17);
	free(l.state);
}

/* A queue that gets shorter is waited for, 6 s at most; one that does not is a result at once. */
static void a_sample_waits_for_a_queue_that_drains(void **state)
{
	static const int slacks[] = {-9000, -4000, -2000, -900, -400, -150};
	struct ctl_lab l;

	lab(&l);
	lab_step(&l);
	for (int i = 0; i < 5; i++) {
		lab_slack(&l, 0, slacks[i]);
		lab_step(&l);
		assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	}
	lab_slack(&l, 0, slacks[5]);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 7);
	lab_slack(&l, 0, -300);
	lab_step(&l);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 7);
	free(l.state);
}

static void who_fails_with_everything_is_rejected(void **state)
{
	struct ctl_lab l;

	lab(&l);
	for (int i = 0; i < 5; i++) {
		lab_slack(&l, 0, -10);
		lab_step(&l);
	}
	assert_int_equal(l.plan.migrate, 0);
	free(l.state);
}

static void a_cap_lasts_five_minutes(void **state)
{
	struct ctl_lab l;

	lab_init(&l, &controller_cpi2, 1);
	lab_add(&l, false, 1000);
	lab_add(&l, true, 0);
	lab_add(&l, false, 0);
	l.plan.culprit = 0; /* latency-critical: never */
	lab_step(&l);
	assert_int_equal(l.plan.alloc[0].cap_ppm, 0);
	l.plan.culprit = 1;
	lab_step(&l);
	assert_int_equal(l.plan.alloc[1].cap_ppm, 10000);
	l.plan.culprit = 2;
	lab_step(&l);
	assert_int_equal(l.plan.alloc[2].cap_ppm, 100000);
	l.plan.culprit = -1;
	for (int i = 0; i < 298; i++)
		lab_step(&l);
	assert_int_equal(l.plan.alloc[1].cap_ppm, 10000);
	lab_step(&l);
	assert_int_equal(l.plan.alloc[1].cap_ppm, 0);
	assert_int_equal(l.plan.alloc[2].cap_ppm, 100000);
	lab_step(&l);
	assert_int_equal(l.plan.alloc[2].cap_ppm, 0);
	free(l.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(two_points_by_hand),
	    cmocka_unit_test(the_same_point_twice_needs_noise),
	    cmocka_unit_test(it_begins_equal_then_all_for_each),
	    cmocka_unit_test(it_finds_the_best_and_keeps_it),
	    cmocka_unit_test(the_frequency_stays),
	    cmocka_unit_test(a_sample_waits_for_a_queue_that_drains),
	    cmocka_unit_test(who_fails_with_everything_is_rejected),
	    cmocka_unit_test(a_cap_lasts_five_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
