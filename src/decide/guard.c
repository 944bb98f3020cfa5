/* SPDX-License-Identifier: MIT */
/*
 * The guard: one state machine for the slow path (a tick with findings) and the fast path (one
 * event). Both end in steps; what became of them comes back through decide_result().
 *
 *   proposed -> applied -> kept -> reverted         failed: nothing was written
 *       |          \-> reverted (no help)           lost: the zone is gone, or the knob is not ours
 *       \-> expired
 */
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/str.h"
#include "decide/internal.h"

#define JUMP_NS		 10000000000ull
#define JUMP_TICKS	 5
#define RETRY_MAX_NS	 60000000000ull
#define CULPRITS_TRIED	 3
#define HARM_PAUSE_TICKS 3
#define TOO_LITTLE_TIMES 2 /* cooldown_ns of harm with a step that helped */

int decide_new(const struct config *cfg, uint64_t first_seq, struct decide **ret)
{
	struct decide *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->cfg = cfg->guard;
	d->tick_ns = cfg->tick_ns;
	d->mode = cfg->guard.mode;
	d->next_seq = first_seq ? first_seq : 1;
	*ret = d;
	return 0;
}

void decide_free(struct decide *d)
{
	if (!d)
		return;
	tree_done(&d->tree);
	free(d);
}

uint64_t decide_next_seq(const struct decide *d)
{
	return d->next_seq;
}

static void note(struct decide *d, uint64_t victim_id, const char *who, const char *why)
{
	struct victim *v = victim_get(d, victim_id);

	if (v && !v->note[0])
		snprintf(v->note, sizeof(v->note), "%.64s: %s", who, why);
}

static bool plan_add(struct plan *plan, enum step_kind kind, const struct action *a)
{
	if (plan->nr == STEPS_MAX)
		return false;
	plan->steps[plan->nr++] = (struct step){.kind = kind, .action = *a};
	return true;
}

static bool plan_apply(struct decide *d, size_t i, struct plan *plan)
{
	if (d->cannot_apply || actions_in_force(d) >= d->cfg.max_actions)
		return false;
	d->actions[i].decided_ns = d->now_ns;
	if (!plan_add(plan, STEP_APPLY, &d->actions[i]))
		return false;
	d->trials[i].phase = PHASE_APPLYING;
	return true;
}

/* Youngest first: what was stacked comes off in reverse. */
static void plan_undos(struct decide *d, struct plan *plan)
{
	for (size_t i = d->nr_actions; i-- > 0;) {
		struct trial *t = &d->trials[i];

		if (!t->want_undo || t->phase != PHASE_RESTING || d->now_ns < t->retry_ns)
			continue;
		if (!plan_add(plan, STEP_UNDO, &d->actions[i]))
			return;
		t->phase = PHASE_UNDOING;
	}
}

static void plan_approved(struct decide *d, struct plan *plan)
{
	for (size_t i = 0; i < d->nr_actions; i++) {
		if (d->actions[i].state == ACTION_PROPOSED && d->trials[i].approved &&
		    d->trials[i].phase == PHASE_RESTING)
			plan_apply(d, i, plan);
	}
}

/* A knob was turned and has not had its window yet: harm seen now says nothing about it. */
static bool base_is_settling(const struct decide *d, const struct contest *c)
{
	uint64_t id = c->s->zones[c->base].id;

	for (size_t i = 0; i < d->nr_actions; i++)
		if (d->actions[i].target_id == id &&
		    (d->trials[i].phase != PHASE_RESTING || d->actions[i].state == ACTION_APPLIED))
			return true;
	return false;
}

/* A finding's evidence covers seconds; whoever has stopped, or was stopped, meanwhile is left
 * alone. */
static bool still_hurts(const struct contest *c)
{
	const struct ledger_view *l = snapshot_ledger(c->s, c->victim);
	struct measure m = {0};

	if (!l)
		return false;
	if (c->resource == RESOURCE_CACHE)
		return true; /* the alarm is of a minute, and its culprit with it */
	measure_add(&m, c->s, l, c->resource, c->base);
	return m.part_ns && share_ppm(m.part_ns, m.wait_ns) >= CULPRIT_MIN_PPM;
}

/* Harm soon after a probe: back at once, and the next probe waits twice as long. */
static bool is_relapse(const struct pair *p, uint64_t now_ns)
{
	return p->released_ns && since_ns(now_ns, p->released_ns) <= 2 * p->probe_ns;
}

static void note_relapse(const struct decide *d, struct pair *p)
{
	if (is_relapse(p, d->now_ns))
		p->probe_ns = min_u64(2 * p->probe_ns, PROBE_DOUBLINGS * d->cfg.quiet_ns);
	else
		p->probe_ns = d->cfg.quiet_ns;
	p->released_ns = 0;
}

