/* SPDX-License-Identifier: MIT */
/* The states of PARTIES, by hand: up, down, undone, who gives, memory, what is moved away. */
#include "ctl-lab.h"

/* Only this resource can be moved, so that no random state is in the way. */
static void only(struct ctl_lab *l, enum res r, uint16_t total)
{
	for (int i = 0; i < RES_NR; i++)
		l->v.host.total[i] = 0;
	l->v.host.total[r] = total;
}

static void two_lc(struct ctl_lab *l)
{
	lab_init(l, &controller_parties, 1);
	lab_add(l, false, 1000);
	lab_add(l, false, 5000);
}

static void it_begins_with_an_equal_share(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	lab_add(&l, false, 9000);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 3);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 3);
	assert_int_equal(lab_units(&l, 2, RES_CORE), 2);
	assert_int_equal(lab_sum(&l, RES_WAY), 8);
	assert_int_equal(lab_units(&l, 0, RES_FREQ), 22);
	free(l.state);
}

static void between_the_thresholds_nothing_moves(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	lab_step(&l);
	lab_slack(&l, 0, 5);
	lab_slack(&l, 1, 20);
	lab_step(&l);
	assert_string_equal(l.plan.why, "");
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	free(l.state);
}

static void the_one_with_most_slack_gives(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	only(&l, RES_CORE, 8);
	lab_add(&l, false, 9000);
	lab_step(&l);
	lab_slack(&l, 0, 4);
	lab_slack(&l, 1, 10);
	lab_slack(&l, 2, 15);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 3);
	assert_int_equal(lab_units(&l, 2, RES_CORE), 1);
	lab_step(&l); /* app 2 has only its last core: now the next one gives */
	assert_int_equal(lab_units(&l, 0, RES_CORE), 5);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 2);
	assert_int_equal(lab_units(&l, 2, RES_CORE), 1);
	free(l.state);
}

static void best_effort_work_gives_first_and_gets_what_is_left(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	only(&l, RES_WAY, 9);
	lab_add(&l, true, 0);
	lab_step(&l);
	lab_slack(&l, 0, -30);
	lab_slack(&l, 1, 90);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 0, RES_WAY), 4);
	assert_int_equal(lab_units(&l, 1, RES_WAY), 3);
	assert_int_equal(lab_units(&l, 2, RES_WAY), 2);
	lab_slack(&l, 0, 10);
	lab_step(&l); /* app 1 has too much: the best-effort work gets it */
	assert_int_equal(lab_units(&l, 1, RES_WAY), 2);
	assert_int_equal(lab_units(&l, 2, RES_WAY), 3);
	free(l.state);
}

static void a_step_down_that_hurts_is_undone_and_rests_30_s(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	only(&l, RES_CORE, 8);
	lab_step(&l);
	lab_slack(&l, 0, 10);
	lab_slack(&l, 1, 50);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 3);
	lab_slack(&l, 1, 4);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_CORE), 4);
	lab_slack(&l, 1, 50);
	for (int i = 0; i < 59; i++) {
		lab_step(&l);
		assert_int_equal(lab_units(&l, 1, RES_CORE), 4);
	}
	lab_step(&l); /* 30 s are over */
	assert_int_equal(lab_units(&l, 1, RES_CORE), 3);
	free(l.state);
}

/* Up without benefit: the next resource of the wheel, and what was given stays. */
static void a_step_up_that_does_not_help_turns_the_wheel(void **state)
{
	struct ctl_lab l;
	unsigned int given[3] = {0};

	two_lc(&l);
	lab_step(&l);
	lab_slack(&l, 1, 10);
	for (int i = 0; i < 3; i++) {
		uint16_t before[RES_NR];

		memcpy(before, l.plan.alloc[0].units, sizeof(before));
		lab_slack(&l, 0, -10 * (i + 1));
		lab_step(&l);
		for (int r = 0; r < 3; r++)
			given[r] += lab_units(&l, 0, r) - before[r];
	}
	assert_int_equal(given[RES_CORE], 1);
	assert_int_equal(given[RES_WAY], 1);
	assert_int_equal(given[RES_FREQ], 1);
	free(l.state);
}

