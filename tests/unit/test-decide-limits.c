/* SPDX-License-Identifier: MIT */
/* Limits on io and memory: how long their effect is awaited, and what a step is judged by. */
#include "decide-lab.h"

#define MIB (1ull << 20)

static void grew(struct lab *lab, uint32_t zone, enum zone_metric m, uint64_t delta)
{
	lab->w.zones[zone].valid |= METRIC_BIT(m);
	lab->w.zones[zone].delta_valid |= METRIC_BIT(m);
	lab->w.zones[zone].delta[m] = delta;
}

/* One second in which redis stalls so long while hog reads, or holds, so much; harm from 100 ms on.
 */
static struct plan *second_of(struct lab *lab, enum resource resource, uint64_t stall_ns,
			      uint64_t hog_bytes)
{
	bool io = resource == RESOURCE_IO, net = resource == RESOURCE_NETWORK;
	struct finding *f = &lab->f.items[0];

	world_tick(&lab->w, SEC);
	world_ledger(&lab->w, lab->lc, 5000, MSEC / 20);
	world_use(&lab->w, lab->lc, 250 * MSEC);
	world_use(&lab->w, lab->hog, 100 * MSEC);
	grew(lab, lab->lc, ZM_PSI_MEM_SOME_NS, io ? 0 : stall_ns);
	grew(lab, lab->lc, ZM_PSI_IO_SOME_NS, io ? stall_ns : 0);
	grew(lab, lab->hog, ZM_MEM_BYTES, 0);
	lab->w.zones[lab->hog].value[ZM_MEM_BYTES] = hog_bytes;
	grew(lab, lab->hog, ZM_IO_READ_BYTES, hog_bytes);
	grew(lab, lab->hog, ZM_IO_WRITE_BYTES, 0);
	grew(lab, lab->hog, ZM_NET_BYTES, hog_bytes);
	grew(lab, lab->lc, ZM_NET_PACKETS, 1000);
	grew(lab, lab->lc, ZM_NET_RETRANSMITS, net ? stall_ns / MSEC : 0);
	lab->f.nr = stall_ns >= 100 * MSEC;
	*f = (struct finding){.seq = 9,
			      .victim_id = world_id(lab->lc),
			      .resource = resource,
			      .cause = CAUSE_NEIGHBOUR,
			      .open = true,
			      .since_ns = lab->w.s.now_ns - SEC,
			      .last_ns = lab->w.s.now_ns,
			      .usual_stall_ppm = f->usual_stall_ppm,
			      .nr_culprits = 1,
			      .why = "stalled"};
	f->culprits[0] = (struct culprit){
	    .zone_id = world_id(lab->hog), .share_ppm = 990000, .cpu = -1, .class = CLASS_BE};
	str_copy(f->culprits[0].name, sizeof(f->culprits[0].name), "hog");
	decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
	do_plan(lab);
	return &lab->plan;
}

static struct plan *second_of_io(struct lab *lab, uint64_t stall_ns, uint64_t hog_bytes)
{
	return second_of(lab, RESOURCE_IO, stall_ns, hog_bytes);
}

/* Seconds of the same until the action is in that state. */
static const struct action *until(struct lab *lab, uint64_t seq, enum action_state state,
				  uint64_t stall_ns, uint64_t hog_bytes)
{
	for (int i = 0; i < 20 && action_nr(lab, seq)->state != state; i++)
		second_of_io(lab, stall_ns, hog_bytes);
	assert_int_equal(action_nr(lab, seq)->state, state);
	return action_nr(lab, seq);
}

