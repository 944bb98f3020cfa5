/* SPDX-License-Identifier: MIT */
/*
 * scx-fifo: first come, first served, never interrupted.
 *
 * One queue for all CPUs. A task that gets a CPU keeps it until it sleeps, ends or yields: its
 * slice is infinite, so that the kernel can also leave the tick out (nohz_full).
 *
 * For batches of short, like jobs that should not be cut into pieces, and for measuring: with no
 * preemption, the time between start and end is the work itself.
 *
 * Limits. There is no fairness: as many endless loops as CPUs, and no other task of the policy runs
 * again. The kernel's watchdog then ejects the policy (30 s, --watchdog), which the exit event
 * tells. So use it with --partial, where only chosen tasks are in it. Weights and nice values mean
 * nothing. Tasks of higher classes (real-time, deadline, and with --partial all others) still
 * interrupt; the task then goes on before the queue.
 */
#include "sched/common.bpf.h"
#include "sched/counters.h"
#include "sched/scx-fifo.h"

enum { FIFO_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

#define QUEUE 0

s32 STRUCT_OPS(fifo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(COUNT_to_idle);
		dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_INF, 0);
	}
	return cpu;
}

void STRUCT_OPS(fifo_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(COUNT_queued);
	dsq_insert(p, QUEUE, SCX_SLICE_INF, enq_flags);
}

void STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	dsq_move_to_local(QUEUE);
}

void STRUCT_OPS(fifo_stopping, struct task_struct *p, bool runnable)
{
	if (!runnable)
		count(COUNT_stopped);
}

s32 STRUCT_OPS_SLEEPABLE(fifo_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    .select_cpu = (void *)fifo_select_cpu,
    .enqueue = (void *)fifo_enqueue,
    .dispatch = (void *)fifo_dispatch,
    .stopping = (void *)fifo_stopping,
    .init = (void *)fifo_init,
    COMMON_OPS,
    .name = "cz_fifo",
};