static bool pair_may_act(const struct decide *d, const struct pair *p, bool enforce)
{
	if (d->now_ns < p->hold_until_ns || pair_is_busy(d, p))
		return false;
	return !enforce || is_relapse(p, d->now_ns) || !p->changed_ns ||
	       since_ns(d->now_ns, p->changed_ns) >= d->cfg.cooldown_ns;
}

/* Approved by a person, and the lease runs: it comes back with the harm, without asking again. */
static bool is_approved(const struct decide *d, const struct pair *p, enum rung r)
{
	return d->now_ns < p->approved_until_ns && r <= p->approved_rung;
}

/* After a pause it is new harm: the finding's if that is new too, else of this window. */
static void note_harm(struct decide *d, struct pair *p, const struct contest *c)
{
	const struct victim *v = victim_find(d, c->finding->victim_id);

	if (!p->harm_ns || since_ns(d->now_ns, p->harm_ns) > HARM_PAUSE_TICKS * d->tick_ns)
		p->since_ns = v && v->finding_seq == c->finding->seq
				  ? since_ns(c->s->now_ns, c->s->window_ns)
				  : c->finding->since_ns;
	p->harm_ns = d->now_ns;
}

static int find_proposal(const struct decide *d, const struct pair *p)
{
	for (size_t i = 0; i < d->nr_actions; i++)
		if (d->actions[i].state == ACTION_PROPOSED &&
		    pair_has(p, &d->actions[i], &d->trials[i]) &&
		    d->trials[i].phase == PHASE_RESTING)
			return (int)i;
	return -1;
}

/* The action for this rung: the standing proposal with fresh numbers, or a new one. */
static int put_action(struct decide *d, const struct pair *p, enum rung r,
		      const struct action *built, const struct contest *c)
{
	int i = find_proposal(d, p);
	struct action *a;

	if (i >= 0 && (d->actions[i].knob != built->knob || d->trials[i].rung != r)) {
		if (d->trials[i].approved)
			return -1; /* what was approved is done first */
		action_settle(d, (size_t)i, ACTION_EXPIRED,
			      "another step is proposed in its stead");
		i = -1;
	}
	if (i < 0)
		i = action_add(d);
	if (i < 0)
		return -1;
	a = &d->actions[i];
	uint64_t seq = a->seq, decided_ns = a->decided_ns;
	*a = *built;
	a->seq = seq;
	a->decided_ns = decided_ns;
	a->state = ACTION_PROPOSED;
	a->finding_seq = c->finding ? c->finding->seq : 0;
	a->onset_ns = c->finding ? max_u64(c->finding->since_ns, p->since_ns) : c->event->since_ns;
	a->fast = c->event != NULL;
	d->trials[i].rung = r;
	d->trials[i].base_id = p->base_id;
	d->trials[i].refreshed_ns = d->now_ns;
	d->trials[i].usual_stall_ppm = c->finding ? c->finding->usual_stall_ppm : 0;
	outcome_before(a, &d->trials[i], c, c->base);
	return i;
}

static void ladder_exhausted(struct decide *d, struct pair *p)
{
	p->rung = ladder_first(p->resource);
	p->held_by_hand = false;
	p->hold_until_ns = d->now_ns + p->backoff_ns;
	p->backoff_ns = min_u64(2 * p->backoff_ns, BACKOFF_MAX_NS);
}

/* The pair's next step turns a knob that an earlier one holds, which helped, but too little: that
 * comes off first, when the harm has gone on with it for a while. */
static bool make_way(struct decide *d, const struct contest *c, const struct pair *p)
{
	int i = ladder_in_the_way(d, c, p);

	if (i < 0)
		return false;
	if (since_ns(d->now_ns, max_u64(p->since_ns, d->actions[i].settled_ns)) >=
	    TOO_LITTLE_TIMES * d->cfg.cooldown_ns)
		action_want_undo(d, (size_t)i, "too little: a stricter step follows");
	return true;
}

static void consider(struct decide *d, const struct contest *c, struct plan *plan)
{
	const struct zone_view *victim = &c->s->zones[c->victim];
	struct pair *p = pair_get(d, victim->id, c->s->zones[c->base].id, c->resource);
	bool enforce = mode_is_enforce(d, victim->id), approved;
	struct action built;
	enum rung r;
	int i;

	if (!p || !still_hurts(c))
		return;
	note_harm(d, p, c);
	if (base_is_settling(d, c) || is_capped_already(d, c))
		return;
	approved = !enforce && is_approved(d, p, p->rung);
	if (!pair_may_act(d, p, enforce || approved)) {
		if (d->now_ns < p->hold_until_ns)
			note(
			    d, victim->id, c->culprit->name,
			    p->held_by_hand
				? "undone by hand, not tried again for a while"
				: "nothing that was tried helped; waiting before the next attempt");
		return;
	}
	if ((enforce || approved) && make_way(d, c, p))
		return;
	r = ladder_next(d, c, p->rung, &built);
	if (r == RUNG_NR) {
		note(d, victim->id, c->culprit->name, "no further step of the ladder can be taken");
		if (enforce && p->rung > ladder_first(p->resource))
			ladder_exhausted(d, p);
		return;
	}
	i = put_action(d, p, r, &built, c);
	approved = approved && is_approved(d, p, r);
	if (i < 0 || !(enforce || approved))
		return;
	d->trials[i].approved = approved;
	if (plan_apply(d, (size_t)i, plan))
		note_relapse(d, p);
	else
		note(d, victim->id, c->culprit->name,
		     d->cannot_apply ? "nothing can be enforced now" : "too many actions at once");
}

