/* SPDX-License-Identifier: MIT */
/* LIBRA's line, its steps between two levels of MBA, and giving back. */
#include "ctl-lab.h"

static void begin(struct ctl_lab *l)
{
	lab_init(l, &controller_libra, 1);
	l->v.host.total[RES_WAY] = 12;
	l->v.host.total[RES_BW] = 10;
	l->v.host.min[RES_BW] = 1;
	lab_add(l, false, 1000);
	lab_add(l, true, 0);
	l->v.apps[0].load_ppm = 500000;
	lab_step(l);
}

/* RT = 500 us * CPI + 100 us: the target of 1 ms is at a CPI of 1.8. */
static void cpi_step(struct ctl_lab *l, double cpi)
{
	l->v.apps[0].cpi_ppm = (uint32_t)(cpi * 1e6);
	l->v.apps[0].latency_ns = (uint64_t)(500000 * cpi + 100000);
	lab_step(l);
}

static void train(struct ctl_lab *l)
{
	for (int i = 0; i < 12; i++)
		cpi_step(l, i % 2 ? 1.0 : 1.2);
	assert_int_equal(lab_units(l, 1, RES_BW), 10);
}

static void ways_are_the_steps_between_two_of_mba(void **state)
{
	static const unsigned int expected[][2] = {{10, 5}, {10, 4}, {10, 3}, {9, 6}, {9, 5}};
	struct ctl_lab l;

	begin(&l);
	train(&l);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		cpi_step(&l, 1.75);
		assert_int_equal(lab_units(&l, 1, RES_BW), expected[i][0]);
		assert_int_equal(lab_units(&l, 1, RES_WAY), expected[i][1]);
		assert_int_equal(lab_sum(&l, RES_WAY), 12);
		assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	}
	free(l.state);
}

/* 0.95 of 1.8 is 1.71. A latency that a noisy interval shows does not count: CPI does. */
static void the_bound_is_the_cpi_of_the_target(void **state)
{
	struct ctl_lab l;

	begin(&l);
	train(&l);
	cpi_step(&l, 1.70);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 6);
	cpi_step(&l, 1.72);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 5);
	l.v.apps[0].cpi_ppm = 1700000;
	l.v.apps[0].latency_ns = 5000000;
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 5);
	free(l.state);
}

static void it_is_given_back_after_three_calm_steps(void **state)
{
	struct ctl_lab l;

	begin(&l);
	train(&l);
	for (int i = 0; i < 4; i++)
		cpi_step(&l, 1.75);
	assert_int_equal(lab_units(&l, 1, RES_BW), 9);
	cpi_step(&l, 1.1);
	cpi_step(&l, 1.1);
	assert_int_equal(lab_units(&l, 1, RES_BW), 9);
	cpi_step(&l, 1.1);
	assert_int_equal(lab_units(&l, 1, RES_BW), 10);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 3);
	free(l.state);
}

static void the_floor_holds(void **state)
{
	struct ctl_lab l;

	begin(&l);
	train(&l);
	for (int i = 0; i < 100; i++)
		cpi_step(&l, 2.5);
	assert_int_equal(lab_units(&l, 1, RES_BW), 1);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 2);
	assert_int_equal(lab_units(&l, 0, RES_WAY), 10);
	free(l.state);
}

/* Without counters latency itself is looked at. */
static void without_cpi_it_goes_by_latency(void **state)
{
	struct ctl_lab l;

	begin(&l);
	lab_slack(&l, 0, 3);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 5);
	free(l.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ways_are_the_steps_between_two_of_mba),
	    cmocka_unit_test(the_bound_is_the_cpi_of_the_target),
	    cmocka_unit_test(it_is_given_back_after_three_calm_steps),
	    cmocka_unit_test(the_floor_holds),
	    cmocka_unit_test(without_cpi_it_goes_by_latency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
