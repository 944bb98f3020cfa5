/* SPDX-License-Identifier: MIT */
/* What may be done: observe and enforce, approvals, undo by hand, trials. */
#include "decide-lab.h"

static void test_observe_only_remembers(void **state)
{
	struct lab *lab = *state;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	calm(lab);
	assert_int_equal(event_by(lab, lab->hog)->nr, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(harm(lab)->nr, 0);
	assert_int_equal(lab->d->nr_actions, 1); /* one proposal, refreshed */
	assert_int_equal(action_nr(lab, 1)->state, ACTION_PROPOSED);
	assert_int_equal(action_nr(lab, 1)->before_share_ppm, 240000);
	calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_EXPIRED);
}

static void test_approve(void **state)
{
	struct lab *lab = *state;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	harm(lab);
	assert_int_equal(decide_approve(lab->d, 5, lab->w.s.now_ns), -ENOENT);
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), 0);
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), -EALREADY);
	assert_int_equal(calm(lab)->nr, 1); /* though the harm has just ended */
	calm(lab);
	calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT); /* observing does not undo it */
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), -EALREADY);
}

static void test_approved_comes_back(void **state)
{
	struct lab *lab = *state;
	uint64_t lease_end_ns;
	int i;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	harm(lab);
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), 0);
	for (i = 0; i < 40; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	assert_string_equal(action_nr(lab, 1)->ended, "quiet for long: back if the harm returns");
	lease_end_ns = action_nr(lab, 1)->lease_end_ns;
	assert_int_equal(harm(lab)->nr, 1); /* at once, without asking */
	assert_int_equal(action_nr(lab, 2)->state, ACTION_APPLIED);
	assert_int_equal(action_nr(lab, 2)->lease_end_ns, lease_end_ns);
	while (lab->w.s.now_ns < lease_end_ns + 2 * SEC)
		calm(lab);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_REVERTED);
	assert_int_equal(harm(lab)->nr, 0); /* asked again */
	assert_int_equal(action_nr(lab, 3)->state, ACTION_PROPOSED);
}

/* It stands, and is told, from the approval to the end of its lease, whether or not it holds a
 * knob. */
static void test_approvals_are_told(void **state)
{
	struct lab *lab = *state;
	struct approval a[2];
	uint64_t until_ns;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	harm(lab);
	assert_int_equal(decide_approvals(lab->d, lab->w.s.now_ns, a, 2), 0);
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), 0);
	assert_int_equal(decide_approvals(lab->d, lab->w.s.now_ns, a, 2), 1);
	assert_int_equal(a[0].victim_id, action_nr(lab, 1)->victim_id);
	assert_int_equal(a[0].target_id, action_nr(lab, 1)->target_id);
	assert_int_equal(a[0].resource, RESOURCE_CPU);
	until_ns = a[0].until_ns;
	assert_true(until_ns > lab->w.s.now_ns);
	assert_int_equal(decide_approvals(lab->d, lab->w.s.now_ns, a, 0), 0);
	for (int i = 0; i < 40; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	assert_int_equal(decide_approvals(lab->d, lab->w.s.now_ns, a, 2), 1);
	assert_int_equal(a[0].until_ns, until_ns);
	assert_int_equal(decide_approvals(lab->d, until_ns, a, 2), 0);
	assert_int_equal(decide_undo(lab->d, 0, lab->w.s.now_ns), 0);
	assert_int_equal(decide_approvals(lab->d, lab->w.s.now_ns, a, 2), 0);
}

static void test_approval_is_for_one_step(void **state)
{
	struct lab *lab = *state;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	harm(lab);
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), 0);
	for (int i = 0; i < 10; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_NO_HELP);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_PROPOSED);
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPU_WEIGHT);
}

static void test_undo_ends_the_approval(void **state)
{
	struct lab *lab = *state;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	harm(lab);
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), 0);
	for (int i = 0; i < 40; i++)
		calm(lab);
	assert_int_equal(decide_undo(lab->d, 0, lab->d->now_ns), 0); /* nothing is held now */
	assert_int_equal(harm(lab)->nr, 0);
}

/* What is no longer best-effort, or no longer protected, is asked about anew when it is so again.
 */
static void test_approval_ends_with_the_class(void **state)
{
	struct lab *lab = *state;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	harm(lab);
	lab->w.zones[lab->hog].class = CLASS_NORMAL;
	assert_int_equal(decide_approve(lab->d, 1, lab->w.s.now_ns), 0);
	assert_int_equal(calm(lab)->nr, 0);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_EXPIRED);
	assert_string_equal(action_nr(lab, 1)->ended,
			    "the target is gone or may no longer be touched");
	lab->w.zones[lab->hog].class = CLASS_BE;
	for (int i = 0; i < 3; i++)
		assert_int_equal(harm(lab)->nr, 0);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_PROPOSED);
}

/* What czd itself took counts from when it was allowed to act. */
static void test_permission_is_kept(void **state)
{
	struct lab *lab = *state;
	uint64_t allowed_ns;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	for (int i = 0; i < 20; i++)
		harm(lab);
	allowed_ns = lab->w.s.now_ns + MSEC;
	decide_set_mode(lab->d, MODE_ENFORCE, 0, 0, allowed_ns);
	decide_set_mode(lab->d, MODE_ENFORCE, world_id(lab->lc), 0, allowed_ns + SEC / 2);
	harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
	assert_int_equal(action_nr(lab, 1)->permitted_ns, allowed_ns);
}

