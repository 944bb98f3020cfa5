/* SPDX-License-Identifier: MIT */
/* What a person or the daemon says to the guard: approve, undo, a zone is gone; and what it asks.
 */
#include "base/str.h"
#include "decide/internal.h"

int decide_approve(struct decide *d, uint64_t seq, uint64_t now_ns)
{
	int i = action_find(d, seq);
	struct pair *p;

	if (i < 0)
		return -ENOENT;
	if (d->actions[i].state != ACTION_PROPOSED || d->trials[i].phase != PHASE_RESTING ||
	    d->trials[i].approved)
		return -EALREADY;
	d->now_ns = max_u64(d->now_ns, now_ns);
	d->trials[i].approved = true;
	d->trials[i].approved_ns = d->now_ns;
	p = pair_get(d, d->actions[i].victim_id, d->trials[i].base_id, d->actions[i].resource);
	if (p) {
		p->approved_until_ns = d->now_ns + d->cfg.lease_ns;
		p->approved_rung = d->trials[i].rung;
		p->approved_target_id = d->actions[i].target_id;
	}
	return 0;
}

size_t decide_approvals(const struct decide *d, uint64_t now_ns, struct approval *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < d->nr_pairs && n < max; i++) {
		const struct pair *p = &d->pairs[i];

		if (p->approved_until_ns > now_ns)
			ret[n++] = (struct approval){.victim_id = p->victim_id,
						     .target_id = p->approved_target_id,
						     .until_ns = p->approved_until_ns,
						     .resource = p->resource};
	}
	return n;
}

static void undo_by_hand(struct decide *d, size_t i)
{
	const struct action *a = &d->actions[i];
	struct pair *p = pair_get(d, a->victim_id, d->trials[i].base_id, a->resource);

	action_want_undo(d, i, "undone by hand");
	if (!p)
		return;
	p->rung = ladder_first(p->resource);
	p->approved_until_ns = 0;
	p->held_by_hand = true;
	p->hold_until_ns = max_u64(p->hold_until_ns, d->now_ns + d->cfg.lease_ns);
}

int decide_undo(struct decide *d, uint64_t seq, uint64_t now_ns)
{
	int found = seq ? action_find(d, seq) : -1;

	d->now_ns = max_u64(d->now_ns, now_ns);
	if (seq && found < 0)
		return -ENOENT;
	if (seq && !action_in_force(&d->actions[found]))
		return -EALREADY;
	for (size_t i = 0; i < d->nr_actions; i++)
		if (action_in_force(&d->actions[i]) && (!seq || i == (size_t)found))
			undo_by_hand(d, i);
	for (size_t i = 0; !seq && i < d->nr_pairs; i++)
		d->pairs[i].approved_until_ns = 0;
	return 0;
}

void decide_foreign(struct decide *d, uint64_t seq)
{
	int i = action_find(d, seq);

	if (i < 0 || !action_in_force(&d->actions[i]))
		return;
	hands_off_add(d, d->actions[i].target_id, d->actions[i].knob);
	action_want_undo(d, (size_t)i, "somebody else changed the knob: hands off");
}

void decide_zone_gone(struct decide *d, uint64_t zone_id)
{
	for (size_t i = 0; i < d->nr_actions; i++) {
		struct action *a = &d->actions[i];

		if (a->target_id == zone_id && action_in_force(a))
			action_settle(d, i, ACTION_LOST, "the zone is gone");
		else if (a->victim_id == zone_id && action_in_force(a))
			action_want_undo(d, i, "the victim is gone");
		else if (a->state == ACTION_PROPOSED &&
			 (a->target_id == zone_id || a->victim_id == zone_id))
			action_settle(d, i, ACTION_EXPIRED, "the zone is gone");
	}
	for (size_t i = 0; i < d->nr_pairs;) {
		struct pair *p = &d->pairs[i];

		if (p->victim_id == zone_id || p->base_id == zone_id)
			*p = d->pairs[--d->nr_pairs];
		else
			i++;
	}
	victim_forget(d, zone_id);
}

void decide_can_apply(struct decide *d, bool can)
{
	d->cannot_apply = !can;
}

size_t decide_actions(const struct decide *d, const struct action **ret)
{
	*ret = d->actions;
	return d->nr_actions;
}

const char *decide_note(const struct decide *d, uint64_t victim_id)
{
	const struct victim *v = victim_find(d, victim_id);

	return v ? v->note : "";
}
