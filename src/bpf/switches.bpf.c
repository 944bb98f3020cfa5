/* SPDX-License-Identifier: MIT */
/*
 * Context switches and migrations per zone. A switch counts for the zone of the task that leaves
 * the CPU: voluntary if it went to sleep or ended, involuntary if it could have gone on. As the
 * kernel's own nvcsw and nivcsw of a task, which it takes along when it ends.
 */
#define ZONE_SUMS_FIELDS 3 /* voluntary, involuntary, migrations */
#include "zone-sums.bpf.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	if (prev->pid) /* not the idle task */
		zone_add(task_zone(prev), preempt || !prev_state, 1);
	return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(on_migrate, struct task_struct *p)
{
	zone_add(task_zone(p), 2, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
