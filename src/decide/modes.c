/* SPDX-License-Identifier: MIT */
/*
 * Observe or enforce: for all, or for one victim. A mode until a time lies over the lasting one and
 * falls away by itself. One victim's own mode wins over the mode for all. And which controller
 * acts.
 */
#include <string.h>
#include "decide/internal.h"

struct victim *victim_find(const struct decide *d, uint64_t id)
{
	for (size_t i = 0; i < d->nr_victims; i++)
		if (d->victims[i].id == id)
			return (struct victim *)&d->victims[i];
	return NULL;
}

/* Room is made by dropping the longest unseen that carries no mode of its own. */
static struct victim *victim_evict(struct decide *d)
{
	struct victim *oldest = NULL;

	for (size_t i = 0; i < d->nr_victims; i++) {
		struct victim *v = &d->victims[i];

		if (!v->has_mode && !v->temp.until_ns && (!oldest || v->seen_ns < oldest->seen_ns))
			oldest = v;
	}
	return oldest;
}

struct victim *victim_get(struct decide *d, uint64_t id)
{
	struct victim *v = victim_find(d, id);

	if (!v) {
		v = d->nr_victims < VICTIMS_MAX ? &d->victims[d->nr_victims++] : victim_evict(d);
		if (!v)
			return NULL;
		*v = (struct victim){.id = id};
	}
	v->seen_ns = d->now_ns;
	return v;
}

void victim_forget(struct decide *d, uint64_t id)
{
	struct victim *v = victim_find(d, id);

	if (v)
		*v = d->victims[--d->nr_victims];
}

static bool in_force(const struct temporary_mode *t, uint64_t now_ns)
{
	return t->until_ns > now_ns;
}

uint64_t permitted_ns(const struct decide *d, uint64_t victim_id)
{
	const struct victim *v = victim_id ? victim_find(d, victim_id) : NULL;

	return v && (v->has_mode || in_force(&v->temp, d->now_ns)) ? v->permitted_ns
								   : d->permitted_ns;
}

/* Who undid something by hand, and then says that czd shall act, has thought about it. */
static void holds_by_hand_end(struct decide *d, uint64_t victim_id)
{
	for (size_t i = 0; i < d->nr_pairs; i++) {
		struct pair *p = &d->pairs[i];

		if (p->held_by_hand && (!victim_id || p->victim_id == victim_id)) {
			p->held_by_hand = false;
			p->hold_until_ns = 0;
		}
	}
}

void decide_set_mode(struct decide *d, enum guard_mode mode, uint64_t victim_id, uint64_t until_ns,
		     uint64_t now_ns)
{
	struct temporary_mode temp = {.mode = mode, .until_ns = until_ns};
	uint64_t from_ns;
	struct victim *v;

	d->now_ns = max_u64(d->now_ns, now_ns);
	from_ns = mode_is_enforce(d, victim_id) ? permitted_ns(d, victim_id) : d->now_ns;
	if (mode == MODE_ENFORCE) {
		d->cannot_apply = false; /* a person asks for it: try the journal once more */
		holds_by_hand_end(d, victim_id);
	}
	if (!victim_id) {
		if (!until_ns)
			d->mode = mode;
		d->temp = temp;
		d->permitted_ns = from_ns;
		return;
	}
	v = victim_get(d, victim_id);
	if (!v)
		return;
	v->temp = temp;
	v->permitted_ns = from_ns;
	if (!until_ns) {
		v->has_mode = true;
		v->mode = mode;
	}
}

void decide_observe(struct decide *d)
{
	decide_set_mode(d, MODE_OBSERVE, 0, 0, 0);
	for (size_t i = 0; i < d->nr_victims; i++) {
		struct victim *v = &d->victims[i];

		v->temp = (struct temporary_mode){0};
		v->has_mode = v->has_mode && v->mode == MODE_OBSERVE;
	}
}

enum guard_mode decide_mode(const struct decide *d, uint64_t victim_id, uint64_t now_ns,
			    uint64_t *ret_until_ns)
{
	const struct victim *v = victim_id ? victim_find(d, victim_id) : NULL;
	const struct temporary_mode *temp = NULL;
	enum guard_mode mode = d->mode;

	if (v && in_force(&v->temp, now_ns))
		temp = &v->temp;
	else if (v && v->has_mode)
		mode = v->mode;
	else if (in_force(&d->temp, now_ns))
		temp = &d->temp;
	if (ret_until_ns)
		*ret_until_ns = temp ? temp->until_ns : 0;
	return temp ? temp->mode : mode;
}

bool decide_enforces(const struct decide *d, uint64_t now_ns)
{
	if (decide_mode(d, 0, now_ns, NULL) == MODE_ENFORCE)
		return true;
	for (size_t i = 0; i < d->nr_victims; i++)
		if (decide_mode(d, d->victims[i].id, now_ns, NULL) == MODE_ENFORCE)
			return true;
	return false;
}

size_t decide_own_modes(const struct decide *d, struct own_mode *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < d->nr_victims && n < max; i++)
		if (d->victims[i].has_mode)
			ret[n++] = (struct own_mode){d->victims[i].id, d->victims[i].mode};
	return n;
}

static size_t add_trial(const struct temporary_mode *t, uint64_t victim_id, uint64_t now_ns,
			struct mode_trial *ret, size_t max)
{
	if (!max || t->mode != MODE_ENFORCE || !in_force(t, now_ns))
		return 0;
	*ret = (struct mode_trial){.victim_id = victim_id, .until_ns = t->until_ns};
	return 1;
}

size_t decide_trials(const struct decide *d, uint64_t now_ns, struct mode_trial *ret, size_t max)
{
	size_t n = add_trial(&d->temp, 0, now_ns, ret, max);

	for (size_t i = 0; i < d->nr_victims; i++)
		n += add_trial(&d->victims[i].temp, d->victims[i].id, now_ns, ret + n, max - n);
	return n;
}

const char *control_why_not(const struct zone_view *victim, enum resource resource)
{
	bool cpi2 = victim->control == CONTROL_CPI2_CAP;

	if (cpi2 == (resource == RESOURCE_CACHE))
		return NULL;
	return cpi2 ? "its controller is cpi2-cap, which acts on nothing but its CPI"
		    : "nothing is done about its cycles an instruction: its controller is the "
		      "guard, not cpi2-cap";
}

bool mode_is_enforce(const struct decide *d, uint64_t victim_id)
{
	return decide_mode(d, victim_id, d->now_ns, NULL) == MODE_ENFORCE;
}

void modes_expire(struct decide *d)
{
	if (!in_force(&d->temp, d->now_ns))
		d->temp.until_ns = 0;
	for (size_t i = 0; i < d->nr_victims; i++)
		if (!in_force(&d->victims[i].temp, d->now_ns))
			d->victims[i].temp.until_ns = 0;
}