static void test_undo_by_hand_holds(void **state)
{
	struct lab *lab = *state;

	harm(lab);
	assert_int_equal(decide_undo(lab->d, 7, lab->d->now_ns), -ENOENT);
	assert_int_equal(decide_undo(lab->d, 0, lab->d->now_ns), 0);
	assert_int_equal(calm(lab)->nr, 1);
	assert_int_equal(decide_undo(lab->d, 1, lab->d->now_ns), -EALREADY);
	for (int i = 0; i < 590; i++) {
		assert_int_equal(event_by(lab, lab->hog)->nr, 0);
		assert_int_equal(harm(lab)->nr, 0);
	}
	for (int i = 0; i < 15; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPU_IDLE);
}

/* "To act again: czctl mode enforce" */
static void test_enforce_by_hand_ends_the_hold(void **state)
{
	struct lab *lab = *state;

	harm(lab);
	decide_observe(lab->d);
	assert_int_equal(decide_undo(lab->d, 0, lab->d->now_ns), 0);
	for (int i = 0; i < 20; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	decide_set_mode(lab->d, MODE_ENFORCE, 0, 0, 0);
	harm(lab);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_APPLIED);
}

static void test_try_ends_by_itself(void **state)
{
	struct lab *lab = *state;
	uint64_t until_ns = 0, end_ns = lab->w.s.now_ns + 10 * SEC;

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	decide_set_mode(lab->d, MODE_ENFORCE, world_id(lab->lc), end_ns, 0);
	assert_int_equal(decide_mode(lab->d, 0, lab->w.s.now_ns, NULL), MODE_OBSERVE);
	assert_int_equal(decide_mode(lab->d, world_id(lab->lc), lab->w.s.now_ns, &until_ns),
			 MODE_ENFORCE);
	assert_int_equal(until_ns, end_ns);
	harm(lab);
	assert_int_equal(action_nr(lab, 1)->lease_end_ns, end_ns);
	for (int i = 0; i < 8; i++)
		assert_int_equal(calm(lab)->nr, 0);
	assert_int_equal(calm(lab)->nr, 1);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	assert_int_equal(decide_mode(lab->d, world_id(lab->lc), lab->d->now_ns, NULL),
			 MODE_OBSERVE);
}

static void test_trials_are_listed_and_end(void **state)
{
	struct lab *lab = *state;
	uint64_t now_ns = lab->w.s.now_ns, id = world_id(lab->lc);
	struct mode_trial t[3];

	decide_set_mode(lab->d, MODE_OBSERVE, 0, 0, 0);
	assert_int_equal(decide_trials(lab->d, now_ns, t, 3), 0);
	decide_set_mode(lab->d, MODE_ENFORCE, 0, now_ns + 5 * SEC, 0);
	decide_set_mode(lab->d, MODE_ENFORCE, id, now_ns + 9 * SEC, 0);
	assert_int_equal(decide_trials(lab->d, now_ns, t, 3), 2);
	assert_int_equal(t[0].victim_id, 0);
	assert_int_equal(t[0].until_ns, now_ns + 5 * SEC);
	assert_int_equal(t[1].victim_id, id);
	assert_int_equal(t[1].until_ns, now_ns + 9 * SEC);
	assert_int_equal(decide_trials(lab->d, now_ns, t, 1), 1);
	assert_int_equal(decide_trials(lab->d, now_ns + 5 * SEC, t, 3), 1);
	assert_int_equal(decide_trials(lab->d, now_ns + 9 * SEC, t, 3), 0);
	decide_set_mode(lab->d, MODE_ENFORCE, 77, 0, 0);
	decide_observe(lab->d);
	assert_int_equal(decide_trials(lab->d, now_ns, t, 3), 0);
	assert_int_equal(decide_mode(lab->d, id, now_ns, NULL), MODE_OBSERVE);
	assert_int_equal(decide_mode(lab->d, 77, now_ns, NULL), MODE_OBSERVE);
	assert_int_equal(harm(lab)->nr, 0);
}

static void test_own_mode_wins(void **state)
{
	struct lab *lab = *state;

	decide_set_mode(lab->d, MODE_OBSERVE, world_id(lab->lc), 0, 0);
	assert_int_equal(decide_mode(lab->d, world_id(lab->lc), 1, NULL), MODE_OBSERVE);
	assert_int_equal(decide_mode(lab->d, 77, 1, NULL), MODE_ENFORCE);
	assert_int_equal(harm(lab)->nr, 0);
	decide_set_mode(lab->d, MODE_ENFORCE, world_id(lab->lc), 0, 0);
	assert_int_equal(harm(lab)->nr, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_observe_only_remembers),
	    LAB(test_approve),
	    LAB(test_approved_comes_back),
	    LAB(test_approvals_are_told),
	    LAB(test_approval_is_for_one_step),
	    LAB(test_undo_ends_the_approval),
	    LAB(test_approval_ends_with_the_class),
	    LAB(test_enforce_by_hand_ends_the_hold),
	    LAB(test_permission_is_kept),
	    LAB(test_undo_by_hand_holds),
	    LAB(test_try_ends_by_itself),
	    LAB(test_trials_are_listed_and_end),
	    LAB(test_own_mode_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
