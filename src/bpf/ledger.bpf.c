/* SPDX-License-Identifier: MIT */
/*
 * The wait ledger: who ran on a CPU while a protected zone's task was runnable and waiting there.
 *
 * For each (CPU, victim) one word x = (sum of start times << 10) + waiters. Any CPU adds a waiter
 * with x += (start << 10) + 1 and takes it out at time t with x -= (t << 10) + 1, atomically,
 * without the runqueue lock. Only the CPU itself pays out, at sched_switch: what its w waiters with
 * start sum S have waited unpaid is I = w * now - S; it is charged to whoever ran, and x += I << 10
 * marks it paid. All of it modulo 2^64, so concurrent changes add up whatever their order. The
 * clock is the runqueue's: that of the kernel's own run_delay.
 *
 * Limits: 1023 waiters per (CPU, victim), CPUs 0..1022, waits under 39 hours (for the histogram),
 * 64 victims; what exceeds them is counted, never misattributed. Where one runner's stretch holds
 * several causes (own quota, steal, interrupts) the wait is split in proportion to their time. With
 * nested quotas the one of the latest waiter's cgroup counts for all waiters of the victim on that
 * CPU. A task that changes its cgroup while it runs is charged to the old one until it is switched
 * out.
 */
#include "ledger-pay.bpf.h"
#include "task.bpf.h"

static __always_inline void switch_out(struct ledger_cpu *cs, struct task_struct *prev, u32 cpu,
				       u64 now)
{
	struct ledger_task *st;
	u32 v;

	v = victim_of(prev, true);
	if (v == LEDGER_VICTIM_NONE)
		return;
	st = state_of(prev, may_create_storage, now);
	if (!st)
		return;
	throttle_note(cs, prev, cpu, v, now, true);
	task_in(cs, st, cpu, v, now);
}

static __always_inline void wait_record(u32 v, u64 ns)
{
	u32 e = 0, key = ns;
	u64 x = ns;

	if (ns >= 8) {
		if (x >> 32)
			e += 32, x >>= 32;
		if (x >> 16)
			e += 16, x >>= 16;
		if (x >> 8)
			e += 8, x >>= 8;
		if (x >> 4)
			e += 4, x >>= 4;
		if (x >> 2)
			e += 2, x >>= 2;
		e += x >> 1;
		key = (e - 2) * 8 + ((ns >> (e - 3)) & 7);
		if (key >= LEDGER_NR_BUCKETS)
			key = LEDGER_NR_BUCKETS - 1;
	}
	key += v * LEDGER_NR_BUCKETS;
	if (key < LEDGER_NR_VICTIMS * LEDGER_NR_BUCKETS)
		__sync_fetch_and_add(&hist[key], 1);
}

/* next no longer waits: its wait is paid together with all others'. */
static __always_inline u64 wait_end(struct segment *s, struct ledger_task *st)
{
	u64 old = st && st->where ? __sync_lock_test_and_set(&st->where, 0) : 0;

	if (!old)
		return 0;
	if (where_cpu(old) == s->cpu)
		s->leaving = where_victim(old);
	else
		waiter_out(where_cpu(old), where_victim(old), s->now);
	wait_record(where_victim(old), where_elapsed(old, s->now));
	return old;
}

/* What the kernel says next has waited beyond what was counted. */
static __always_inline void wait_check(struct segment *s, struct task_struct *next,
				       struct ledger_task *st, u32 v, u64 old, u64 last)
{
	u64 total = kernel_waited(next, s->now), seen = next->sched_info.run_delay;
	s64 lost;

	barrier_var(seen); /* else one load is made of two kinds of pointers */
	if (st) {
		seen = st->seen_ns;
		st->seen_ns = total;
	}
	lost = total - seen;
	if (old)
		lost -= where_elapsed(old, s->now);
	if (lost <= 0)
		return;
	wait_late(s, v, lost, old ? 0 : s->now - last);
	if (!old)
		wait_record(v, lost);
}

