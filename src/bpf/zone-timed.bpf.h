/* SPDX-License-Identifier: MIT */
/*
 * What a task does from a begin to an end, per zone: how often it ended, and how long it took. The
 * start is kept with the task, so neither a migration nor any number of threads mixes them up. It
 * counts for the zone in which the task is when it ends. Fields: 0 times, 1 ns.
 */
#pragma once
#include "zone-sums.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} starts SEC(".maps"); /* ns; 0: none is known to have begun */

static __always_inline int timed_begin(void)
{
	u64 *start = bpf_task_storage_get(&starts, bpf_get_current_task_btf(), NULL,
					  BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (start)
		*start = bpf_ktime_get_ns();
	else
		__sync_fetch_and_add(&lost, 1);
	return 0;
}

static __always_inline int timed_end(void)
{
	struct task_struct *p = bpf_get_current_task_btf();
	u64 *start = bpf_task_storage_get(&starts, p, NULL, 0), zone;

	if (!start || !*start)
		return 0;
	zone = task_zone(p);
	zone_add(zone, 0, 1);
	zone_add(zone, 1, bpf_ktime_get_ns() - *start);
	*start = 0;
	return 0;
}