static void a_step_up_that_helps_is_repeated(void **state)
{
	struct ctl_lab l;
	enum res first = RES_NR;

	two_lc(&l);
	lab_step(&l);
	lab_slack(&l, 0, -90);
	lab_slack(&l, 1, 10);
	lab_step(&l);
	for (int r = 0; r < 2; r++)
		if (lab_units(&l, 0, r) == 5)
			first = r;
	if (first == RES_NR)
		assert_int_equal(lab_units(&l, 0, first = RES_FREQ), 23);
	if (first != RES_FREQ) {
		lab_slack(&l, 0, -40);
		lab_step(&l);
		assert_int_equal(lab_units(&l, 0, first), 6);
	}
	free(l.state);
}

static void memory_is_not_taken_from_what_has_no_disk(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	only(&l, RES_MEM, 16);
	l.v.host.min[RES_MEM] = 1;
	l.v.apps[1].mem_slack_mib = 1023;
	lab_step(&l);
	lab_slack(&l, 0, 10);
	lab_slack(&l, 1, 90);
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_MEM), 8);
	l.v.apps[1].mem_slack_mib = 1024;
	lab_step(&l);
	assert_int_equal(lab_units(&l, 1, RES_MEM), 7);
	free(l.state);
}

/* Who has memory to spare gives it, whatever its latency. */
static void memory_comes_from_memory_slack(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	only(&l, RES_MEM, 18);
	lab_add(&l, false, 9000);
	lab_step(&l);
	lab_slack(&l, 0, -5);
	lab_slack(&l, 1, 10);
	lab_slack(&l, 2, 19);
	l.v.apps[1].mem_slack_mib = 2048;
	lab_step(&l);
	assert_int_equal(lab_units(&l, 0, RES_MEM), 7);
	assert_int_equal(lab_units(&l, 1, RES_MEM), 5);
	assert_int_equal(lab_units(&l, 2, RES_MEM), 6);
	free(l.state);
}

static void after_a_minute_the_most_relaxed_is_moved(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	lab_step(&l);
	lab_slack(&l, 0, -50);
	lab_slack(&l, 1, 10);
	for (int i = 0; i < 120; i++) {
		lab_step(&l);
		assert_int_equal(l.plan.migrate, -1);
		assert_int_equal(lab_sum(&l, RES_CORE), 8);
	}
	lab_step(&l);
	assert_int_equal(l.plan.migrate, 1);
	free(l.state);
}

/* What is not known asks for nothing. */
static void without_latency_nothing_moves(void **state)
{
	struct ctl_lab l;

	two_lc(&l);
	for (int i = 0; i < 100; i++)
		lab_step(&l);
	assert_int_equal(lab_units(&l, 0, RES_CORE), 4);
	assert_int_equal(l.plan.migrate, -1);
	free(l.state);
}

static void the_released_code_decides_by_five_polls(void **state)
{
	struct ctl_lab l;

	lab_init(&l, &controller_parties_code, 1);
	lab_add(&l, false, 1000);
	lab_add(&l, false, 5000);
	only(&l, RES_CORE, 8);
	lab_step(&l);
	lab_slack(&l, 1, 50);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(lab_units(&l, 1, RES_CORE), 4);
		lab_slack(&l, 0, i < 2 ? 0 : 10); /* a minority lacks */
		lab_step(&l);
	}
	assert_int_equal(lab_units(&l, 1, RES_CORE), 3);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(lab_units(&l, 1, RES_CORE), 3);
		lab_slack(&l, 0, i < 3 ? 0 : 10); /* another's lack undoes it */
		lab_step(&l);
	}
	assert_int_equal(lab_units(&l, 1, RES_CORE), 4);
	free(l.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_begins_with_an_equal_share),
	    cmocka_unit_test(between_the_thresholds_nothing_moves),
	    cmocka_unit_test(the_one_with_most_slack_gives),
	    cmocka_unit_test(best_effort_work_gives_first_and_gets_what_is_left),
	    cmocka_unit_test(a_step_down_that_hurts_is_undone_and_rests_30_s),
	    cmocka_unit_test(a_step_up_that_does_not_help_turns_the_wheel),
	    cmocka_unit_test(a_step_up_that_helps_is_repeated),
	    cmocka_unit_test(memory_is_not_taken_from_what_has_no_disk),
	    cmocka_unit_test(memory_comes_from_memory_slack),
	    cmocka_unit_test(after_a_minute_the_most_relaxed_is_moved),
	    cmocka_unit_test(without_latency_nothing_moves),
	    cmocka_unit_test(the_released_code_decides_by_five_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
