/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "decide/decide.h"
#include "decide/internal.h"
#include "test.h"
#include "world.h"

/* redis and hog are siblings at the top; steps succeed unless `err` says otherwise. */
struct lab {
	struct world w;
	struct decide *d;
	struct finding_set f;
	struct plan plan;
	uint32_t lc, hog;
	int err[KNOB_NR], undo_err;
	uint64_t since_ns; /* of the finding; 0: a second old */
};

static int lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	world_init(&lab->w);
	lab->w.cfg.guard.mode = MODE_ENFORCE;
	lab->lc = world_add(&lab->w, 0, "redis", CLASS_LC);
	lab->hog = world_add(&lab->w, 0, "hog", CLASS_BE);
	lab->w.zones[lab->lc].slo.wait_p99_ns = MSEC / 2;
	assert_int_equal(decide_new(&lab->w.cfg, 1, &lab->d), 0);
	*state = lab;
	return 0;
}

static int lab_teardown(void **state)
{
	struct lab *lab = *state;

	decide_free(lab->d);
	config_done(&lab->w.cfg);
	free(lab);
	return 0;
}

/* Before any step: another configuration. */
static void lab_restart(struct lab *lab)
{
	decide_free(lab->d);
	assert_int_equal(decide_new(&lab->w.cfg, 1, &lab->d), 0);
}

static void do_plan(struct lab *lab)
{
	for (size_t i = 0; i < lab->plan.nr; i++) {
		const struct step *s = &lab->plan.steps[i];
		int err = s->kind == STEP_UNDO ? lab->undo_err : lab->err[s->action.knob];

		decide_result(lab->d, s->action.seq, s->kind, err, "0", lab->d->now_ns + 1000);
	}
}

/* One second: so many ns of redis' waiting behind the zone; harm when there are 100 ms or more. */
static struct plan *second_by(struct lab *lab, uint32_t culprit, uint64_t wait_ns)
{
	struct ledger_view *l;
	struct finding *f = &lab->f.items[0];

	world_tick(&lab->w, SEC);
	l = world_ledger(&lab->w, lab->lc, 5000, wait_ns >= 100 * MSEC ? 4 * MSEC : MSEC / 20);
	world_part(&lab->w, l, CAUSE_NEIGHBOUR, culprit, wait_ns);
	world_part(&lab->w, l, CAUSE_SELF, 0, MSEC);
	world_use(&lab->w, lab->lc, 250 * MSEC);
	world_use(&lab->w, culprit, 700 * MSEC);
	lab->f.nr = wait_ns >= 100 * MSEC;
	*f = (struct finding){.seq = 9,
			      .victim_id = world_id(lab->lc),
			      .resource = RESOURCE_CPU,
			      .cause = CAUSE_NEIGHBOUR,
			      .open = true,
			      .since_ns = lab->since_ns ? lab->since_ns : lab->w.s.now_ns - SEC,
			      .last_ns = lab->w.s.now_ns,
			      .nr_culprits = 1,
			      .why = "wait p99 4 ms"};
	f->culprits[0] = (struct culprit){
	    .zone_id = world_id(culprit), .share_ppm = 990000, .cpu = 1, .class = CLASS_BE};
	str_copy(f->culprits[0].name, sizeof(f->culprits[0].name), lab->w.zones[culprit].name);
	decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
	do_plan(lab);
	return &lab->plan;
}

static struct plan *harm(struct lab *lab)
{
	return second_by(lab, lab->hog, 240 * MSEC);
}

static struct plan *calm(struct lab *lab)
{
	return second_by(lab, lab->hog, MSEC);
}

static struct plan *event_by(struct lab *lab, uint32_t culprit)
{
	struct fast_event e = {.now_ns = lab->d->now_ns + MSEC,
			       .foreign_ns = 330000,
			       .victim_id = world_id(lab->lc),
			       .culprit_id = world_id(culprit),
			       .cpu = 1};

	e.since_ns = e.now_ns - e.foreign_ns;
	decide_fast(lab->d, &lab->w.s, &e, &lab->plan);
	do_plan(lab);
	return &lab->plan;
}

