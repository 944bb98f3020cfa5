/* SPDX-License-Identifier: MIT */
/* The loops of Heracles, by hand. One step is a second. */
#include "ctl-lab.h"

static void begin(struct ctl_lab *l)
{
	lab_init(l, &controller_heracles, 1);
	lab_add(l, true, 0);
	lab_add(l, false, 1000);
	lab_add(l, true, 0);
	l->v.apps[1].load_ppm = 500000;
	lab_slack(l, 1, 50);
	lab_step(l);
}

static void run(struct ctl_lab *l, int seconds)
{
	while (seconds-- > 0)
		lab_step(l);
}

static unsigned int others(const struct ctl_lab *l)
{
	return lab_units(l, 0, RES_CORE);
}

static void the_others_share_one_partition(void **state)
{
	struct ctl_lab l;

	begin(&l);
	assert_int_equal(l.plan.alloc[1].owner, 1);
	assert_int_equal(l.plan.alloc[0].owner, 0);
	assert_int_equal(l.plan.alloc[2].owner, 0);
	assert_int_equal(others(&l), 1);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 7);
	assert_int_equal(lab_units(&l, 0, RES_WAY), 1); /* 10 % of 8 */
	free(l.state);
}

static void of_several_the_shortest_target_is_kept(void **state)
{
	struct ctl_lab l;

	lab_init(&l, &controller_heracles, 1);
	lab_add(&l, false, 9000);
	lab_add(&l, false, 700);
	lab_step(&l);
	assert_int_equal(others(&l), 1);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 7);
	free(l.state);
}

/* A way that does not lower the traffic is taken back, and cores have their turn. */
static void ways_grow_while_traffic_falls_then_cores(void **state)
{
	struct ctl_lab l;

	begin(&l);
	l.v.host.dram_bytes_per_s = 10000000000;
	run(&l, 2);
	assert_int_equal(lab_units(&l, 0, RES_WAY), 2);
	l.v.host.dram_bytes_per_s = 9000000000;
	l.v.apps[0].progress_ppm = 500000;
	run(&l, 2);
	assert_int_equal(lab_units(&l, 0, RES_WAY), 3);
	run(&l, 2); /* the same traffic as before */
	assert_int_equal(lab_units(&l, 0, RES_WAY), 2);
	assert_int_equal(others(&l), 2);
	run(&l, 2);
	assert_int_equal(others(&l), 3);
	free(l.state);
}

/* The printed order never comes to these tests while load < 0.80. */
static void little_slack_stops_growth_and_shrinks(void **state)
{
	struct ctl_lab l;

	begin(&l);
	run(&l, 14);
	assert_true(others(&l) > 2);
	lab_slack(&l, 1, 7);
	run(&l, 1);
	run(&l, 14);
	{
		unsigned int before = others(&l);

		assert_true(before > 2);
		run(&l, 10);
		assert_int_equal(others(&l), before);
	}
	lab_slack(&l, 1, 4);
	run(&l, 15);
	assert_int_equal(others(&l), 2);
	free(l.state);
}

static void a_violation_pauses_them_for_five_minutes(void **state)
{
	struct ctl_lab l;

	begin(&l);
	lab_slack(&l, 1, -1);
	run(&l, 15);
	assert_int_equal(others(&l), 0);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 8);
	lab_slack(&l, 1, 50);
	run(&l, 299);
	assert_int_equal(others(&l), 0);
	run(&l, 16);
	assert_true(others(&l) > 0);
	free(l.state);
}

static void high_load_pauses_with_hysteresis(void **state)
{
	struct ctl_lab l;

	begin(&l);
	l.v.apps[1].load_ppm = 860000;
	run(&l, 15);
	assert_int_equal(others(&l), 0);
	l.v.apps[1].load_ppm = 820000;
	run(&l, 30);
	assert_int_equal(others(&l), 0);
	l.v.apps[1].load_ppm = 790000;
	run(&l, 15);
	assert_true(others(&l) > 0);
	free(l.state);
}

static void too_much_traffic_takes_cores(void **state)
{
	struct ctl_lab l;

	begin(&l);
	l.v.host.dram_bytes_per_s = 10000000000;
	run(&l, 10);
	assert_true(others(&l) >= 4);
	{
		unsigned int before = others(&l);

		/* 57 of 54 GB/s allowed; the others' 40 are 10 or less a core: one core goes */
		l.v.host.dram_bytes_per_s = 57000000000;
		l.v.apps[1].dram_bytes_per_s = 17000000000;
		run(&l, 2);
		assert_int_equal(others(&l), before - 1);
	}
	free(l.state);
}

static void power_lowers_their_frequency_while_the_kept_one_is_slow(void **state)
{
	struct ctl_lab l;

	begin(&l);
	l.v.host.power_ppm = 950000;
	run(&l, 4);
	assert_int_equal(lab_units(&l, 0, RES_FREQ), 22); /* the kept one has its frequency */
	l.v.host.power_ppm = 800000;
	run(&l, 2);
	assert_int_equal(lab_units(&l, 0, RES_FREQ), 23);
	free(l.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_others_share_one_partition),
	    cmocka_unit_test(of_several_the_shortest_target_is_kept),
	    cmocka_unit_test(ways_grow_while_traffic_falls_then_cores),
	    cmocka_unit_test(little_slack_stops_growth_and_shrinks),
	    cmocka_unit_test(a_violation_pauses_them_for_five_minutes),
	    cmocka_unit_test(high_load_pauses_with_hysteresis),
	    cmocka_unit_test(too_much_traffic_takes_cores),
	    cmocka_unit_test(power_lowers_their_frequency_while_the_kept_one_is_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
