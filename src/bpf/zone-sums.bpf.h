/* SPDX-License-Identifier: MIT */
/*
 * Sums per zone: a hash by zone id, each CPU with values of its own. A program defines
 * ZONE_SUMS_FIELDS, how many there are, before it includes this. The zone of a task is its cgroup
 * of the cpu controller, the same expression on v1 and v2; the readers add up children.
 */
#pragma once
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpf/zone-sums.h"

#define ROOT_CGROUP_ID 1

struct zone_sums {
	u64 v[ZONE_SUMS_FIELDS];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ZONE_SUMS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct zone_sums);
} sums SEC(".maps");

unsigned long long lost; /* could not be counted: no room, no memory */

static __always_inline u64 task_zone(struct task_struct *p)
{
	/* an autogroup has no cgroup: its tasks are in the root */
	return p->sched_task_group->css.cgroup->kn->id ?: ROOT_CGROUP_ID;
}

/* NULL: no room, which is counted. */
static __always_inline struct zone_sums *zone_sums_of(u64 zone)
{
	struct zone_sums *s = bpf_map_lookup_elem(&sums, &zone);
	struct zone_sums none = {0};

	if (s)
		return s;
	bpf_map_update_elem(&sums, &zone, &none, BPF_NOEXIST);
	s = bpf_map_lookup_elem(&sums, &zone);
	if (!s)
		__sync_fetch_and_add(&lost, 1);
	return s;
}

/* Atomic: a soft interrupt may count for the same zone in between. */
static __always_inline void zone_add(u64 zone, u32 field, u64 n)
{
	struct zone_sums *s = zone_sums_of(zone);

	if (s && field < ZONE_SUMS_FIELDS)
		__sync_fetch_and_add(&s->v[field], n);
}
