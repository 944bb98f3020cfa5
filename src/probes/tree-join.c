/* SPDX-License-Identifier: MIT */
#include "probes/tree-join.h"

#include "base/cleanup.h"

void tree_join_init(struct tree_join *j, const struct probes *p, enum cgroup_controller tree)
{
	*j = (struct tree_join){.tree = tree, .one_tree = p->fs->of[tree] == p->fs->of[CG_CPU]};
}

void tree_join_done(struct tree_join *j)
{
	hash_done(&j->there);
	hash_done(&j->here);
}

static void *as_value(uint64_t id)
{
	return (void *)(uintptr_t)id;
}

uint64_t tree_join_zone(struct tree_join *j, const struct probes *p, const struct probe_zone *z)
{
	_cleanup_close_ int fd = -1;
	uint64_t id;

	if (j->one_tree)
		return z->id;
	id = (uintptr_t)hash_get(&j->there, z->id);
	if (id)
		return id;
	fd = cgroup_open(p->fs, j->tree, z->path, 0);
	if (fd < 0 || cgroup_id_at(fd, &id) < 0 || !id || hash_put(&j->there, z->id, as_value(id)))
		return 0;
	if (hash_put(&j->here, id, as_value(z->id)) < 0) {
		hash_remove(&j->there, z->id);
		return 0;
	}
	return id;
}

uint64_t tree_join_back(const struct tree_join *j, uint64_t tree_id)
{
	return j->one_tree ? tree_id : (uintptr_t)hash_get(&j->here, tree_id);
}

uint64_t tree_join_forget(struct tree_join *j, const struct probe_zone *z)
{
	uint64_t id = j->one_tree ? z->id : (uintptr_t)hash_remove(&j->there, z->id);

	if (id && !j->one_tree)
		hash_remove(&j->here, id);
	return id;
}

static bool is_below(const struct probe_zone *z, const struct probe_zone *above)
{
	while (z && z != above)
		z = z->parent;
	return z;
}

void pair_list_add(struct pair_list *l, struct probes *p, uint64_t owner, uint64_t holder,
		   uint64_t amount, enum zone_metric foreign)
{
	const struct probe_zone *by = hash_get(&p->by_id, holder);

	if (!amount) /* read between its beginning and the first sum */
		return;
	for (struct probe_zone *z = hash_get(&p->by_id, owner); z && !is_below(by, z);
	     z = z->parent)
		row_add(&z->row, foreign, amount);
	if (l->nr == PAIRS_MAX) {
		l->items[PAIRS_MAX - 1].owner = owner;
		l->items[PAIRS_MAX - 1].holder = (struct holder){0, amount};
		return;
	}
	l->items[l->nr].owner = owner;
	l->items[l->nr++].holder = (struct holder){holder, amount};
}

static size_t add_holder(struct holder *ret, size_t n, size_t max, uint64_t id, uint64_t amount)
{
	size_t i = 0;

	while (i < n && ret[i].zone_id != id)
		i++;
	if (i == max)
		return n;
	if (i == n)
		ret[i] = (struct holder){id, 0};
	ret[i].amount += amount;
	return i == n ? n + 1 : n;
}

size_t pair_list_of(const struct pair_list *l, const struct probes *p, uint64_t owner,
		    struct holder *ret, size_t max)
{
	const struct probe_zone *z = hash_get(&p->by_id, owner);
	size_t n = 0;

	for (size_t i = 0; z && i < l->nr; i++) {
		const struct holder *h = &l->items[i].holder;

		if (!is_below(hash_get(&p->by_id, l->items[i].owner), z))
			continue;
		n = add_holder(ret, n, max,
			       is_below(hash_get(&p->by_id, h->zone_id), z) ? z->id : h->zone_id,
			       h->amount);
	}
	return n;
}
