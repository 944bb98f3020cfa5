/* SPDX-License-Identifier: MIT */
/*
 * Giving back. An action ends when its reason does: the mode, the victim's protection, the target's
 * class, the lease. And it is tested from time to time: after long enough quiet the highest rung of
 * a pair is taken back; if the harm returns, the rung is applied again at once and the next test
 * waits twice as long.
 */
#include "base/str.h"
#include "decide/internal.h"

#define UNWATCHED_TICKS	  3
#define PROPOSAL_STALE_NS 10000000000ull
#define BUSY_PPM	  1000

static bool is_unwatched(struct decide *d, const struct snapshot *s, uint64_t victim_id)
{
	uint32_t zone = tree_find(&d->tree, victim_id);
	const struct victim *v = victim_find(d, victim_id);

	if (zone == NO_ZONE)
		return true;
	return v && v->unwatched >= UNWATCHED_TICKS;
}

void victims_watch(struct decide *d, const struct snapshot *s)
{
	for (size_t i = 0; i < d->nr_victims; i++) {
		struct victim *v = &d->victims[i];
		uint32_t zone = tree_find(&d->tree, v->id);

		v->note[0] = '\0';
		if (zone != NO_ZONE && snapshot_ledger(s, zone))
			v->unwatched = 0;
		else if (v->unwatched < UNWATCHED_TICKS)
			v->unwatched++;
	}
}

/* It is there, and no longer to be acted on. */
static bool is_untouchable(const struct decide *d, uint64_t zone_id)
{
	uint32_t zone = tree_find(&d->tree, zone_id);

	return zone != NO_ZONE && tree_why_not(&d->tree, zone);
}

/* Why an action that is in force must end now; NULL: it may go on. */
static const char *must_end(struct decide *d, const struct snapshot *s, size_t i)
{
	const struct action *a = &d->actions[i];

	if (!d->trials[i].approved && !mode_is_enforce(d, a->victim_id))
		return "enforcing is over";
	if (is_unwatched(d, s, a->victim_id))
		return "the victim is no longer protected";
	if (is_untouchable(d, a->target_id))
		return "the target may no longer be touched";
	if (a->lease_end_ns && d->now_ns >= a->lease_end_ns)
		return a->resource == RESOURCE_CACHE ? "its 5 minutes are over"
						     : "the lease is over";
	return NULL;
}

static void note_busy(struct decide *d, const struct snapshot *s, size_t i)
{
	uint32_t target = tree_find(&d->tree, d->actions[i].target_id);
	const struct zone_view *z;

	if (target == NO_ZONE)
		return;
	z = &s->zones[target];
	/* Held at a limit it hardly runs, and is there all the same. */
	if (d->actions[i].resource != RESOURCE_CPU && z->valid & METRIC_BIT(ZM_TASKS) &&
	    z->value[ZM_TASKS])
		d->trials[i].busy_ns = d->now_ns;
	if (!(z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS)) ||
	    share_ppm(z->delta[ZM_CPU_USAGE_NS], s->window_ns) >= BUSY_PPM)
		d->trials[i].busy_ns = d->now_ns;
}

/* An end that is not the guard's own judgement: the pair starts over if it ever meets again. */
static void end_action(struct decide *d, size_t i, const char *why)
{
	struct pair *p = pair_of(d, i);

	action_want_undo(d, i, why);
	if (p)
		p->rung = ladder_first(p->resource);
}

/* The same for one that was not begun. */
static const char *must_expire(struct decide *d, const struct snapshot *s, const struct action *a)
{
	if (is_unwatched(d, s, a->victim_id))
		return "the victim is no longer protected";
	if (tree_find(&d->tree, a->target_id) == NO_ZONE || is_untouchable(d, a->target_id))
		return "the target is gone or may no longer be touched";
	return NULL;
}

/* What was approved for a zone ends with its class, or with the victim's protection: when they come
 * back, it is asked anew. */
static void approvals_check(struct decide *d, const struct snapshot *s)
{
	for (size_t i = 0; i < d->nr_pairs; i++) {
		struct pair *p = &d->pairs[i];

		if (p->approved_until_ns &&
		    (is_unwatched(d, s, p->victim_id) || is_untouchable(d, p->approved_target_id)))
			p->approved_until_ns = 0;
	}
}

void actions_check(struct decide *d, const struct snapshot *s)
{
	approvals_check(d, s);
	for (size_t i = 0; i < d->nr_actions; i++) {
		struct action *a = &d->actions[i];
		const char *why;

		if (a->state == ACTION_PROPOSED && d->trials[i].phase == PHASE_RESTING) {
			why = must_expire(d, s, a);
			if (why)
				action_settle(d, i, ACTION_EXPIRED, why);
		}
		if (!action_in_force(a))
			continue;
		note_busy(d, s, i);
		why = must_end(d, s, i);
		if (why)
			end_action(d, i, why);
	}
}

