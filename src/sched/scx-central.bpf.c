/* SPDX-License-Identifier: MIT */
/*
 * scx-central: one CPU decides for all, and the others are left in peace.
 *
 * Tasks wait in one queue. Only the central CPU (--cpu) takes from it: it hands a task to each CPU
 * that is idle, then takes one itself. A CPU that goes idle while tasks wait asks by an interrupt.
 * Slices are infinite, so the other CPUs need no tick (nohz_full) and are not interrupted while
 * nobody waits. A timer on the central CPU (--tick) looks whether tasks wait, and interrupts those
 * that have run for
 * --slice.
 *
 * For guests, where each interrupt of a vCPU is an exit, and for computing that a tick disturbs.
 *
 * With N tasks that want to run on C CPUs none waits longer than (N / C + 1) * (slice + tick), and
 * the time that the central CPU takes to answer.
 *
 * Limits. A CPU whose task's turn has ended waits for the central one: an interrupt there and back.
 * What runs on the central CPU is interrupted often. One queue, one lock, one CPU for all: up to
 * some tens of CPUs. Weights mean nothing. When the central CPU goes offline the next one that
 * schedules takes over, for good. SCAN_MAX tasks are looked at for one that may run on a given CPU.
 */
#define OWN_HOTPLUG
#include "sched/common.bpf.h"
#include "sched/counters.h"
#include "sched/scx-central.h"

enum { CENTRAL_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

#define QUEUE	 0
#define CPUS_MAX 1024
#define SCAN_MAX 64

#define CLOCK_MONOTONIC 1
#define TIMER_CPU_PIN	2 /* BPF_F_TIMER_CPU_PIN, newer than Debian 12's headers */

const volatile u64 central_cpu = 0;
const volatile u64 slice_ns = 20 * NSEC_PER_MSEC;
const volatile u64 tick_ns = 1 * NSEC_PER_MSEC;

static s32
    central; /* the central CPU now; -1: it is offline, and the next that schedules becomes it */
static s32 nr_idle; /* of the others */

struct cpu {
	u64 started_ns; /* of the turn of the task that runs; 0: none of ours */
	s32 pid;	/* whose turn it is, also while a higher class interrupts */
	u32 idle;	/* 1: it may be handed a task */
	bool gone;	/* offline, or on its way */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, s32);
	__type(value, struct cpu);
} cpus SEC(".maps");

struct ticker {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ticker);
} ticker SEC(".maps");

bool scx_bpf_dsq_move___new(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
			    u64 enq_flags) __ksym __weak;
bool scx_bpf_dispatch_from_dsq___old(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
				     u64 enq_flags) __ksym __weak;
#define dsq_move(it, p, dsq_id, flags)                                                             \
	(bpf_ksym_exists(scx_bpf_dsq_move___new)                                                   \
	     ? scx_bpf_dsq_move___new(it, p, dsq_id, flags)                                        \
	     : scx_bpf_dispatch_from_dsq___old(it, p, dsq_id, flags))

static struct cpu *cpu_at(s32 cpu)
{
	return bpf_map_lookup_elem(&cpus, &cpu);
}

static void set_idle(struct cpu *c, u32 idle)
{
	if (__sync_lock_test_and_set(&c->idle, idle) != idle)
		__sync_fetch_and_add(&nr_idle, idle ? 1 : -1);
}

/* Wake-ups are handled on the central CPU, so that the others are not interrupted. */
s32 STRUCT_OPS(central_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return central >= 0 ? central : prev_cpu;
}

static void end_turn(struct task_struct *p)
{
	struct cpu *c = cpu_at(scx_bpf_task_cpu(p));

	if (c && c->pid == p->pid)
		c->started_ns = 0;
}

void STRUCT_OPS(central_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (is_cpu_kthread(p)) {
		dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_INF, enq_flags | SCX_ENQ_PREEMPT);
		return;
	}
	count(COUNT_queued);
	end_turn(p);
	dsq_insert(p, QUEUE, SCX_SLICE_INF, enq_flags);
	/* busy all around: the timer will see to it */
	scx_bpf_kick_cpu(central >= 0 ? central : scx_bpf_task_cpu(p),
			 nr_idle > 0 ? SCX_KICK_PREEMPT : SCX_KICK_IDLE);
}

/* The first task of the queue that may run there. */
static bool hand_to(s32 cpu)
{
	struct task_struct *p;
	bool handed = false;
	int seen = 0;

	bpf_for_each(scx_dsq, p, QUEUE, 0)
	{
		if (may_run_on(p, cpu) &&
		    dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | cpu, 0)) {
			handed = true;
			break;
		}
		if (++seen == SCAN_MAX)
			break;
	}
	return handed;
}

static void serve_others(void)
{
	s32 nr = scx_bpf_nr_cpu_ids(), cpu;

	bpf_for(cpu, 0, nr)
	{
		struct cpu *c = cpu_at(cpu);

		if (nr_idle <= 0 || !scx_bpf_dsq_nr_queued(QUEUE))
			return;
		if (!c || !c->idle || cpu == central || !hand_to(cpu))
			continue;
		count(COUNT_handed);
		set_idle(c, 0);
	}
}

static bool turn_is_over(struct cpu *c)
{
	return (s64)(now_ns() - c->started_ns) >= (s64)slice_ns;
}

