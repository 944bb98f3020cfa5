/* SPDX-License-Identifier: MIT */
/* Whom an action may touch, and on which CPUs. */
#include "decide-lab.h"

static void test_root_is_explained(void **state)
{
	struct lab *lab = *state;

	second_by(lab, 0, 240 * MSEC);
	assert_non_null(strstr(decide_note(lab->d, world_id(lab->lc)), "czctl run --class be"));
	assert_non_null(strstr(decide_note(lab->d, world_id(lab->lc)), "the process named is one"));
}

static void test_never_but_best_effort(void **state)
{
	struct lab *lab = *state;

	lab->w.zones[lab->hog].class = CLASS_NORMAL;
	assert_int_equal(harm(lab)->nr, 0);
	assert_int_equal(event_by(lab, lab->hog)->nr, 0);
	assert_string_equal(decide_note(lab->d, world_id(lab->lc)),
			    "hog: it is not best-effort (class be)");
	lab->w.zones[lab->hog].class = CLASS_BE;
	lab->w.zones[lab->hog].off_limits = true;
	assert_int_equal(harm(lab)->nr, 0);
	assert_string_equal(decide_note(lab->d, world_id(lab->lc)), "hog: it is off limits");
	assert_int_equal(lab->d->nr_actions, 0);
}

static void test_nothing_within_one_tree(void **state)
{
	struct lab *lab = *state;
	uint32_t child = world_add(&lab->w, lab->lc, "redis/child", CLASS_BE);

	assert_int_equal(second_by(lab, child, 240 * MSEC)->nr, 0);
	assert_string_equal(decide_note(lab->d, world_id(lab->lc)),
			    "redis/child: it is part of the zone that is hurt");
	assert_int_equal(event_by(lab, child)->nr, 0);
}

/* slice(be) > job(be) > hog(be): the slice is the contender, so idle goes there. */
static void test_contender_is_the_target(void **state)
{
	struct lab *lab = *state;
	uint32_t slice = world_add(&lab->w, 0, "slice", CLASS_BE);
	uint32_t job = world_add(&lab->w, slice, "slice/job", CLASS_BE);

	assert_int_equal(second_by(lab, job, 240 * MSEC)->nr, 1);
	assert_int_equal(action_nr(lab, 1)->target_id, world_id(slice));
	assert_int_equal(action_nr(lab, 1)->culprit_id, world_id(job));
	assert_int_equal(action_nr(lab, 1)->bystanders, 0);
}

/* A normal zone works in the slice: neither idle nor weight, but the culprit alone off the CPU. */
static void test_bystanders_spare_the_slice(void **state)
{
	struct lab *lab = *state;
	uint32_t slice = world_add(&lab->w, 0, "slice", CLASS_BE);
	uint32_t job = world_add(&lab->w, slice, "slice/job", CLASS_BE);
	uint32_t web = world_add(&lab->w, slice, "slice/web", CLASS_NORMAL);

	lab->w.zones[web].valid = METRIC_BIT(ZM_TASKS);
	lab->w.zones[web].value[ZM_TASKS] = 3;
	calm(lab);
	assert_int_equal(event_by(lab, job)->nr, 0);
	assert_int_equal(second_by(lab, job, 240 * MSEC)->nr, 1);
	assert_int_equal(action_nr(lab, 1)->target_id, world_id(job));
	assert_int_equal(action_nr(lab, 1)->knob, KNOB_CPUSET);
	assert_string_equal(action_nr(lab, 1)->to, "0");
}

static void test_bystander_without_work_is_none(void **state)
{
	struct lab *lab = *state;
	uint32_t slice = world_add(&lab->w, 0, "slice", CLASS_BE);
	uint32_t job = world_add(&lab->w, slice, "slice/job", CLASS_BE);

	world_add(&lab->w, slice, "slice/empty", CLASS_NORMAL); /* its CPU use is known: none */
	assert_int_equal(second_by(lab, job, 240 * MSEC)->nr, 1);
	assert_int_equal(action_nr(lab, 1)->target_id, world_id(slice));
}

/* A zone just born, of which nothing has been read yet, may well be at work. */
static void test_unknown_zone_is_a_bystander(void **state)
{
	struct lab *lab = *state;
	uint32_t slice = world_add(&lab->w, 0, "slice", CLASS_BE);
	uint32_t job = world_add(&lab->w, slice, "slice/job", CLASS_BE);
	uint32_t born = world_add(&lab->w, slice, "slice/new", CLASS_NORMAL);

	lab->w.zones[born].delta_valid = 0;
	second_by(lab, job, 240 * MSEC);
	assert_int_equal(action_nr(lab, 1)->target_id, world_id(job));
}

static void test_bystander_moving_in_ends_it(void **state)
{
	struct lab *lab = *state;
	uint32_t web;

	harm(lab);
	web = world_add(&lab->w, lab->hog, "hog/web", CLASS_NORMAL);
	lab->w.zones[web].valid = METRIC_BIT(ZM_TASKS);
	lab->w.zones[web].value[ZM_TASKS] = 1;
	assert_int_equal(calm(lab)->nr, 1);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	assert_string_equal(action_nr(lab, 1)->ended, "the target may no longer be touched");
}