/* From now on next, of a foreign zone, runs beside those who wait here. */
static __always_inline void overlaps_begin(struct ledger_cpu *cs, u32 cpu, u64 now)
{
	u64 mask = cs->mask;

	if (cs->run_victim < LEDGER_NR_VICTIMS)
		mask &= ~(1ull << cs->run_victim);
	for (int i = 0; i < LEDGER_NR_VICTIMS && mask; i++) {
		u32 v = bit_lowest(mask);

		if (cs->x[v & 63] & LEDGER_WAITERS_MAX)
			overlap_begin(cpu, v, now);
		mask &= mask - 1;
	}
}

/* prev: still wants to run; was never seen switched in; is gone for good. */
enum switch_flag { SWITCH_WAITS = 1, SWITCH_MISSED = 2, SWITCH_DEAD = TASK_DEAD };

/* Somebody waits here: pay, then see who waits on. */
static __always_inline int switch_busy(struct ledger_cpu *cs, u32 cpu, struct task_struct *prev,
				       struct task_struct *next, u32 flags)
{
	struct rq *rq = next->se.cfs_rq->rq;
	u64 now = rq->clock, old = 0, last = cs->since_clock;
	struct segment seg =
			   {
			       .now = now,
			       .len = now - last,
			       .cpu = cpu,
			       .slot = cs->run_slot,
			       .victim = cs->run_victim,
			       .leaving = LEDGER_VICTIM_NONE,
			   },
		       *s = &seg;
	struct ledger_task *st = NULL;
	bool missed = flags & SWITCH_MISSED;
	u32 v;

	if (s->slot == SLOT_LAZY) {
		if (missed)
			s->slot = SLOT_UNKNOWN;
		else
			runner_of(prev, &s->slot, &s->victim, true);
	}
	cs->run_task = (u64)next; /* before its word is taken: see rehome() */
	runner_set(cs, next, true);
	v = cs->run_victim;
	if (v != LEDGER_VICTIM_NONE || s->now < lookup_all_until) {
		st = state_find(next);
		old = wait_end(s, st);
	}
	if (cs->mask)
		pay(cs, s, prev, rq, missed);
	if (v != LEDGER_VICTIM_NONE && track_kernel)
		wait_check(s, next, st, v, old, last);
	if (flags & SWITCH_WAITS)
		switch_out(cs, prev, s->cpu, s->now);
	if (cs->run_slot >= SLOT_FIRST)
		overlaps_begin(cs, s->cpu, s->now);
	stretch_begin(cs, rq, s->now);
	return 0;
}

/* All but one task that sleeps giving way to another where nobody waits. */
static __always_inline int switch_rest(struct ledger_cpu *cs, u32 cpu, struct task_struct *prev,
				       struct task_struct *next, u32 flags)
{
	if ((u64)prev != cs->run_task && cs->run_task) {
		flags |= SWITCH_MISSED;
		count(COUNTER_MISSED_SWITCHES);
	}
	if ((flags & (SWITCH_DEAD | SWITCH_WAITS)) == SWITCH_DEAD)
		state_release(prev);
	if (cs->mask || (flags & SWITCH_WAITS && victim_of(prev, true) != LEDGER_VICTIM_NONE))
		return switch_busy(cs, cpu, prev, next, flags);
	cs->run_slot = SLOT_LAZY;
	cs->run_task = (u64)next;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	u32 cpu = bpf_get_smp_processor_id(), flags;
	struct ledger_cpu *cs = cpu_state(cpu);

	if (!cs)
		return 0;
	flags = preempt | (prev_state - 1) >> 31 | (prev_state & TASK_DEAD);
	/* Of all switches most end here: without a branch taken, and little is read. */
	if (__builtin_expect((u64)prev == cs->run_task, 1) &&
	    __builtin_expect(!(cs->mask | flags), 1)) {
		cs->run_slot = SLOT_LAZY;
		cs->run_task = (u64)next;
		return 0;
	}
	return switch_rest(cs, cpu, prev, next, flags);
}

/* Who runs while p begins to wait: not looked for before. Under the CPU's lock. */
static __always_inline void runner_find(struct ledger_cpu *cs, struct rq *rq, u64 now)
{
	struct task_struct *curr = rq->curr;

	stretch_begin(cs, rq, now);
	if ((u64)curr == cs->run_task)
		runner_set(cs, curr, true);
}

