/* SPDX-License-Identifier: MIT */
/*
 * Inside probes/: a zone is known by its cgroup of the cpu controller; on v1 another controller's
 * cgroups have ids of their own. The two are joined by path, once a zone.
 */
#pragma once
#include "probes/internal.h"

struct tree_join {
	enum cgroup_controller tree;
	bool one_tree;		 /* a zone's id is the same in both */
	struct hash there, here; /* zone id -> id in the tree, and back */
};
void tree_join_init(struct tree_join *j, const struct probes *p, enum cgroup_controller tree);
void tree_join_done(struct tree_join *j);
/* The zone's id in the tree; 0: it has no cgroup there. */
uint64_t tree_join_zone(struct tree_join *j, const struct probes *p, const struct probe_zone *z);
/* Back: only of zones that were joined; 0 unknown. */
uint64_t tree_join_back(const struct tree_join *j, uint64_t tree_id);
/* Returns its id in the tree; 0: it had none that is known. */
uint64_t tree_join_forget(struct tree_join *j, const struct probe_zone *z);

/* Who did what to whom in the latest tick. */
#define PAIRS_MAX 256 /* the rest is told as nobody's */
struct pair_list {
	size_t nr;
	struct {
		uint64_t owner;
		struct holder holder;
	} items[PAIRS_MAX];
};
/* Adds one, and to the owner's metric if the holder is another zone than it or one below it. */
void pair_list_add(struct pair_list *l, struct probes *p, uint64_t owner, uint64_t holder,
		   uint64_t amount, enum zone_metric foreign);
/* Of a zone and those below it, a holder once. */
size_t pair_list_of(const struct pair_list *l, const struct probes *p, uint64_t owner,
		    struct holder *ret, size_t max);
