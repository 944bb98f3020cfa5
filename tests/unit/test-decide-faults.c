/* SPDX-License-Identifier: MIT */
/* What goes wrong: writes that fail, zones that go, limits, odd times. */
#include "decide-lab.h"

static void test_budget(void **state)
{
	struct lab *lab = *state;
	uint32_t other = world_add(&lab->w, 0, "other", CLASS_BE);

	lab->w.cfg.guard.max_actions = 1;
	lab_restart(lab);
	calm(lab);
	assert_int_equal(event_by(lab, lab->hog)->nr, 1);
	assert_int_equal(event_by(lab, other)->nr, 0);
	assert_int_equal(second_by(lab, other, 240 * MSEC)->nr, 0);
	assert_string_equal(decide_note(lab->d, world_id(lab->lc)),
			    "other: too many actions at once");
}

static void test_vanished_zone_is_lost(void **state)
{
	struct lab *lab = *state;

	lab->err[KNOB_CPU_IDLE] = -ENOENT;
	harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_LOST);
	lab->err[KNOB_CPU_IDLE] = 0;
	harm(lab);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_APPLIED);
	decide_zone_gone(lab->d, world_id(lab->hog));
	assert_int_equal(action_nr(lab, 2)->state, ACTION_LOST);
	assert_int_equal(lab->d->nr_pairs, 0);
}

static void test_victim_gone_undoes(void **state)
{
	struct lab *lab = *state;

	harm(lab);
	decide_zone_gone(lab->d, world_id(lab->lc));
	world_tick(&lab->w, SEC);
	lab->f.nr = 0;
	decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
	do_plan(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
}

static void test_unprotected_victim_undoes(void **state)
{
	struct lab *lab = *state;

	harm(lab);
	lab->f.nr = 0;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
		world_tick(&lab->w, SEC);
		decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
		do_plan(lab);
	}
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	assert_string_equal(action_nr(lab, 1)->ended, "the victim is no longer protected");
}

static void test_read_only_stops_until_told(void **state)
{
	struct lab *lab = *state;

	lab->err[KNOB_CPU_IDLE] = -EROFS;
	harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_FAILED);
	lab->err[KNOB_CPU_IDLE] = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(harm(lab)->nr, 0);
	assert_string_equal(decide_note(lab->d, world_id(lab->lc)),
			    "hog: nothing can be enforced now");
	decide_can_apply(lab->d, true);
	assert_int_equal(harm(lab)->nr, 1);
	assert_int_equal(lab->plan.steps[0].action.knob, KNOB_CPU_IDLE); /* not the knob's fault */
}

static void test_busy_knob_takes_the_next(void **state)
{
	struct lab *lab = *state;

	lab->err[KNOB_CPU_IDLE] = -EBUSY;
	harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_FAILED);
	assert_string_equal(action_nr(lab, 1)->ended,
			    "could not be written: Device or resource busy");
	harm(lab);
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPU_WEIGHT);
}

static void test_foreign_change_is_hands_off(void **state)
{
	struct lab *lab = *state;
	const struct action *a;
	size_t nr;

	lab->undo_err = -ECANCELED;
	for (int i = 0; i < 3; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_LOST);
	lab->undo_err = 0;
	for (int i = 0; i < 600; i++)
		harm(lab);
	nr = decide_actions(lab->d, &a);
	assert_true(nr > 5);
	for (size_t i = 1; i < nr; i++)
		assert_int_not_equal(a[i].knob, KNOB_CPU_IDLE);
}

static void test_failed_undo_is_repeated(void **state)
{
	struct lab *lab = *state;
	unsigned int undos = 0;

	harm(lab);
	lab->undo_err = -EIO;
	assert_int_equal(decide_undo(lab->d, 1, lab->d->now_ns), 0);
	for (int i = 0; i < 60; i++)
		undos += (unsigned int)calm(lab)->nr;
	assert_in_range(undos, 4, 8); /* 1, 2, 4, 8, ... seconds apart */
	assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
	lab->undo_err = 0;
	for (int i = 0; i < 61; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
}

static void test_hour_without_ticks(void **state)
{
	struct lab *lab = *state;

	harm(lab);
	calm(lab);
	calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	lab->w.s.now_ns += 3600 * SEC;
	for (int i = 0; i < 10; i++)
		assert_int_equal(calm(lab)->nr, 0);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
}

static void test_tables_are_bounded(void **state)
{
	struct lab *lab = *state;
	uint64_t last = 0;

	lab->w.cfg.guard.cooldown_ns = 0;
	lab->w.cfg.guard.quiet_ns = SEC;
	lab_restart(lab);
	for (uint64_t i = 0; i < 2000; i++) {
		const struct action *a;
		size_t nr;

		lab->w.zones[lab->hog].id = 5000 + i; /* ever new hogs, each gone after a second */
		for (size_t c = 0; c < 2; c++) {
			harm(lab);
			lab->f.items[0].culprits[0].zone_id = 5000 + i;
			lab->w.parts[0][0].culprit_id = 5000 + i;
			decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
			do_plan(lab);
		}
		decide_zone_gone(lab->d, 5000 + i);
		nr = decide_actions(lab->d, &a);
		assert_true(nr <= 256);
		for (size_t k = 1; k < nr; k++)
			assert_true(a[k].seq > a[k - 1].seq);
		assert_true(!nr || a[nr - 1].seq >= last);
		last = nr ? a[nr - 1].seq : 0;
	}
	assert_int_equal(last, 2000);
	for (uint64_t id = 1; id < 1000; id++)
		decide_set_mode(lab->d, MODE_ENFORCE, id, 0, 0);
	assert_int_equal(lab->d->nr_victims, VICTIMS_MAX);
}

/* The daemon plans again on the same snapshot whenever a person changes something. */
static void test_same_snapshot_again(void **state)
{
	struct lab *lab = *state;

	lab->w.cfg.guard.measure_ns = 2 * SEC;
	lab_restart(lab);
	calm(lab);
	event_by(lab, lab->hog);
	calm(lab);
	calm(lab);
	for (int i = 0; i < 5; i++) {
		decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
		assert_int_equal(lab->plan.nr, 0);
		assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
	}
	calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	world_tick(&lab->w, SEC); /* without a ledger, but one tick only */
	for (int i = 0; i < 5; i++) {
		decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
		assert_int_equal(lab->plan.nr, 0);
	}
}

static void test_first_number(void **state)
{
	struct lab *lab = *state;

	decide_free(lab->d);
	assert_int_equal(decide_new(&lab->w.cfg, 41, &lab->d), 0);
	harm(lab);
	assert_int_equal(action_nr(lab, 41)->state, ACTION_APPLIED);
}

/* Somebody else has put it into the idle class: there it has no weight. */
static void test_idle_already_skips_the_weight(void **state)
{
	struct lab *lab = *state;

	lab->err[KNOB_CPU_IDLE] = -EALREADY;
	harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_FAILED);
	harm(lab);
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPUSET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_idle_already_skips_the_weight),
	    LAB(test_budget),
	    LAB(test_vanished_zone_is_lost),
	    LAB(test_victim_gone_undoes),
	    LAB(test_unprotected_victim_undoes),
	    LAB(test_read_only_stops_until_told),
	    LAB(test_busy_knob_takes_the_next),
	    LAB(test_foreign_change_is_hands_off),
	    LAB(test_failed_undo_is_repeated),
	    LAB(test_hour_without_ticks),
	    LAB(test_tables_are_bounded),
	    LAB(test_same_snapshot_again),
	    LAB(test_first_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