/* The clock when p was put on its queue: as the kernel noted it, else as it is now. */
static __always_inline u64 queued_clock(struct task_struct *p)
{
	u64 queued = 0;

	if (bpf_core_field_exists(p->sched_info.last_queued))
		queued = p->sched_info.last_queued;
	return queued ?: clock_of(p);
}

static __always_inline int wait_begin(struct task_struct *p, u32 v)
{
	u64 now = queued_clock(p);
	struct ledger_task *st = state_of(p, may_create_storage, now);
	u32 cpu = p->thread_info.cpu;
	struct ledger_cpu *cs;

	if (!st || st->where) /* preempted on its way to sleep: it has been waiting all along */
		return 0;
	cs = cpu_state(cpu);
	if (!cs)
		return 0;
	throttle_note(cs, p, cpu, v, now, false);
	if (cs->run_slot == SLOT_LAZY)
		runner_find(cs, p->se.cfs_rq->rq, now);
	task_in(cs, st, cpu, v, now);
	return 0;
}

static __always_inline int woken(struct task_struct *p)
{
	u32 v;

	/* That leaves a task out that wakes itself, with interrupts on. */
	if (task_on_cpu(p))
		return 0;
	v = victim_of(p, true);
	return v == LEDGER_VICTIM_NONE ? 0 : wait_begin(p, v);
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *p)
{
	return woken(p);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *p)
{
	return woken(p);
}

/* Under the source runqueue's lock only: the destination may be switching at this very moment. */
SEC("tp_btf/sched_migrate_task")
int BPF_PROG(on_migrate, struct task_struct *p, int dest_cpu)
{
	struct ledger_task *st;
	u64 old, now;

	if (!nr_victims || victim_of(p, true) == LEDGER_VICTIM_NONE)
		return 0;
	st = state_find(p);
	old = st ? st->where : 0;
	if (!old || where_cpu(old) == (u32)dest_cpu)
		return 0;
	now = clock_of(p);
	task_move(st, old, dest_cpu, where_victim(old), now);
	return 0;
}

/* Storage is made here, not under the runqueue lock: the child is not yet on a queue. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	if (nr_victims && victim_of(child, false) != LEDGER_VICTIM_NONE)
		state_of(child, true, 0);
	return 0;
}

/* By the kernel's own account, where it keeps one. */
static __always_inline bool task_waits(struct task_struct *p)
{
	if (bpf_core_field_exists(p->sched_info.last_queued) && !p->sched_info.last_queued)
		return false;
	return task_on_rq(p) == 1 && !task_on_cpu(p) && p->__state == TASK_RUNNING;
}

/* p's zone, or what is protected, has changed: count it where it belongs now. Runs beside the
 * scheduler; what it publishes it checks again. */
static __always_inline void rehome(struct task_struct *p)
{
	u32 v = victim_of(p, false), cpu;
	struct ledger_cpu *cs;
	struct ledger_task *st;
	u64 old, now;

	now = clock_of(p);
	st = v == LEDGER_VICTIM_NONE ? state_find(p) : state_of(p, true, now);
	if (!st)
		return;
	old = st->where;
	if (!st->tracked)
		st->seen_ns = kernel_waited(p, now);
	st->tracked = v != LEDGER_VICTIM_NONE;
	if (old) {
		if (task_on_cpu(p)) /* runs, unseen: its next switch-out sets that right */
			return;
		if (v == LEDGER_VICTIM_NONE) {
			if (__sync_val_compare_and_swap(&st->where, old, 0) == old)
				waiter_out(where_cpu(old), where_victim(old), now);
		} else if (v != where_victim(old)) {
			task_move(st, old, where_cpu(old), v, now);
		}
		return;
	}
	if (v == LEDGER_VICTIM_NONE || !task_waits(p))
		return;
	cpu = p->thread_info.cpu;
	cs = cpu_state(cpu);
	if (!cs)
		return;
	throttle_note(cs, p, cpu, v, now, true);
	if (!waiter_in(cs, cpu, v, now))
		return;
	if (__sync_val_compare_and_swap(&st->where, 0, where_pack(now, cpu, v)) != 0)
		waiter_out(cpu, v, now);
	else if (cs->run_task == (u64)p || !task_waits(p) || p->thread_info.cpu != cpu)
		task_out(st, now);
}

