/* SPDX-License-Identifier: MIT */
/*
 * System calls per zone: how many ended, and how long they took. The start is kept with the task,
 * so neither a migration nor any number of threads mixes them up. A call counts for the zone in
 * which its task is when it ends; one that never returns (exit) or began before the probe does not
 * count.
 */
#define ZONE_SUMS_FIELDS 2 /* calls, ns */
#include "zone-sums.bpf.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} starts SEC(".maps"); /* ns; 0: not in a call that is known */

static __always_inline int enter(void)
{
	u64 *start = bpf_task_storage_get(&starts, bpf_get_current_task_btf(), NULL,
					  BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (start)
		*start = bpf_ktime_get_ns();
	else
		__sync_fetch_and_add(&lost, 1);
	return 0;
}

static __always_inline int leave(void)
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

/* Two ways to the same hooks, of which one is loaded. Kernels since 7.0 may preempt a program on a
 * raw trace point, and then miss the call of another task on that CPU; as a trace event (it needs
 * tracefs) it is never preempted. */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter)
{
	return enter();
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_exit)
{
	return leave();
}

SEC("tp/raw_syscalls/sys_enter")
int on_enter_event(void *ctx)
{
	return enter();
}

SEC("tp/raw_syscalls/sys_exit")
int on_exit_event(void *ctx)
{
	return leave();
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
