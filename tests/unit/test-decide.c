/* SPDX-License-Identifier: MIT */
/* Steps of the ladder: taken, measured, kept or taken back. */
#include "base/cleanup.h"
#include "decide-lab.h"

static void test_fast_path_idles_at_once(void **state)
{
	struct lab *lab = *state;
	const struct action *a;

	calm(lab);
	assert_int_equal(event_by(lab, lab->hog)->nr, 1);
	a = action_nr(lab, 1);
	assert_int_equal(a->state, ACTION_APPLIED);
	assert_int_equal(a->knob, KNOB_CPU_IDLE);
	assert_string_equal(a->to, "1");
	assert_string_equal(a->from, "0");
	assert_int_equal(a->target_id, world_id(lab->hog));
	assert_true(a->fast);
	assert_int_equal(a->written_ns - a->onset_ns, 331000);
	assert_int_equal(a->before_share_ppm, PPM);
	assert_int_equal(a->before_wait_p99_ns, 0);	  /* one wait is no p99 */
	assert_int_equal(event_by(lab, lab->hog)->nr, 0); /* it is held already */
	calm(lab);
	assert_int_equal(action_nr(lab, 1)->state,
			 ACTION_APPLIED); /* half a window is no measure */
	calm(lab);
	a = action_nr(lab, 1);
	assert_int_equal(a->state, ACTION_KEPT);
	assert_int_equal(a->outcome, OUTCOME_HELPED);
	assert_int_equal(a->after_share_ppm, 1000);
	assert_int_equal(a->before_behind_ppm, PPM);
	assert_int_equal(a->after_behind_ppm, 1000);
}

/* The harm of another does not count: a second hog joins an old finding. */
static void test_onset_is_the_culprits_own(void **state)
{
	struct lab *lab = *state;
	uint32_t other = world_add(&lab->w, 0, "other", CLASS_BE);

	lab->since_ns = lab->w.s.now_ns + 1;
	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	for (int i = 0; i < 20; i++)
		harm(lab);
	decide_set_mode(lab->d, MODE_ENFORCE, 0, 0, lab->w.s.now_ns);
	second_by(lab, other, 240 * MSEC);
	assert_int_equal(action_nr(lab, 1)->onset_ns, lab->since_ns);
	assert_int_equal(action_nr(lab, 2)->target_id, world_id(other));
	assert_int_equal(action_nr(lab, 2)->onset_ns, lab->w.s.now_ns - SEC);
}

static const enum knob full_ladder[] = {KNOB_CPU_IDLE, KNOB_CPU_WEIGHT, KNOB_CPUSET,
					KNOB_CPU_MAX,  KNOB_CPU_MAX,	KNOB_FREEZE};

static void test_ladder_climbs_and_reverts(void **state)
{
	struct lab *lab = *state;
	const struct action *a;
	size_t nr;

	lab->w.cfg.guard.allow_freeze = true;
	lab_restart(lab);
	for (int i = 0; i < 32; i++) {
		harm(lab);
		assert_true(actions_in_force(lab->d) <= 1);
	}
	nr = decide_actions(lab->d, &a);
	assert_int_equal(nr, ARRAY_SIZE(full_ladder));
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(a[i].knob, full_ladder[i]);
		assert_int_equal(a[i].state, ACTION_REVERTED);
		assert_int_equal(a[i].outcome, OUTCOME_NO_HELP);
	}
	assert_string_equal(a[3].to, "35000 100000");
	assert_string_equal(a[4].to, "10000 100000");
	/* the hold after a whole ladder doubles */
	assert_int_equal(lab->d->pairs[0].backoff_ns, 2 * lab->w.cfg.guard.quiet_ns);
}

static void test_freeze_and_caps_only_when_allowed(void **state)
{
	struct lab *lab = *state;
	const struct action *a;
	size_t nr;

	lab->w.cfg.guard.allow_cap = lab->w.cfg.guard.allow_cpuset = false;
	lab_restart(lab);
	for (int i = 0; i < 20; i++)
		harm(lab);
	nr = decide_actions(lab->d, &a);
	assert_int_equal(nr, 2);
	assert_int_equal(a[0].knob, KNOB_CPU_IDLE);
	assert_int_equal(a[1].knob, KNOB_CPU_WEIGHT);
}

