/* SPDX-License-Identifier: MIT */
#include "gate/pairs.h"

#include <stdlib.h>
#include <string.h>

#define SEEN_MAX (2 * PAIRS_MAX)

void pairs_done(struct pairs *p)
{
	pairs_for_each(p, x)
	{
		free(x->victim);
		free(x->culprit);
	}
	free(p->items);
	free(p->seen);
	hash_done(&p->by_name);
	hash_done(&p->by_id);
	*p = (struct pairs){0};
}

static uint64_t name_key(const char *victim, const char *culprit)
{
	return hash_u64(hash_string(victim)) ^ hash_string(culprit);
}

static uint64_t id_key(uint64_t victim, uint64_t culprit)
{
	return hash_u64(hash_u64(victim) ^ culprit);
}

/* A free place, else that of the one idle for longest, if that is long; NULL: none. */
static struct pair *room(struct pairs *p, uint64_t now_ns)
{
	struct pair *oldest = p->items;

	for (size_t i = 0; i < PAIRS_MAX; i++) {
		if (!p->items[i].victim)
			return &p->items[i];
		if (p->items[i].grew_ns < oldest->grew_ns)
			oldest = &p->items[i];
	}
	if (now_ns - oldest->grew_ns < PAIRS_IDLE_NS)
		return NULL;
	hash_remove(&p->by_name, name_key(oldest->victim, oldest->culprit));
	free(oldest->victim);
	free(oldest->culprit);
	*oldest = (struct pair){0};
	return oldest;
}

static struct pair *pair_of(struct pairs *p, const char *victim, const char *culprit,
			    uint64_t now_ns)
{
	uint64_t key = name_key(victim, culprit);
	struct pair *x = hash_get(&p->by_name, key);

	if (x)
		return x;
	x = room(p, now_ns);
	if (!x)
		return NULL;
	x->victim = strdup(victim);
	x->culprit = strdup(culprit);
	if (x->victim && x->culprit && hash_put(&p->by_name, key, x) == 0)
		return x;
	free(x->victim);
	free(x->culprit);
	*x = (struct pair){0};
	return NULL;
}

static struct pair_seen *seen_of(struct pairs *p, uint64_t victim, uint64_t culprit)
{
	struct pair_seen *s = hash_get(&p->by_id, id_key(victim, culprit)), *oldest = p->seen;

	if (s)
		return s;
	for (size_t i = 1; i < SEEN_MAX && oldest->view_ns; i++) {
		if (p->seen[i].view_ns < oldest->view_ns)
			oldest = &p->seen[i];
	}
	if (oldest->view_ns)
		hash_remove(&p->by_id, id_key(oldest->victim, oldest->culprit));
	*oldest = (struct pair_seen){.victim = victim, .culprit = culprit};
	return hash_put(&p->by_id, id_key(victim, culprit), oldest) == 0 ? oldest : NULL;
}

/* By how much a total of czd grew; one that fell began anew. */
static uint64_t growth(struct pairs *p, uint64_t victim, uint64_t culprit, uint64_t ns,
		       uint64_t now_ns)
{
	struct pair_seen *s = seen_of(p, victim, culprit);
	uint64_t before;

	if (!s)
		return 0;
	before = s->ns;
	s->ns = ns;
	s->view_ns = now_ns;
	return ns >= before ? ns - before : ns;
}

static void take_pair(struct pairs *p, const struct view *v, const struct view_zone *victim,
		      const json_t *row)
{
	uint64_t culprit = (uint64_t)json_integer_value(json_object_get(row, "culprit"));
	json_int_t ns = json_integer_value(json_object_get(row, "ns_total"));
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *class = json_string_value(json_object_get(row, "class"));
	const struct view_zone *z = view_zone(v, culprit);
	uint64_t grew = ns > 0 ? growth(p, victim->id, culprit, (uint64_t)ns, v->now_ns) : 0;
	struct pair *x;

	if (!grew)
		return;
	x = pair_of(p, victim->label, z ? z->label : name ? name : "(gone)", v->now_ns);
	if (!x) {
		p->dropped_total++;
		return;
	}
	if (class && zone_class_parse(class, &x->culprit_class) < 0)
		x->culprit_class = CLASS_NORMAL;
	x->ns_total += grew;
	x->grew_ns = v->now_ns;
}

static int set_up(struct pairs *p, uint64_t run)
{
	if (!p->items)
		p->items = calloc(PAIRS_MAX, sizeof(*p->items));
	if (!p->seen)
		p->seen = calloc(SEEN_MAX, sizeof(*p->seen));
	if (!p->items || !p->seen)
		return -ENOMEM;
	if (p->run == run)
		return 0;
	/* Another czd: its totals begin at 0. */
	memset(p->seen, 0, SEEN_MAX * sizeof(*p->seen));
	hash_done(&p->by_id);
	p->run = run;
	return 0;
}

int pairs_take(struct pairs *p, const struct view *v)
{
	const json_t *ledger, *row;
	size_t i, k;

	if (set_up(p, v->run) < 0)
		return -ENOMEM;
	p->left_out = 0;
	json_array_foreach(v->ledgers, i, ledger)
	{
		const struct view_zone *victim =
		    view_zone(v, (uint64_t)json_integer_value(json_object_get(ledger, "zone")));

		if (!victim)
			continue;
		p->left_out +=
		    (uint64_t)json_integer_value(json_object_get(ledger, "pairs_left_out"));
		json_array_foreach(json_object_get(ledger, "pairs"), k, row)
		    take_pair(p, v, victim, row);
	}
	return 0;
}