static bool is_its_affair(struct decide *d, const struct snapshot *s, const struct finding *f)
{
	uint32_t victim = tree_find(&d->tree, f->victim_id);
	const char *why =
	    victim == NO_ZONE ? NULL : control_why_not(&s->zones[victim], f->resource);

	if (why)
		note(d, f->victim_id, s->zones[victim].name, why);
	return victim != NO_ZONE && !why;
}

static void consider_finding(struct decide *d, const struct snapshot *s, const struct finding *f,
			     struct plan *plan)
{
	size_t nr = f->nr_culprits < CULPRITS_TRIED ? f->nr_culprits : CULPRITS_TRIED;
	struct victim *v;

	if (!f->open || f->last_ns != s->now_ns || f->cause != CAUSE_NEIGHBOUR ||
	    ladder_first(f->resource) == RUNG_NR || !is_its_affair(d, s, f))
		return;
	for (size_t i = 0; i < nr && f->culprits[i].share_ppm >= CULPRIT_MIN_PPM; i++) {
		const struct culprit *culprit = &f->culprits[i];
		struct contest c;
		const char *why =
		    contest_init(&c, d, s, f->resource, f->victim_id, culprit->zone_id, culprit);

		c.finding = f;
		if (why)
			note(d, f->victim_id, culprit->name, why);
		else
			consider(d, &c, plan);
	}
	v = victim_find(d, f->victim_id);
	if (v)
		v->finding_seq = f->seq;
}

static bool has_open_actions(const struct decide *d)
{
	for (size_t i = 0; i < d->nr_actions; i++)
		if (!action_is_settled(&d->actions[i]))
			return true;
	return false;
}

/* True for a snapshot not seen before; after a change of policy the latest one comes again. */
static bool see_snapshot(struct decide *d, const struct snapshot *s)
{
	uint64_t gap = d->last_snapshot_ns ? since_ns(s->now_ns, d->last_snapshot_ns) : 0;
	bool fresh = s->now_ns > d->last_snapshot_ns;

	d->now_ns = max_u64(d->now_ns, s->now_ns);
	if (gap > max_u64(JUMP_NS, JUMP_TICKS * d->tick_ns))
		clock_jump(d, gap - d->tick_ns);
	d->last_snapshot_ns = max_u64(d->last_snapshot_ns, s->now_ns);
	return fresh;
}

static void learn_from(struct decide *d, const struct snapshot *s, const struct finding_set *f)
{
	for (size_t i = 0; i < f->nr; i++)
		if (f->items[i].open)
			(void)victim_get(d, f->items[i].victim_id);
	victims_watch(d, s);
	outcomes_run(d, s);
}

void decide_tick(struct decide *d, const struct snapshot *s, const struct finding_set *f,
		 struct plan *ret)
{
	bool fresh = see_snapshot(d, s);

	ret->nr = 0;
	modes_expire(d);
	if (!s->nr_ledgers && !has_open_actions(d))
		return;
	if (tree_update(&d->tree, s) < 0)
		return;
	if (fresh)
		learn_from(d, s, f);
	actions_check(d, s);
	recover_run(d, s);
	plan_undos(d, ret);
	plan_approved(d, ret);
	for (size_t i = 0; i < f->nr; i++)
		consider_finding(d, s, &f->items[i], ret);
	proposals_expire(d, f);
	pairs_forget_quiet(d);
}

void decide_fast(struct decide *d, const struct snapshot *s, const struct fast_event *e,
		 struct plan *ret)
{
	struct contest c;
	struct action built;
	struct pair *p;
	int i;