/* No switch has been seen on its CPU yet: p has been running all along. */
static __always_inline void runner_seed(struct task_struct *p)
{
	struct ledger_cpu *cs = cpu_state(p->thread_info.cpu);

	if (!cs || __sync_val_compare_and_swap(&cs->run_task, 0, (u64)p))
		return;
	runner_set(cs, p, false);
	if (!task_on_cpu(p))
		cs->run_slot = SLOT_UNKNOWN;
}

/* Run at protect and unprotect: every task there is. */
SEC("iter/task")
int seed(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;

	if (!p)
		return 0;
	if (task_on_cpu(p))
		runner_seed(p);
	if (!(p->flags & PF_KTHREAD))
		rehome(p);
	return 0;
}

struct bpf_iter_task___any {
	u64 opaque[3];
} __attribute__((aligned(8)));
extern int bpf_iter_task_new(struct bpf_iter_task___any *it, struct task_struct *p,
			     unsigned int flags) __ksym __weak;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task___any *it) __ksym __weak;
extern void bpf_iter_task_destroy(struct bpf_iter_task___any *it) __ksym __weak;

#define ITER_PROCESS_THREADS 1
#define LOOKUP_ALL_NS	     (60000 * NS_PER_MS)

/* Fires once, for the leader, when a whole process moves. Kernels without the thread iterator look
 * every task up for a while instead, so that no moved waiter stays counted. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *dst, const char *path, struct task_struct *leader,
	     bool threadgroup)
{
	if (!nr_victims)
		return 0;
	rehome(leader);
	if (!threadgroup)
		return 0;
	if (bpf_ksym_exists(bpf_iter_task_new) && bpf_ksym_exists(bpf_iter_task_next) &&
	    bpf_ksym_exists(bpf_iter_task_destroy)) {
		struct bpf_iter_task___any it;
		struct task_struct *p;

		bpf_iter_task_new(&it, leader, ITER_PROCESS_THREADS);
		while ((p = bpf_iter_task_next(&it)))
			rehome(p);
		bpf_iter_task_destroy(&it);
	} else {
		lookup_all_until = clock_of(leader) + LOOKUP_ALL_NS;
	}
	return 0;
}

/* A task group's address may be used again from now on, or already. */
static __always_inline int memos_clear(void)
{
	for (u32 cpu = 0; cpu < 1024; cpu++) {
		struct ledger_cpu *cs = cpu_state(cpu);

		if (!cs)
			break;
		cs->memo_group = 0;
	}
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_mkdir)
{
	return memos_clear();
}
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir)
{
	return memos_clear();
}

/* Interrupt time, for kernels that do not account it (IRQ_TIME_ACCOUNTING off): only while somebody
 * waits, nested entries counted once. */
static __always_inline int irq_enter(void)
{
	struct ledger_cpu *cs = cpu_state(bpf_get_smp_processor_id());

	if (!cs || (!cs->irq_depth && !cs->mask))
		return 0;
	if (!cs->irq_depth++)
		cs->irq_start = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int irq_leave(void)
{
	struct ledger_cpu *cs = cpu_state(bpf_get_smp_processor_id());

	if (cs && cs->irq_depth && !--cs->irq_depth)
		cs->irq_ns += bpf_ktime_get_ns() - cs->irq_start;
	return 0;
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(on_irq_enter)
{
	return irq_enter();
}
SEC("tp_btf/irq_handler_exit")
int BPF_PROG(on_irq_exit)
{
	return irq_leave();
}
SEC("tp_btf/softirq_entry")
int BPF_PROG(on_softirq_enter)
{
	return irq_enter();
}
SEC("tp_btf/softirq_exit")
int BPF_PROG(on_softirq_exit)
{
	return irq_leave();
}

/* Timers are made outside the scheduler: one call per victim, before it is protected. */
SEC("syscall")
int timers_init(struct ledger_timer_args *args)
{
	u32 v = args->victim;

	for (u32 cpu = 0; cpu < 1024; cpu++) {
		struct pair *pair;

		if (cpu >= max_cpus)
			break;
		pair = pair_state(cpu, v);
		if (!pair)
			break;
		bpf_timer_init(&pair->timer, &pairs, 1 /* CLOCK_MONOTONIC */);
		bpf_timer_set_callback(&pair->timer, on_timer);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
