/* SPDX-License-Identifier: MIT */
/*
 * An index over the zones of one snapshot: id -> index, and for every zone who else lives below it.
 * Parents come before children, so one walk backwards adds everything up.
 */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "decide/internal.h"

static int tree_reserve(struct tree *t, size_t nr)
{
	size_t slots = 64;
	void *p;

	while (slots < nr * 2)
		slots *= 2;
	if (slots > t->slots_cap) {
		p = realloc(t->slots, slots * sizeof(*t->slots));
		if (!p)
			return -ENOMEM;
		t->slots = p;
		t->slots_cap = slots;
	}
	if (nr <= t->zones_cap)
		return 0;
	p = realloc(t->bystanders, nr * sizeof(*t->bystanders));
	if (!p)
		return -ENOMEM;
	t->bystanders = p;
	p = realloc(t->blocked, nr * sizeof(*t->blocked));
	if (!p)
		return -ENOMEM;
	t->blocked = p;
	t->zones_cap = nr;
	return 0;
}

void tree_done(struct tree *t)
{
	free(t->slots);
	free(t->bystanders);
	free(t->blocked);
	*t = (struct tree){0};
}

/* A zone of which nothing is known may well be at work. */
static bool is_bystander(const struct zone_view *z)
{
	bool tasks = z->valid & METRIC_BIT(ZM_TASKS),
	     use = z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS);

	if (z->class == CLASS_BE)
		return false;
	if (!tasks && !use)
		return true;
	return (tasks && z->value[ZM_TASKS]) || (use && z->delta[ZM_CPU_USAGE_NS]);
}

static void tree_insert(struct tree *t, uint64_t id, uint32_t index)
{
	size_t i = hash_u64(id) & (t->slots_cap - 1);

	while (t->slots[i])
		i = (i + 1) & (t->slots_cap - 1);
	t->slots[i] = index + 1;
}

int tree_update(struct tree *t, const struct snapshot *s)
{
	if (t->zones == s->zones && t->seq == s->seq && t->nr == s->nr_zones)
		return 0;
	t->zones = NULL;
	t->nr = 0;
	if (tree_reserve(t, s->nr_zones) < 0)
		return -ENOMEM;
	memset(t->slots, 0, t->slots_cap * sizeof(*t->slots));
	if (s->nr_zones) {
		memset(t->bystanders, 0, s->nr_zones * sizeof(*t->bystanders));
		memset(t->blocked, 0, s->nr_zones * sizeof(*t->blocked));
	}
	for (size_t i = s->nr_zones; i-- > 0;) {
		const struct zone_view *z = &s->zones[i];

		tree_insert(t, z->id, (uint32_t)i);
		if (z->parent >= s->nr_zones)
			continue;
		t->bystanders[z->parent] += t->bystanders[i] + is_bystander(z);
		t->blocked[z->parent] |= t->blocked[i] | z->off_limits;
	}
	t->seq = s->seq;
	t->zones = s->zones;
	t->nr = s->nr_zones;
	return 0;
}

uint32_t tree_find(const struct tree *t, uint64_t id)
{
	if (!t->nr)
		return NO_ZONE;
	for (size_t i = hash_u64(id) & (t->slots_cap - 1); t->slots[i];
	     i = (i + 1) & (t->slots_cap - 1))
		if (t->zones[t->slots[i] - 1].id == id)
			return t->slots[i] - 1;
	return NO_ZONE;
}

const char *tree_why_not(const struct tree *t, uint32_t zone)
{
	const struct zone_view *z = &t->zones[zone];

	if (z->off_limits || z->parent == NO_ZONE)
		return "it is off limits";
	if (z->class != CLASS_BE)
		return "it is not best-effort (class be)";
	if (t->blocked[zone])
		return "a zone below it is off limits";
	if (t->bystanders[zone])
		return "zones that are not best-effort run below it";
	return NULL;
}
