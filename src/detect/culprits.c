/* SPDX-License-Identifier: MIT */
/*
 * Whom to name. The ledger knows leaves; a job made of many leaves is one culprit. So leaves are
 * named as they are, unless none of them stands out and one subtree beside the victim holds nearly
 * all of the neighbours' part: then the smallest such subtree is named in their stead.
 */
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "detect/internal.h"

#define LEAVES_MAX    64
#define ANCESTORS_MAX 256
#define DOMINANT_PPM  400000 /* a leaf with so much of the neighbours' part stands for itself */
#define SUBTREE_PPM   800000

struct leaf {
	uint64_t id, ns;
	uint32_t zone;
	int32_t pid, cpu;
	const char *comm;
};
struct leaves {
	size_t nr;
	struct leaf items[LEAVES_MAX];
};
struct ancestor {
	uint32_t zone, leaves;
	uint64_t ns;
};

static void leaves_add(struct leaves *l, const struct window_part *p)
{
	struct leaf *leaf = NULL;

	for (size_t i = 0; i < l->nr && !leaf; i++)
		if (l->items[i].id == p->zone_id)
			leaf = &l->items[i];
	if (!leaf) {
		if (l->nr == LEAVES_MAX)
			return;
		leaf = &l->items[l->nr++];
		*leaf = (struct leaf){.id = p->zone_id,
				      .zone = NO_ZONE,
				      .pid = p->pid,
				      .cpu = p->cpu,
				      .comm = p->comm};
	}
	leaf->ns += p->ns;
}

static int leaf_by_ns(const void *a, const void *b)
{
	const struct leaf *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Newest windows first, so that the task named is the latest seen. */
static void leaves_collect(const struct watch *w, uint32_t bit, const struct snapshot *s,
			   blame_fn of, struct leaves *l)
{
	l->nr = 0;
	for (size_t i = 0; i < w->nr; i++) {
		const struct window *win = watch_window(w, i);

		for (size_t p = 0; is_evidence(w, bit, win) && p < of(win)->nr_parts; p++)
			leaves_add(l, &of(win)->parts[p]);
	}
	qsort(l->items, l->nr, sizeof(l->items[0]), leaf_by_ns);
	for (uint32_t z = 0; z < s->nr_zones; z++)
		for (size_t i = 0; i < l->nr; i++)
			if (l->items[i].id == s->zones[z].id)
				l->items[i].zone = z;
}

static void ancestors_add(struct ancestor *set, size_t *nr, uint32_t zone, uint64_t ns)
{
	size_t i = 0;

	while (i < *nr && set[i].zone != zone)
		i++;
	if (i == ANCESTORS_MAX)
		return;
	if (i == *nr)
		set[(*nr)++] = (struct ancestor){.zone = zone};
	set[i].ns += ns;
	set[i].leaves++;
}

/* The smallest subtree beside the victim that sums several leaves to nearly everything. */
static uint32_t common_subtree(const struct leaves *l, const struct snapshot *s, uint32_t victim,
			       uint64_t total_ns)
{
	struct ancestor set[ANCESTORS_MAX];
	uint32_t best = NO_ZONE;
	size_t nr = 0;

	for (size_t i = 0; i < l->nr; i++)
		for (uint32_t z = l->items[i].zone;
		     z != NO_ZONE && !snapshot_is_below(s, victim, z); z = s->zones[z].parent)
			ancestors_add(set, &nr, z, l->items[i].ns);
	for (size_t i = 0; i < nr; i++)
		if (set[i].leaves > 1 && share_ppm(set[i].ns, total_ns) >= SUBTREE_PPM &&
		    (best == NO_ZONE || s->zones[set[i].zone].depth > s->zones[best].depth))
			best = set[i].zone;
	return best;
}

static void fold_into(struct leaves *l, const struct snapshot *s, uint32_t subtree)
{
	struct leaf sum = {.id = s->zones[subtree].id, .zone = subtree};
	size_t kept = 0;

	for (size_t i = 0; i < l->nr; i++) {
		const struct leaf *leaf = &l->items[i];

		if (leaf->zone == NO_ZONE || !snapshot_is_below(s, leaf->zone, subtree)) {
			l->items[kept++] = *leaf;
			continue;
		}
		if (!sum.ns) { /* the largest speaks for the rest */
			sum.pid = leaf->pid;
			sum.cpu = leaf->cpu;
			sum.comm = leaf->comm;
		}
		sum.ns += leaf->ns;
	}
	l->items[kept++] = sum;
	l->nr = kept;
	qsort(l->items, l->nr, sizeof(l->items[0]), leaf_by_ns);
}

void names_remember(struct watch *w, const struct zone_view *z)
{
	struct remembered *r = NULL;

	for (size_t i = 0; i < NAMES_KEPT && !r; i++)
		if (w->names[i].id == z->id)
			r = &w->names[i];
	if (!r)
		r = &w->names[w->next_name++ % NAMES_KEPT];
	r->id = z->id;
	r->class = z->class;
	str_copy(r->name, sizeof(r->name), z->name);
}

static void name_of(const struct leaf *leaf, const struct snapshot *s, const struct watch *w,
		    struct culprit *ret)
{
	if (leaf->zone != NO_ZONE) {
		str_copy(ret->name, sizeof(ret->name), s->zones[leaf->zone].name);
		ret->class = s->zones[leaf->zone].class;
		return;
	}
	str_copy(ret->name, sizeof(ret->name), "(gone)");
	for (size_t i = 0; i < NAMES_KEPT; i++)
		if (w->names[i].id == leaf->id) {
			str_copy(ret->name, sizeof(ret->name), w->names[i].name);
			ret->class = w->names[i].class;
		}
}

void culprits_name(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t victim,
		   const struct evidence *e, struct finding *f)
{
	uint64_t total = e->cause_ns[CAUSE_NEIGHBOUR];
	struct leaves l;
	uint32_t subtree = NO_ZONE;

	leaves_collect(w, bit, s, e->of, &l);
	if (l.nr && share_ppm(l.items[0].ns, total) < DOMINANT_PPM)
		subtree = common_subtree(&l, s, victim, total);
	if (subtree != NO_ZONE)
		fold_into(&l, s, subtree);
	f->nr_culprits = 0;
	for (size_t i = 0; i < l.nr && f->nr_culprits < FINDING_CULPRITS_MAX; i++) {
		struct culprit c = {
		    .zone_id = l.items[i].id, .pid = l.items[i].pid, .cpu = l.items[i].cpu};

		c.share_ppm = share_ppm(l.items[i].ns, e->wait_ns);
		if (c.share_ppm < NAMED_MIN_PPM)
			break;
		str_copy(c.comm, sizeof(c.comm), l.items[i].comm);
		name_of(&l.items[i], s, w, &c);
		f->culprits[f->nr_culprits++] = c;
	}
}