/* A quarter of much harm is harm still: the step comes off, and the stricter one on. */
static void test_what_helped_too_little_makes_way(void **state)
{
	struct lab *lab = *state;
	const struct action *a;
	uint64_t kept_ns;

	second_of_io(lab, 900 * MSEC, 800 * MIB);
	assert_string_equal(action_nr(lab, 1)->to, "419430400");
	a = until(lab, 1, ACTION_KEPT, 200 * MSEC, 400 * MIB);
	assert_int_equal(a->outcome, OUTCOME_HELPED);
	kept_ns = a->settled_ns;
	a = until(lab, 1, ACTION_REVERTED, 200 * MSEC, 400 * MIB);
	assert_string_equal(a->ended, "too little: a stricter step follows");
	assert_true(a->settled_ns >= kept_ns + 2 * lab->w.cfg.guard.cooldown_ns);
	for (int i = 0; i < 4 && lab->d->nr_actions < 2; i++)
		second_of_io(lab, 200 * MSEC, 400 * MIB);
	a = action_nr(lab, 2);
	assert_int_equal(a->state, ACTION_APPLIED);
	assert_string_equal(a->to, "52428800");
}

/* One bad second now and then is no reason to take off what helps. */
static void test_what_helps_stays(void **state)
{
	struct lab *lab = *state;

	second_of_io(lab, 900 * MSEC, 800 * MIB);
	until(lab, 1, ACTION_KEPT, 50 * MSEC, 400 * MIB);
	for (int i = 0; i < 5; i++) {
		second_of_io(lab, 200 * MSEC, 400 * MIB);
		for (int n = 0; n < 4; n++)
			second_of_io(lab, 50 * MSEC, 400 * MIB);
	}
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	assert_int_equal(lab->d->nr_actions, 1);
}