/* The victim waits on three of four CPUs: one would remain, so exclusion is no option. */
static void test_half_of_the_cpus_remain(void **state)
{
	struct lab *lab = *state;
	struct contest c;
	struct action a;

	lab->w.s.cpus.nr_cpus = 4;
	cpuset_add(&lab->w.s.cpus.online, 2);
	cpuset_add(&lab->w.s.cpus.online, 3);
	calm(lab);
	assert_null(contest_init(&c, lab->d, &lab->w.s, RESOURCE_CPU, world_id(lab->lc),
				 world_id(lab->hog), &lab->f.items[0].culprits[0]));
	c.finding = &lab->f.items[0];
	for (int cpu = 2; cpu < 4; cpu++) {
		assert_true(rung_build(lab->d, &c, RUNG_CPUSET, &a));
		world_part(&lab->w, &lab->w.ledgers[0], CAUSE_NEIGHBOUR, lab->hog, MSEC);
		lab->w.parts[0][lab->w.ledgers[0].nr_parts - 1].cpu = cpu;
	}
	assert_string_equal(a.to, "0,3");
	assert_false(rung_build(lab->d, &c, RUNG_CPUSET, &a));
}

static void test_smt_siblings_go_too(void **state)
{
	static const uint32_t core_of[8] = {0, 0, 1, 1, 2, 2, 3, 3};
	struct lab *lab = *state;

	lab->w.s.cpus.nr_cpus = 8;
	lab->w.s.cpus.core_of = core_of;
	for (unsigned int i = 0; i < 8; i++)
		cpuset_add(&lab->w.s.cpus.online, i);
	lab->err[KNOB_CPU_IDLE] = lab->err[KNOB_CPU_WEIGHT] = -EOPNOTSUPP;
	for (int i = 0; i < 3; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 3)->knob, KNOB_CPUSET);
	assert_string_equal(action_nr(lab, 3)->to, "2-7");
}

/* Both siblings of the only core: nothing would remain, so exclusion is no option. */
static void test_no_cpu_left_skips_cpuset(void **state)
{
	static const uint32_t core_of[2] = {0, 0};
	struct lab *lab = *state;

	lab->w.s.cpus.core_of = core_of;
	lab->err[KNOB_CPU_IDLE] = lab->err[KNOB_CPU_WEIGHT] = -EOPNOTSUPP;
	for (int i = 0; i < 3; i++)
		harm(lab);
	assert_int_equal(action_nr(lab, 3)->knob, KNOB_CPU_MAX);
}

/* Another victim's action is in force since this window began: its effect is awaited. */
static void test_shared_target_waits(void **state)
{
	struct lab *lab = *state;
	uint32_t redis = lab->lc, web = world_add(&lab->w, 0, "web", CLASS_LC);

	calm(lab);
	assert_int_equal(event_by(lab, lab->hog)->nr, 1);
	lab->lc = web;
	assert_int_equal(harm(lab)->nr, 0);
	assert_int_equal(lab->d->nr_actions, 1);
	for (lab->lc = redis; action_nr(lab, 1)->state != ACTION_KEPT;)
		calm(lab);
	lab->lc = web; /* the idle class is in force already, and web is still hurt */
	assert_int_equal(harm(lab)->nr, 1);
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPUSET); /* idle, it has no weight */
}

static void test_stopped_culprit_is_left_alone(void **state)
{
	struct lab *lab = *state;
	uint32_t other = world_add(&lab->w, 0, "other", CLASS_BE);

	second_by(lab, other, 240 * MSEC);
	/* the finding still lists hog, but only other is in the newest window */
	lab->f.items[0].culprits[0].zone_id = world_id(lab->hog);
	decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
	assert_int_equal(lab->plan.nr, 0);
}

static void test_unknown_zones_do_nothing(void **state)
{
	struct lab *lab = *state;
	struct fast_event e = {.now_ns = 1, .victim_id = 1, .culprit_id = 2};

	calm(lab);
	decide_fast(lab->d, &lab->w.s, &e, &lab->plan);
	assert_int_equal(lab->plan.nr, 0);
	decide_result(lab->d, 99, STEP_APPLY, 0, "0", 1);
	decide_zone_gone(lab->d, 99);
	assert_string_equal(decide_note(lab->d, 99), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_root_is_explained),
	    LAB(test_never_but_best_effort),
	    LAB(test_nothing_within_one_tree),
	    LAB(test_contender_is_the_target),
	    LAB(test_bystanders_spare_the_slice),
	    LAB(test_bystander_without_work_is_none),
	    LAB(test_unknown_zone_is_a_bystander),
	    LAB(test_bystander_moving_in_ends_it),
	    LAB(test_half_of_the_cpus_remain),
	    LAB(test_smt_siblings_go_too),
	    LAB(test_no_cpu_left_skips_cpuset),
	    LAB(test_shared_target_waits),
	    LAB(test_stopped_culprit_is_left_alone),
	    LAB(test_unknown_zones_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