	ret->nr = 0;
	d->now_ns = max_u64(d->now_ns, e->now_ns);
	if (tree_update(&d->tree, s) < 0 ||
	    contest_init(&c, d, s, RESOURCE_CPU, e->victim_id, e->culprit_id, NULL))
		return;
	c.event = e;
	p = pair_get(d, e->victim_id, s->zones[c.base].id, RESOURCE_CPU);
	if (!p)
		return;
	if (!p->harm_ns || since_ns(d->now_ns, p->harm_ns) > HARM_PAUSE_TICKS * d->tick_ns)
		p->since_ns = e->since_ns;
	p->harm_ns = d->now_ns;
	if (control_why_not(&s->zones[c.victim], RESOURCE_CPU))
		return;
	if (!mode_is_enforce(d, e->victim_id) || p->rung != RUNG_IDLE || !pair_may_act(d, p, true))
		return;
	if (!rung_build(d, &c, RUNG_IDLE, &built))
		return;
	i = put_action(d, p, RUNG_IDLE, &built, &c);
	if (i < 0 || !plan_apply(d, (size_t)i, ret))
		return;
	note_relapse(d, p);
	(void)victim_get(d, e->victim_id); /* from now on its protection is followed */
}

static void applied(struct decide *d, size_t i, const char *from, uint64_t written_ns)
{
	struct action *a = &d->actions[i];
	struct trial *t = &d->trials[i];
	struct pair *p = pair_get(d, a->victim_id, t->base_id, a->resource);
	uint64_t until_ns;

	a->state = ACTION_APPLIED;
	a->written_ns = t->measure_from_ns = t->busy_ns = written_ns;
	a->lease_end_ns =
	    written_ns + (a->resource == RESOURCE_CACHE ? CPI2_CAP_NS : d->cfg.lease_ns);
	if (decide_mode(d, a->victim_id, d->now_ns, &until_ns) == MODE_ENFORCE && until_ns)
		a->lease_end_ns = min_u64(a->lease_end_ns, until_ns);
	if (t->approved && p)
		a->lease_end_ns = p->approved_until_ns;
	a->permitted_ns = t->approved ? t->approved_ns : permitted_ns(d, a->victim_id);
	str_copy(a->from, sizeof(a->from), from ? from : "");
	t->phase = PHASE_RESTING;
	if (!p)
		return;
	p->rung = t->rung + 1;
	p->changed_ns = written_ns;
}

/* Nothing was written. The next rung may do, except where the zone or the journal is the trouble.
 */
static void not_applied(struct decide *d, size_t i, int err)
{
	struct action *a = &d->actions[i];
	struct trial *t = &d->trials[i];
	struct pair *p = pair_of(d, i);
	char why[64];

	snprintf(why, sizeof(why), "could not be written: %s", strerror(-err));
	if (err == -ENOENT || err == -ESTALE) {
		action_settle(d, i, ACTION_LOST, "the zone is gone");
		return;
	}
	action_settle(d, i, ACTION_FAILED, why);
	if (err == -EROFS) {
		d->cannot_apply = true;
		return;
	}
	if (err == -EOPNOTSUPP)
		d->knob_missing |= 1u << a->knob;
	if (err == -ECANCELED)
		hands_off_add(d, a->target_id, a->knob);
	/* in the idle class by somebody else, it has no weight to turn either */
	if (p)
		p->rung = err == -EALREADY && t->rung == RUNG_IDLE ? RUNG_CPUSET : t->rung + 1;
}

static void undone(struct decide *d, size_t i, int err, uint64_t written_ns)
{
	struct action *a = &d->actions[i];
	struct trial *t = &d->trials[i];
	struct pair *p = pair_of(d, i);

	if (p)
		p->changed_ns = max_u64(written_ns, d->now_ns);
	if (!err) {
		action_settle(d, i, ACTION_REVERTED, NULL);
		return;
	}
	if (err == -ECANCELED) {
		hands_off_add(d, a->target_id, a->knob);
		action_settle(d, i, ACTION_LOST, "somebody else changed the knob: hands off");
		return;
	}
	if (err == -ENOENT || err == -ESTALE) {
		action_settle(d, i, ACTION_LOST, "the zone is gone");
		return;
	}
	/* It must come off: again, ever more patiently, for as long as it takes. */
	t->phase = PHASE_RESTING;
	t->want_undo = true;
	t->retry_ns = d->now_ns + min_u64(d->tick_ns << min_u64(t->retries++, 10), RETRY_MAX_NS);
}

void decide_result(struct decide *d, uint64_t seq, enum step_kind kind, int err, const char *from,
		   uint64_t written_ns)
{
	int i = action_find(d, seq);

	if (i < 0)
		return;
	d->now_ns = max_u64(d->now_ns, written_ns);
	if (kind == STEP_UNDO && d->trials[i].phase == PHASE_UNDOING)
		undone(d, (size_t)i, err, written_ns);
	else if (kind == STEP_APPLY && d->trials[i].phase == PHASE_APPLYING && !err)
		applied(d, (size_t)i, from, written_ns);
	else if (kind == STEP_APPLY && d->trials[i].phase == PHASE_APPLYING)
		not_applied(d, (size_t)i, err);
}