/* What is queued at the disk goes on hurting for seconds: then it is gone, and the step helped. */
static void test_effect_is_awaited(void **state)
{
	struct lab *lab = *state;

	for (int i = 0; i < 4; i++)
		second_of_io(lab, 900 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
	second_of_io(lab, 10 * MSEC, 400 * MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_HELPED);
	assert_int_equal(action_nr(lab, 1)->after_share_ppm, 10000);
}

static void test_effect_is_not_awaited_for_ever(void **state)
{
	struct lab *lab = *state;

	for (int i = 0; i < 5; i++)
		second_of_io(lab, 900 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_NO_HELP);
}

/* Page by page the victim reads back what it had: that takes longer, and is seen to get better. */
static void test_memory_comes_back_slowly(void **state)
{
	struct lab *lab = *state;

	second_of(lab, RESOURCE_MEMORY, 400 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->knob, KNOB_MEMORY_HIGH);
	for (int i = 0; i < 10; i++)
		second_of(lab, RESOURCE_MEMORY, 200 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
	second_of(lab, RESOURCE_MEMORY, 90 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_HELPED);
}

/* It stalls a fifth of the time alone: no limit on others takes that away. */
static void test_usual_stalling_is_no_harm(void **state)
{
	struct lab *lab = *state;

	lab->f.items[0].usual_stall_ppm = 200000;
	second_of_io(lab, 500 * MSEC, 800 * MIB);
	until(lab, 1, ACTION_KEPT, 230 * MSEC, 400 * MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_HELPED);
}

static void test_much_of_the_harm_left_is_no_help(void **state)
{
	struct lab *lab = *state;

	lab->f.items[0].usual_stall_ppm = 200000;
	second_of_io(lab, 900 * MSEC, 800 * MIB);
	until(lab, 1, ACTION_REVERTED, 450 * MSEC, 400 * MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_NO_HELP);
}

/* The hog ended, or stopped reading, by itself: no credit for the step. */
static void test_a_target_that_stopped_by_itself_proves_nothing(void **state)
{
	struct lab *lab = *state;

	second_of_io(lab, 900 * MSEC, 800 * MIB);
	until(lab, 1, ACTION_KEPT, 10 * MSEC, MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_UNMEASURED);
}

static void test_a_target_without_tasks_proves_nothing(void **state)
{
	struct lab *lab = *state;

	second_of(lab, RESOURCE_MEMORY, 400 * MSEC, 800 * MIB);
	lab->w.zones[lab->hog].valid |= METRIC_BIT(ZM_TASKS);
	for (int i = 0; i < 4; i++)
		second_of(lab, RESOURCE_MEMORY, 0, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_UNMEASURED);
}

/* It gets back what was taken, and stalls as much until it has it. */
static void test_memory_that_comes_back_is_awaited(void **state)
{
	struct lab *lab = *state;

	second_of(lab, RESOURCE_MEMORY, 400 * MSEC, 800 * MIB);
	for (uint64_t i = 1; i < 20; i++) {
		grew(lab, lab->lc, ZM_MEM_BYTES, 0);
		lab->w.zones[lab->lc].value[ZM_MEM_BYTES] = (100 + 10 * i) * MIB;
		second_of(lab, RESOURCE_MEMORY, 400 * MSEC, 800 * MIB);
	}
	assert_int_equal(action_nr(lab, 1)->state, ACTION_APPLIED);
	second_of(lab, RESOURCE_MEMORY, 10 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->outcome, OUTCOME_HELPED);
}

/* v1: no limit below what is not page cache, for it would not be taken; nor twice the same. */
static void test_v1_limit_goes_as_low_as_the_page_cache_allows(void **state)
{
	struct lab *lab = *state;

	lab->w.zones[lab->hog].valid |= METRIC_BIT(ZM_MEM_FILE_BYTES);
	lab->w.zones[lab->hog].value[ZM_MEM_FILE_BYTES] = 200 * MIB;
	second_of(lab, RESOURCE_MEMORY, 400 * MSEC, 800 * MIB);
	assert_string_equal(action_nr(lab, 1)->to, "838860800");
	for (int i = 0; i < 200 && lab->d->nr_actions < 3; i++)
		second_of(lab, RESOURCE_MEMORY, 400 * MSEC, 800 * MIB);
	assert_string_equal(action_nr(lab, 2)->to, "655360000"); /* 600 MiB and an eighth of 200 */
	assert_string_equal(action_nr(lab, 3)->to, "838860800"); /* from the start, later */
}

static void test_who_floods_the_victims_interface_is_paced(void **state)
{
	struct lab *lab = *state;

	str_copy(lab->w.zones[lab->lc].interface, sizeof(lab->w.zones[0].interface), "eth0");
	str_copy(lab->w.zones[lab->hog].interface, sizeof(lab->w.zones[0].interface), "eth1");
	second_of(lab, RESOURCE_NETWORK, 200 * MSEC, 800 * MIB);
	assert_int_equal(lab->d->nr_actions, 0); /* it does not send where the victim does */
	str_copy(lab->w.zones[lab->hog].interface, sizeof(lab->w.zones[0].interface), "eth0");
	second_of(lab, RESOURCE_NETWORK, 200 * MSEC, 800 * MIB);
	assert_int_equal(action_nr(lab, 1)->knob, KNOB_NET_MAX);
	assert_string_equal(action_nr(lab, 1)->to, "419430400 eth0");
	for (int i = 0; i < 20 && lab->d->nr_actions < 2; i++)
		second_of(lab, RESOURCE_NETWORK, 200 * MSEC, 400 * MIB);
	assert_string_equal(action_nr(lab, 2)->to, "52428800 eth0");
	for (int i = 0; i < 4; i++)
		second_of(lab, RESOURCE_NETWORK, 4 * MSEC, 50 * MIB);
	assert_int_equal(action_nr(lab, 2)->outcome, OUTCOME_HELPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_what_helped_too_little_makes_way),
	    LAB(test_what_helps_stays),
	    LAB(test_effect_is_awaited),
	    LAB(test_effect_is_not_awaited_for_ever),
	    LAB(test_memory_comes_back_slowly),
	    LAB(test_usual_stalling_is_no_harm),
	    LAB(test_much_of_the_harm_left_is_no_help),
	    LAB(test_a_target_that_stopped_by_itself_proves_nothing),
	    LAB(test_a_target_without_tasks_proves_nothing),
	    LAB(test_memory_that_comes_back_is_awaited),
	    LAB(test_v1_limit_goes_as_low_as_the_page_cache_allows),
	    LAB(test_who_floods_the_victims_interface_is_paced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