static void ask(struct cpu *c, s32 cpu)
{
	/* it may have been handed one already, on its way to idle */
	if (c->gone || scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu) > 0)
		return;
	set_idle(c, 1);
	if (central >= 0 && scx_bpf_dsq_nr_queued(QUEUE)) {
		count(COUNT_asked);
		scx_bpf_kick_cpu(central, SCX_KICK_PREEMPT);
	}
}

void STRUCT_OPS(central_dispatch, s32 cpu, struct task_struct *prev)
{
	bool runnable = prev && (prev->scx.flags & SCX_TASK_QUEUED);
	struct cpu *c = cpu_at(cpu);

	if (!c)
		return;
	if (central < 0) {
		set_idle(c, 0);
		central = cpu;
	}
	if (cpu == central) {
		serve_others();
		/* interrupted to serve others, it goes on */
		if (!(runnable && !turn_is_over(c)) && dsq_move_to_local(QUEUE)) {
			count(COUNT_taken);
			return;
		}
	}
	if (runnable && (cpu == central || !scx_bpf_dsq_nr_queued(QUEUE)))
		task_set_slice(prev, SCX_SLICE_INF);
	else if (cpu != central)
		ask(c, cpu);
}

/* A CPU that goes idle also comes by dispatch(): the kernel does not tell of one that does so while
 * it attaches the policy. */
void STRUCT_OPS(central_update_idle, s32 cpu, bool idle)
{
	struct cpu *c = cpu_at(cpu);

	if (!c || cpu == central)
		return;
	if (idle)
		ask(c, cpu);
	else
		set_idle(c, 0);
}

void STRUCT_OPS(central_running, struct task_struct *p)
{
	struct cpu *c = cpu_at(scx_bpf_task_cpu(p));

	if (!c)
		return;
	if (!c->started_ns || c->pid != p->pid)
		c->started_ns = now_ns();
	c->pid = p->pid;
	set_idle(c, 0);
}

/* Interrupted by a higher class it is runnable, and goes on without being queued. */
void STRUCT_OPS(central_stopping, struct task_struct *p, bool runnable)
{
	if (!runnable)
		end_turn(p);
}

static int on_tick(void *map, int *key, struct ticker *t)
{
	s32 nr = scx_bpf_nr_cpu_ids(), cpu;

	count(COUNT_ticks);
	bpf_for(cpu, 0, nr)
	{
		struct cpu *c = cpu_at(cpu);

		if (!c || (scx_bpf_dsq_nr_queued(QUEUE) <= 0 &&
			   scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu) <= 0))
			continue;
		if (!c->started_ns) { /* it may be idle and we don't know: then it asks */
			scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		} else if (turn_is_over(c)) {
			count(COUNT_preempted);
			scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
		}
	}
	/* what was not answered, because a CPU went away in between, is answered now */
	if (central >= 0 && scx_bpf_dsq_nr_queued(QUEUE) > 0)
		scx_bpf_kick_cpu(central, nr_idle > 0 ? SCX_KICK_PREEMPT : SCX_KICK_IDLE);
	bpf_timer_start(&t->timer, tick_ns, TIMER_CPU_PIN);
	return 0;
}

/* Run by the loader on the central CPU: the timer stays where it was started. */
SEC("syscall")
int ticker_start(void *context)
{
	u32 zero = 0;
	struct ticker *t = bpf_map_lookup_elem(&ticker, &zero);

	if (!t)
		return -2;
	bpf_timer_init(&t->timer, &ticker,
		       CLOCK_MONOTONIC); /* fails the second time: it is there */
	bpf_timer_set_callback(&t->timer, on_tick);
	return bpf_timer_start(&t->timer, tick_ns, TIMER_CPU_PIN);
}

SEC("syscall")
int ticker_stop(void *context)
{
	u32 zero = 0;
	struct ticker *t = bpf_map_lookup_elem(&ticker, &zero);

	return t ? bpf_timer_cancel(&t->timer) : 0;
}

void STRUCT_OPS(central_cpu_online, s32 cpu)
{
	struct cpu *c = cpu_at(cpu);

	if (c)
		c->gone = false;
}

void STRUCT_OPS(central_cpu_offline, s32 cpu)
{
	struct cpu *c = cpu_at(cpu);

	if (c) {
		c->gone = true;
		set_idle(c, 0);
	}
	if (cpu == central)
		central = -1;
}

s32 STRUCT_OPS_SLEEPABLE(central_init)
{
	central = central_cpu;
	nr_idle = 0;
	return scx_bpf_create_dsq(QUEUE, -1);
}

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    /* a CPU whose last task's turn has ended goes idle, and so asks */
    .flags = SCX_OPS_ENQ_LAST,
    .select_cpu = (void *)central_select_cpu,
    .enqueue = (void *)central_enqueue,
    .dispatch = (void *)central_dispatch,
    .update_idle = (void *)central_update_idle,
    .running = (void *)central_running,
    .stopping = (void *)central_stopping,
    .cpu_online = (void *)central_cpu_online,
    .cpu_offline = (void *)central_cpu_offline,
    .init = (void *)central_init,
    COMMON_OPS,
    .name = "cz_central",
};
