/* SPDX-License-Identifier: MIT */
/* The bounded tables: actions with their trials, pairs, and knobs that are somebody else's. */
#include <string.h>
#include "base/str.h"
#include "decide/internal.h"

bool action_is_settled(const struct action *a)
{
	return a->state == ACTION_REVERTED || a->state == ACTION_FAILED ||
	       a->state == ACTION_LOST || a->state == ACTION_EXPIRED;
}

bool action_in_force(const struct action *a)
{
	return a->state == ACTION_APPLIED || a->state == ACTION_KEPT;
}

int action_find(const struct decide *d, uint64_t seq)
{
	for (size_t i = 0; i < d->nr_actions; i++)
		if (d->actions[i].seq == seq)
			return (int)i;
	return -1;
}

/* Actions stay in the order of their numbers; the oldest settled one makes room. */
int action_add(struct decide *d)
{
	size_t i = 0, after;

	if (d->nr_actions == ACTIONS_MAX) {
		while (i < d->nr_actions && !action_is_settled(&d->actions[i]))
			i++;
		if (i == d->nr_actions)
			return -1;
		after = --d->nr_actions - i;
		memmove(&d->actions[i], &d->actions[i + 1], after * sizeof(d->actions[0]));
		memmove(&d->trials[i], &d->trials[i + 1], after * sizeof(d->trials[0]));
	}
	i = d->nr_actions++;
	d->actions[i] = (struct action){.seq = d->next_seq++, .decided_ns = d->now_ns};
	d->trials[i] = (struct trial){0};
	return (int)i;
}

void action_settle(struct decide *d, size_t i, enum action_state state, const char *why)
{
	struct action *a = &d->actions[i];

	a->state = state;
	a->settled_ns = d->now_ns;
	if (why)
		str_copy(a->ended, sizeof(a->ended), why);
	d->trials[i].phase = PHASE_RESTING;
	d->trials[i].want_undo = false;
}

void action_want_undo(struct decide *d, size_t i, const char *why)
{
	if (d->trials[i].want_undo || d->trials[i].phase == PHASE_UNDOING)
		return;
	d->trials[i].want_undo = true;
	str_copy(d->actions[i].ended, sizeof(d->actions[i].ended), why);
}

int action_holding(const struct decide *d, uint64_t target_id, enum knob knob)
{
	for (size_t i = 0; i < d->nr_actions; i++) {
		const struct action *a = &d->actions[i];

		if (a->target_id == target_id && a->knob == knob &&
		    (action_in_force(a) || d->trials[i].phase == PHASE_APPLYING))
			return (int)i;
	}
	return -1;
}

size_t actions_in_force(const struct decide *d)
{
	size_t nr = 0;

	for (size_t i = 0; i < d->nr_actions; i++)
		nr += action_in_force(&d->actions[i]) || d->trials[i].phase == PHASE_APPLYING;
	return nr;
}

static struct pair *pair_find(struct decide *d, uint64_t victim_id, uint64_t base_id,
			      enum resource resource)
{
	for (size_t i = 0; i < d->nr_pairs; i++)
		if (d->pairs[i].victim_id == victim_id && d->pairs[i].base_id == base_id &&
		    d->pairs[i].resource == resource)
			return &d->pairs[i];
	return NULL;
}

struct pair *pair_of(struct decide *d, size_t i)
{
	return pair_find(d, d->actions[i].victim_id, d->trials[i].base_id, d->actions[i].resource);
}

bool pair_has(const struct pair *p, const struct action *a, const struct trial *t)
{
	return a->victim_id == p->victim_id && t->base_id == p->base_id &&
	       a->resource == p->resource;
}

static bool pair_has_actions(const struct decide *d, const struct pair *p)
{
	for (size_t i = 0; i < d->nr_actions; i++)
		if (pair_has(p, &d->actions[i], &d->trials[i]) &&
		    !action_is_settled(&d->actions[i]))
			return true;
	return false;
}

static struct pair *pair_evict(struct decide *d)
{
	struct pair *oldest = NULL;

	for (size_t i = 0; i < d->nr_pairs; i++)
		if ((!oldest || d->pairs[i].seen_ns < oldest->seen_ns) &&
		    !pair_has_actions(d, &d->pairs[i]))
			oldest = &d->pairs[i];
	return oldest;
}

struct pair *pair_get(struct decide *d, uint64_t victim_id, uint64_t base_id, enum resource res)
{
	struct pair *p = pair_find(d, victim_id, base_id, res);

	if (!p) {
		p = d->nr_pairs < PAIRS_MAX ? &d->pairs[d->nr_pairs++] : pair_evict(d);
		if (!p)
			return NULL;
		*p = (struct pair){
		    .victim_id = victim_id,
		    .base_id = base_id,
		    .resource = res,
		    .rung = ladder_first(res),
		    .probe_ns = d->cfg.quiet_ns,
		    .backoff_ns = d->cfg.quiet_ns,
		};
	}
	p->seen_ns = d->now_ns;
	return p;
}

bool pair_is_busy(const struct decide *d, const struct pair *p)
{
	for (size_t i = 0; i < d->nr_actions; i++) {
		const struct action *a = &d->actions[i];
		const struct trial *t = &d->trials[i];

		if (!pair_has(p, a, t))
			continue;
		if (t->phase != PHASE_RESTING || t->want_undo || a->state == ACTION_APPLIED)
			return true;
	}
	return false;
}

/* After long quiet a pair is met afresh, at the lowest rung. */
void pairs_forget_quiet(struct decide *d)
{
	for (size_t i = 0; i < d->nr_pairs;) {
		struct pair *p = &d->pairs[i];
		uint64_t latest = max_u64(max_u64(p->harm_ns, p->hold_until_ns),
					  max_u64(p->released_ns, p->approved_until_ns));

		if (since_ns(d->now_ns, latest) > 10 * max_u64(d->cfg.quiet_ns, p->probe_ns) &&
		    !pair_has_actions(d, p))
			*p = d->pairs[--d->nr_pairs];
		else
			i++;
	}
}

void hands_off_add(struct decide *d, uint64_t zone_id, enum knob knob)
{
	size_t i = 0, oldest = 0;

	for (; i < d->nr_hands_off; i++) {
		if (d->hands_off[i].zone_id == zone_id && d->hands_off[i].knob == knob)
			break;
		if (d->hands_off[i].until_ns < d->hands_off[oldest].until_ns)
			oldest = i;
	}
	if (i == HANDS_OFF_MAX)
		i = oldest;
	else if (i == d->nr_hands_off)
		d->nr_hands_off++;
	d->hands_off[i] = (struct hands_off){
	    .zone_id = zone_id, .knob = knob, .until_ns = d->now_ns + HANDS_OFF_NS};
}

/* Turning one resets the other. */
static bool same_knob(enum knob a, enum knob b)
{
	bool a_ranks = a == KNOB_CPU_IDLE || a == KNOB_CPU_WEIGHT;
	bool b_ranks = b == KNOB_CPU_IDLE || b == KNOB_CPU_WEIGHT;

	return a == b || (a_ranks && b_ranks);
}

bool hands_off_has(const struct decide *d, uint64_t zone_id, enum knob knob)
{
	for (size_t i = 0; i < d->nr_hands_off; i++) {
		const struct hands_off *h = &d->hands_off[i];

		if (h->zone_id == zone_id && same_knob(h->knob, knob) && h->until_ns > d->now_ns)
			return true;
	}
	return false;
}
