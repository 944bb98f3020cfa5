/* SPDX-License-Identifier: MIT */
/*
 * scx-fifo: first come, first served.
 *
 * One queue for all CPUs. A task that gets a CPU keeps it until it sleeps, ends or yields, but for
 * --max-turn (1 s) at most; then it goes to the end of the queue. Kernel threads come first, and a
 * task that they or a higher class interrupted goes on before the queue, with what is left of its
 * turn.
 *
 * For batches of short, like jobs that should not be cut into pieces, and for measuring: the time
 * between start and end is the work itself. The bound is there so that a machine with as many
 * endless loops as CPUs can still be used, slowly: with N tasks that want to run on C CPUs, each
 * waits (N / C + 1) turns at most. With --max-turn 0 there is none, and the kernel can leave the
 * tick out (nohz_full); then as many endless loops as CPUs, and no other task of the policy runs
 * again until the kernel's watchdog ejects it (30 s, --watchdog).
 *
 * Limits. There is no fairness between short and long turns; weights and nice values mean nothing.
 * More endless loops than fit into the watchdog's time, 29 a CPU with turns of 1 s, are a stall. A
 * turn ends at a tick.
 */
#include "sched/common.bpf.h"
#include "sched/counters.h"
#include "sched/scx-fifo.h"

enum { FIFO_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

#define QUEUE	    0
#define LEFT_MIN_NS NSEC_PER_MSEC /* what is left of a turn is over if it is shorter */

const volatile u64 max_turn_ns = NSEC_PER_SEC;

struct task_ctx {
	u64 used_ns;	/* of its turn, before it was interrupted */
	u64 started_ns; /* 0: not running, or it yielded */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

static struct task_ctx *task_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, NULL, 0);
}

static u64 turn_ns(void)
{
	return max_turn_ns ?: SCX_SLICE_INF;
}

s32 STRUCT_OPS(fifo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(COUNT_to_idle);
		dsq_insert(p, SCX_DSQ_LOCAL, turn_ns(), 0);
	}
	return cpu;
}

/* What is left of the turn of one that was interrupted; 0: it begins a new one. */
static u64 left_ns(struct task_ctx *t)
{
	if (!t || !t->used_ns)
		return 0;
	if (!max_turn_ns)
		return SCX_SLICE_INF;
	return t->used_ns + LEFT_MIN_NS < max_turn_ns ? max_turn_ns - t->used_ns : 0;
}

void STRUCT_OPS(fifo_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = task_ctx(p);
	u64 left = left_ns(t);

	if (p->flags & PF_KTHREAD) {
		dsq_insert(p, SCX_DSQ_LOCAL, turn_ns(), enq_flags | preempt_once(p));
		return;
	}
	if (left) {
		count(COUNT_interrupted);
		dsq_insert(p, SCX_DSQ_LOCAL, left, enq_flags);
		return;
	}
	if (t)
		t->used_ns = 0;
	count(COUNT_queued);
	dsq_insert(p, QUEUE, turn_ns(), enq_flags);
}

void STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	dsq_move_to_local(QUEUE);
}

bool STRUCT_OPS(fifo_yield, struct task_struct *p, struct task_struct *to)
{
	struct task_ctx *t = task_ctx(p);

	if (t)
		t->started_ns = 0;
	task_set_slice(p, 0);
	return false;
}

void STRUCT_OPS(fifo_running, struct task_struct *p)
{
	struct task_ctx *t = task_ctx(p);

	if (t)
		t->started_ns = now_ns();
}

void STRUCT_OPS(fifo_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = task_ctx(p);

	if (!runnable)
		count(COUNT_stopped);
	if (t)
		t->used_ns = runnable && t->started_ns ? t->used_ns + now_ns() - t->started_ns : 0;
}

s32 STRUCT_OPS_SLEEPABLE(fifo_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
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
    .yield = (void *)fifo_yield,
    .running = (void *)fifo_running,
    .stopping = (void *)fifo_stopping,
    .init_task = (void *)fifo_init_task,
    .init = (void *)fifo_init,
    COMMON_OPS,
    .name = "cz_fifo",
};