static const struct action *action_nr(struct lab *lab, uint64_t seq)
{
	const struct action *a;
	size_t nr = decide_actions(lab->d, &a);

	for (size_t i = 0; i < nr; i++)
		if (a[i].seq == seq)
			return &a[i];
	fail_msg("no action %llu", (unsigned long long)seq);
	return NULL;
}

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

static void test_root_is_explained(void **state)
{
	struct lab *lab = *state;

	second_by(lab, 0, 240 * MSEC);
	assert_non_null(strstr(decide_note(lab->d, world_id(lab->lc)), "czctl run --class be"));
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

	lab->w.zones[web].valid = 1u << ZM_TASKS;
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
	lab->w.zones[web].valid = 1u << ZM_TASKS;
	lab->w.zones[web].value[ZM_TASKS] = 1;
	assert_int_equal(calm(lab)->nr, 1);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
	assert_string_equal(action_nr(lab, 1)->ended, "the target may no longer be touched");
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
	assert_null(contest_init(&c, lab->d, &lab->w.s, world_id(lab->lc), world_id(lab->hog)));
	c.finding = &lab->f.items[0];
	c.culprit = &c.finding->culprits[0];
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
	second_by(lab, lab->hog, 110 * MSEC); /* the cool-down is over */
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPU_WEIGHT);
	for (int i = 0; i < 36; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 2)->state, ACTION_REVERTED);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_KEPT);
	for (int i = 0; i < 32; i++)
		calm(lab);
	assert_int_equal(action_nr(lab, 1)->state, ACTION_REVERTED);
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
	assert_int_equal(action_nr(lab, 2)->knob, KNOB_CPU_WEIGHT);
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

#define LAB(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_fast_path_idles_at_once),
	    LAB(test_observe_only_remembers),
	    LAB(test_approve),
	    LAB(test_approved_comes_back),
	    LAB(test_approval_is_for_one_step),
	    LAB(test_undo_ends_the_approval),
	    LAB(test_permission_is_kept),
	    LAB(test_onset_is_the_culprits_own),
	    LAB(test_root_is_explained),
	    LAB(test_never_but_best_effort),
	    LAB(test_nothing_within_one_tree),
	    LAB(test_contender_is_the_target),
	    LAB(test_bystanders_spare_the_slice),
	    LAB(test_bystander_without_work_is_none),
	    LAB(test_unknown_zone_is_a_bystander),
	    LAB(test_bystander_moving_in_ends_it),
	    LAB(test_ladder_climbs_and_reverts),
	    LAB(test_freeze_and_caps_only_when_allowed),
	    LAB(test_cooldown),
	    LAB(test_fast_path_does_not_repeat_what_did_not_help),
	    LAB(test_half_of_the_cpus_remain),
	    LAB(test_smt_siblings_go_too),
	    LAB(test_no_cpu_left_skips_cpuset),
	    LAB(test_budget),
	    LAB(test_vanished_zone_is_lost),
	    LAB(test_victim_gone_undoes),
	    LAB(test_unprotected_victim_undoes),
	    LAB(test_read_only_stops_until_told),
	    LAB(test_busy_knob_takes_the_next),
	    LAB(test_foreign_change_is_hands_off),
	    LAB(test_failed_undo_is_repeated),
	    LAB(test_undo_by_hand_holds),
	    LAB(test_try_ends_by_itself),
	    LAB(test_trials_are_listed_and_end),
	    LAB(test_own_mode_wins),
	    LAB(test_kept_lease_is_renewed),
	    LAB(test_probe_doubles_after_relapse),
	    LAB(test_idle_target_is_released),
	    LAB(test_partial_help_stacks),
	    LAB(test_shared_target_waits),
	    LAB(test_stopped_culprit_is_left_alone),
	    LAB(test_culprit_that_stops_proves_nothing),
	    LAB(test_hour_without_ticks),
	    LAB(test_tables_are_bounded),
	    LAB(test_same_snapshot_again),
	    LAB(test_first_number),
	    LAB(test_unknown_zones_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
