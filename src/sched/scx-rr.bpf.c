/* SPDX-License-Identifier: MIT */
/*
 * scx-rr: turns of equal length.
 *
 * One queue for all CPUs, first come, first served. A task runs until it sleeps or its slice is
 * used up, then goes to the end of the queue. Kernel threads bound to a CPU come first and
 * interrupt.
 *
 * For work of equal standing where nobody may wait long: with N tasks that want to run on C CPUs,
 * none waits longer than (N / C + 1) * (slice + one tick).
 *
 * Limits. A slice ends at a tick: at HZ 250 one of 1 ms lasts 4 ms. Weights and nice values mean
 * nothing. One queue is one lock: beyond some 32 CPUs, and with short slices, it shows. A task that
 * is woken waits its turn like all others.
 */
#include "sched/common.bpf.h"
#include "sched/counters.h"
#include "sched/scx-rr.h"

enum { RR_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

#define QUEUE 0

const volatile u64 slice_ns = 4 * NSEC_PER_MSEC;

s32 STRUCT_OPS(rr_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(COUNT_to_idle);
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	}
	return cpu;
}

void STRUCT_OPS(rr_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (is_cpu_kthread(p)) {
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags | preempt_once(p));
		return;
	}
	count(COUNT_queued);
	dsq_insert(p, QUEUE, slice_ns, enq_flags);
}

void STRUCT_OPS(rr_dispatch, s32 cpu, struct task_struct *prev)
{
	bool runnable = prev && (prev->scx.flags & SCX_TASK_QUEUED);

	if (dsq_move_to_local(QUEUE)) {
		if (runnable)
			count(COUNT_expired);
	} else if (runnable) {
		/* left alone it would go on for the kernel's 20 ms, and a newcomer wait so long */
		count(COUNT_alone);
		task_set_slice(prev, slice_ns);
	}
}

s32 STRUCT_OPS_SLEEPABLE(rr_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    .select_cpu = (void *)rr_select_cpu,
    .enqueue = (void *)rr_enqueue,
    .dispatch = (void *)rr_dispatch,
    .init = (void *)rr_init,
    COMMON_OPS,
    .name = "cz_rr",
};