static bool is_youngest_of_pair(const struct decide *d, const struct pair *p, size_t i)
{
	for (size_t j = i + 1; j < d->nr_actions; j++)
		if (pair_has(p, &d->actions[j], &d->trials[j]) && action_in_force(&d->actions[j]))
			return false;
	return true;
}

static void release(struct decide *d, size_t i, struct pair *p, const char *why)
{
	action_want_undo(d, i, why);
	d->trials[i].release = true;
	p->rung = d->trials[i].rung;
	p->released_ns = d->now_ns;
}

static void renew_lease(struct decide *d, struct action *a)
{
	uint64_t until_ns;

	if (decide_mode(d, a->victim_id, d->now_ns, &until_ns) != MODE_ENFORCE)
		return; /* approved by hand: for one lease, not for ever */
	a->lease_end_ns = d->now_ns + d->cfg.lease_ns;
	if (until_ns && until_ns < a->lease_end_ns)
		a->lease_end_ns = until_ns;
}

static void recover_one(struct decide *d, size_t i)
{
	struct action *a = &d->actions[i];
	struct trial *t = &d->trials[i];
	struct pair *p = pair_of(d, i);
	uint64_t quiet_from;

	if (!p)
		return;
	p->seen_ns = d->now_ns;
	if (since_ns(d->now_ns, max_u64(t->busy_ns, a->written_ns)) >= p->probe_ns) {
		release(d, i, p, "it uses no CPU any more");
		return;
	}
	if (a->outcome != OUTCOME_HELPED)
		return;
	quiet_from = max_u64(max_u64(p->harm_ns, p->released_ns), a->written_ns);
	if (since_ns(d->now_ns, quiet_from) >= p->probe_ns && is_youngest_of_pair(d, p, i))
		release(d, i, p,
			t->approved ? "quiet for long: back if the harm returns"
				    : "quiet for long: tested without it");
	else
		renew_lease(d, a);
}

void recover_run(struct decide *d, const struct snapshot *s)
{
	/* A cap of cpi2-cap has its 5 minutes, whatever comes of it. */
	for (size_t i = d->nr_actions; i-- > 0;)
		if (d->actions[i].state == ACTION_KEPT &&
		    d->actions[i].resource != RESOURCE_CACHE &&
		    d->trials[i].phase == PHASE_RESTING && !d->trials[i].want_undo)
			recover_one(d, i);
}

static bool harm_is_open(const struct finding_set *f, const struct action *a)
{
	for (size_t i = 0; i < f->nr; i++)
		if (f->items[i].open && f->items[i].victim_id == a->victim_id &&
		    f->items[i].resource == a->resource && f->items[i].cause == CAUSE_NEIGHBOUR)
			return true;
	return false;
}

void proposals_expire(struct decide *d, const struct finding_set *f)
{
	for (size_t i = 0; i < d->nr_actions; i++) {
		const struct action *a = &d->actions[i];
		const struct trial *t = &d->trials[i];

		if (a->state != ACTION_PROPOSED || t->phase != PHASE_RESTING || t->approved)
			continue;
		if (!harm_is_open(f, a))
			action_settle(d, i, ACTION_EXPIRED, "the harm is over");
		else if (since_ns(d->now_ns, t->refreshed_ns) > PROPOSAL_STALE_NS)
			action_settle(d, i, ACTION_EXPIRED, "it is no longer to blame");
	}
}

static void shift(uint64_t *t, uint64_t by)
{
	if (*t)
		*t += by;
}

/* Nobody was looking for gap_ns: deadlines move along, so that nothing ends for that reason alone,
 * and measuring starts over. A mode set until a time keeps that time: a person chose it. */
void clock_jump(struct decide *d, uint64_t gap_ns)
{
	for (size_t i = 0; i < d->nr_actions; i++) {
		struct trial *t = &d->trials[i];

		shift(&d->actions[i].lease_end_ns, gap_ns);
		shift(&t->busy_ns, gap_ns);
		shift(&t->refreshed_ns, gap_ns);
		if (d->actions[i].state == ACTION_APPLIED) {
			t->measure_from_ns = d->now_ns;
			t->after = (struct measure){0};
		}
	}
	for (size_t i = 0; i < d->nr_pairs; i++) {
		shift(&d->pairs[i].harm_ns, gap_ns);
		shift(&d->pairs[i].changed_ns, gap_ns);
		shift(&d->pairs[i].released_ns, gap_ns);
		shift(&d->pairs[i].hold_until_ns, gap_ns);
		shift(&d->pairs[i].approved_until_ns, gap_ns);
	}
}