static void test_cooldown(void **state)
{
	struct lab *lab = *state;
	uint64_t undone_ns = 0, next_ns = 0;

	for (int i = 0; i < 12 && !next_ns; i++) {
		harm(lab);
		if (lab->plan.nr && lab->plan.steps[0].kind == STEP_UNDO)
			undone_ns = lab->d->now_ns;
		else if (lab->plan.nr && undone_ns)
			next_ns = lab->d->now_ns;
	}
	assert_true(next_ns >= undone_ns + lab->w.cfg.guard.cooldown_ns);
	assert_int_equal(event_by(lab, lab->hog)->nr, 0); /* idle did not help: not again */
}

static void test_fast_path_does_not_repeat_what_did_not_help(void **state)
{
	struct lab *lab = *state;

	for (int i = 0; i < 3; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_NO_HELP);
	for (int i = 0; i < 10; i++)
		calm(lab); /* the cool-down is long over */
	assert_int_equal(event_by(lab, lab->hog)->nr, 0);
}

static void test_kept_lease_is_renewed(void **state)
{
	struct lab *lab = *state;

	lab->w.cfg.guard.quiet_ns = 7200 * SEC;
	lab_restart(lab);
	harm(lab);
	for (int i = 0; i < 1800; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	assert_int_equal(action_nr(lab, 1)->lease_end_ns,
			 lab->d->now_ns + lab->w.cfg.guard.lease_ns);
}

static void test_probe_doubles_after_relapse(void **state)
{
	struct lab *lab = *state;
	unsigned int wait = 0;

	harm(lab);
	for (wait = 0; !calm(lab)->nr; wait++)
		assert_true(wait < 100);
	assert_in_range(wait, 28, 32);
	assert_string_equal(action_nr(lab, 1)->ended, "quiet for long: tested without it");
	assert_int_equal(event_by(lab, lab->hog)->nr, 1); /* at once, in spite of the cool-down */
	for (wait = 0; !calm(lab)->nr; wait++)
		assert_true(wait < 100);
	assert_in_range(wait, 58, 62);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_REVERTED);
}

static void test_idle_target_is_released(void **state)
{
	struct lab *lab = *state;
	uint32_t rest = world_add(&lab->w, 0, "rest", CLASS_NORMAL);

	harm(lab);
	calm(lab);
	calm(lab);
	for (int i = 0; i < 31; i++) {
		event_by(lab, rest);
		second_by(lab, rest, MSEC);
	}
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
}

/* Helped a little: it stays, and the next rung comes on top; given back in reverse. */
static void test_partial_help_stacks(void **state)
{
	struct lab *lab = *state;

	harm(lab);
	for (int i = 0; i < 2; i++)
		second_by(lab, lab->hog, 110 * MSEC); /* less than half of before, still harm */
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_HELPED);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	second_by(lab, lab->hog, 110 * MSEC);			/* the cool-down is over */
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPUSET); /* idle, it has no weight */
	for (int i = 0; i < 36; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_REVERTED);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	for (int i = 0; i < 32; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
}

static void test_culprit_that_stops_proves_nothing(void **state)
{
	struct lab *lab = *state;
	uint32_t rest = world_add(&lab->w, 0, "rest", CLASS_NORMAL);

	harm(lab);
	for (int i = 0; i < 2; i++)
		second_by(lab, rest, MSEC); /* hog uses no CPU, redis only a quarter */
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_UNMEASURED);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_fast_path_idles_at_once),
	    LAB(test_onset_is_the_culprits_own),
	    LAB(test_ladder_climbs_and_reverts),
	    LAB(test_freeze_and_caps_only_when_allowed),
	    LAB(test_cooldown),
	    LAB(test_fast_path_does_not_repeat_what_did_not_help),
	    LAB(test_kept_lease_is_renewed),
	    LAB(test_probe_doubles_after_relapse),
	    LAB(test_idle_target_is_released),
	    LAB(test_partial_help_stacks),
	    LAB(test_culprit_that_stops_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
