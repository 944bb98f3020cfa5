/* SPDX-License-Identifier: MIT */
/*
 * The wait ledger: who ran on a CPU while a protected zone's task was runnable and waiting there.
 *
 * For each (CPU, victim) one word x = (sum of start times << 10) + waiters. Any CPU adds a waiter
 * with x += (start << 10) + 1 and takes it out at time t with x -= (t << 10) + 1, atomically, without
 * the runqueue lock. Only the CPU itself pays out, at sched_switch: what its w waiters with start sum
 * S have waited unpaid is I = w * now - S; it is charged to whoever ran, and x += I << 10 marks it
 * paid. All of it modulo 2^64, so concurrent changes add up whatever their order. The clock is the
 * runqueue's: that of the kernel's own run_delay.
 *
 * Limits: 1023 waiters per (CPU, victim), CPUs 0..1022, waits under 39 hours (for the histogram), 64
 * victims; what exceeds them is counted, never misattributed. Where one runner's stretch holds several
 * causes (own quota, steal, interrupts) the wait is split in proportion to their time. With nested
 * quotas the one of the latest waiter's cgroup counts for all waiters of the victim on that CPU.
 */
#include "ledger-state.bpf.h"
#include "ledger-zone.bpf.h"
#include "ledger-fast.bpf.h"

#define WHERE_START_BITS 48
#define FRACTION_BITS	 16

/* One stretch of a CPU in which one slot ran. */
struct segment {
	u64 now, len;
	u64 host_fraction, irq_fraction; /* of len, in 2^-16 */
	u32 cpu, slot, victim, pad;
};

/* Values of De Bruijn's multiplication: index of the lowest set bit. */
static const u8 lowest_bit[64] = {
	0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28, 62, 5,	39, 46, 44, 42,
	22, 9,	24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
	23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12};

static __always_inline u32 bit_lowest(u64 bits)
{
	return lowest_bit[((bits & -bits) * 0x022fdd63cc95386dull) >> 58];
}

static __always_inline u64 where_pack(u64 start, u32 cpu, u32 v)
{
	return start << 16 | (u64)(cpu + 1) << 6 | v;
}
static __always_inline u32 where_cpu(u64 where)
{
	return ((u32)(where >> 6) & 1023) - 1;
}
static __always_inline u32 where_victim(u64 where)
{
	return where & 63;
}
/* Time since the start in `where`, at least 0. */
static __always_inline u64 where_elapsed(u64 where, u64 now)
{
	s64 d = (s64)((now - (where >> 16)) << 16) >> 16;

	return d > 0 ? d : 0;
}

static __always_inline u64 clock_of(struct task_struct *p)
{
	return p->se.cfs_rq->rq->clock;
}

static __always_inline u32 victim_of(struct task_struct *p)
{
	if (p->flags & PF_KTHREAD)
		return LEDGER_VICTIM_NONE;
	return WORD_VICTIM(zone_of(p));
}

/* ---- waiters in and out ---- */

static __always_inline bool waiter_in(u32 cpu, u32 v, u64 now)
{
	struct ledger_cpu *cs = cpu_state(cpu);
	u64 bit = 1ull << (v & 63), old;

	if (!cs || v >= LEDGER_NR_VICTIMS)
		return false;
	old = __sync_fetch_and_add(&cs->x[v], (now << LEDGER_WAITERS_BITS) + 1);
	if ((old & LEDGER_WAITERS_MAX) == LEDGER_WAITERS_MAX) {
		__sync_fetch_and_add(&cs->x[v], -((now << LEDGER_WAITERS_BITS) + 1));
		count(COUNTER_WAITERS_OVERFLOW);
		return false;
	}
	if (!(cs->mask & bit))
		__sync_fetch_and_or(&cs->mask, bit);
	if (cs->run_slot >= SLOT_FIRST && cs->run_victim != v && !(cs->overlap_mask & bit))
		overlap_begin(cpu, v, now);
	return true;
}

static __always_inline void waiter_out(u32 cpu, u32 v, u64 now)
{
	struct ledger_cpu *cs = cpu_state(cpu);

	if (cs && v < LEDGER_NR_VICTIMS)
		__sync_fetch_and_add(&cs->x[v], -((now << LEDGER_WAITERS_BITS) + 1));
}

/* The caller knows that p is not counted, and nobody else changes it (runqueue lock). In first, then
 * published: a concurrent mover may count it twice for a moment, never less than not at all. */
static __always_inline void task_in(struct task_state *st, u32 cpu, u32 v, u64 now)
{
	u64 old;

	if (!waiter_in(cpu, v, now))
		return;
	old = __sync_lock_test_and_set(&st->where, where_pack(now, cpu, v));
	if (old) {
		waiter_out(where_cpu(old), where_victim(old), now);
		count(COUNTER_STALE_WAITERS);
	}
}

/* Returns the word it was counted under, 0: it was not. */
static __always_inline u64 task_out(struct task_state *st, u64 now)
{
	u64 old = __sync_lock_test_and_set(&st->where, 0);

	if (old)
		waiter_out(where_cpu(old), where_victim(old), now);
	return old;
}

/* Move a counted waiter to another (CPU, victim), keeping its start. Fails if someone else did. */
static __always_inline void task_move(struct task_state *st, u64 old, u32 cpu, u32 v, u64 now)
{
	u64 new = (old & ~0xffffull) | (where_pack(0, cpu, v) & 0xffff);

	if (!waiter_in(cpu, v, now))
		new = 0;
	if (__sync_val_compare_and_swap(&st->where, old, new) == old)
		waiter_out(where_cpu(old), where_victim(old), now);
	else if (new)
		waiter_out(cpu, v, now);
}

static __always_inline struct task_state *state_of(struct task_struct *p, bool create)
{
	struct task_state *st = bpf_task_storage_get(&tasks, p, NULL, 0);

	if (!st && create)
		st = bpf_task_storage_get(&tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!st)
		count(COUNTER_STORAGE_FAILED);
	return st;
}

/* Remember where a victim with a CPU quota queues, so that a flush can see what the quota took. */
static __always_inline void throttle_note(struct task_struct *p, u32 cpu, u32 v, u64 now)
{
	struct cfs_rq___throttle *cfs = (void *)p->se.cfs_rq;
	struct ledger_cpu *cs;
	struct pair *pair;
	u64 bit = 1ull << (v & 63);

	if (!bpf_core_field_exists(cfs->throttle_count) || !bpf_core_field_exists(cfs->runtime_enabled))
		return;
	cs = cpu_state(cpu);
	if (!cs || (!(cs->throttle_mask & bit) && !cfs->throttle_count && !cfs->runtime_enabled))
		return;
	pair = pair_state(cpu, v);
	if (!pair)
		return;
	if (pair->cfs_rq != (u64)cfs || !(cs->x[v & 63] & LEDGER_WAITERS_MAX))
		pair->throttled_ns = throttled_ns((u64)cfs, now);
	pair->cfs_rq = (u64)cfs;
	if (!(cs->throttle_mask & bit))
		__sync_fetch_and_or(&cs->throttle_mask, bit);
}

/* ---- paying out ---- */

static __always_inline u64 share(u64 ns, u64 fraction)
{
	return (ns >> FRACTION_BITS) * fraction + (((ns & 0xffff) * fraction) >> FRACTION_BITS);
}

static __always_inline u64 fraction_of(u64 part, u64 len)
{
	if (!len || part >= len)
		return part ? 1ull << FRACTION_BITS : 0;
	return (part << FRACTION_BITS) / len;
}

/* Share of the segment that the victim's own quota took. */
static __always_inline u64 throttled_fraction(struct segment *s, u32 v)
{
	struct pair *pair = pair_state(s->cpu, v);
	struct cfs_rq___self *self = NULL;
	u64 total, delta;

	if (!pair || !pair->cfs_rq)
		return 0;
	if (!bpf_core_field_exists(self->throttled_clock_self))
		return throttled_now(pair->cfs_rq) ? 1ull << FRACTION_BITS : 0;
	total = throttled_ns(pair->cfs_rq, s->now);
	delta = total - pair->throttled_ns;
	pair->throttled_ns = total;
	return (s64)delta > 0 ? fraction_of(delta, s->len) : 0;
}

static __always_inline void overlap_end(struct ledger_cpu *cs, struct segment *s, u32 v)
{
	struct pair *pair = pair_state(s->cpu, v);

	if (pair && s->now > pair->overlap_since)
		pair->foreign_ns += s->now - pair->overlap_since;
	__sync_fetch_and_and(&cs->overlap_mask, ~(1ull << (v & 63)));
}

/* Global: verified once, called per waiting victim. */
__noinline int flush_one(struct segment *s, u32 v)
{
	struct ledger_cpu *cs;
	u64 x, waiters, part, bit = 1ull << (v & 63);
	s64 ns;

	if (!s || v >= LEDGER_NR_VICTIMS)
		return 0;
	cs = cpu_state(s->cpu);
	if (!cs)
		return 0;
	if (cs->overlap_mask & bit)
		overlap_end(cs, s, v);
	x = cs->x[v];
	waiters = x & LEDGER_WAITERS_MAX;
	if (!waiters) {
		/* Clear, then look again: a waiter added in between must not lose its bit. */
		__sync_fetch_and_and(&cs->mask, ~bit);
		if (cs->x[v] & LEDGER_WAITERS_MAX)
			__sync_fetch_and_or(&cs->mask, bit);
	}
	ns = (s64)((waiters * s->now - (x >> LEDGER_WAITERS_BITS)) << LEDGER_WAITERS_BITS) >>
	     LEDGER_WAITERS_BITS;
	if (ns <= 0) {
		if (ns < 0 && waiters)
			count(COUNTER_CLOCK_BACKWARDS);
		return 0;
	}
	__sync_fetch_and_add(&cs->x[v], (u64)ns << LEDGER_WAITERS_BITS);
	cs->wait_ns[v] += ns;
	if (cs->throttle_mask & bit) {
		part = share(ns, throttled_fraction(s, v));
		charge(v, SLOT_THROTTLED, part);
		ns -= part;
	}
	if (s->host_fraction | s->irq_fraction) {
		u64 irq = share(ns, s->irq_fraction);

		part = share(ns, s->host_fraction);
		charge(v, SLOT_HOST, part);
		charge(v, SLOT_KERNEL, irq);
		ns -= part + irq;
	}
	charge(v, s->victim == v ? SLOT_SELF : s->slot, ns);
	return 0;
}

static __always_inline void flush(struct segment *s, u64 mask)
{
	for (int i = 0; i < LEDGER_NR_VICTIMS && mask; i++) {
		flush_one(s, bit_lowest(mask));
		mask &= mask - 1;
	}
}

/* Who ran is shown with its command: kept fresh at the cost of one comparison. */
static __always_inline void slot_note(struct ledger_cpu *cs, u32 cpu, struct task_struct *p)
{
	u32 slot = cs->run_slot;
	struct ledger_slot_info *info = bpf_map_lookup_elem(&slot_info, &slot);

	if (!info || info->pid == p->pid)
		return;
	info->pid = p->pid;
	info->cpu = cpu;
	bpf_probe_read_kernel_str(info->comm, sizeof(info->comm), p->comm);
}

static __always_inline u64 steal_clock(struct rq *rq)
{
	struct rq___steal *r = (void *)rq;

	return bpf_core_field_exists(r->prev_steal_time_rq) ? r->prev_steal_time_rq : 0;
}

static __always_inline u64 irq_clock(struct rq *rq)
{
	struct rq___irq *r = (void *)rq;

	return bpf_core_field_exists(r->prev_irq_time) ? r->prev_irq_time : 0;
}

static __always_inline void runner_set(struct ledger_cpu *cs, struct task_struct *p, u64 word)
{
	cs->run_pid = p->pid;
	cs->run_victim = LEDGER_VICTIM_NONE;
	if (!p->pid) {
		cs->run_slot = SLOT_IDLE;
	} else if (p->flags & PF_KTHREAD) {
		cs->run_slot = SLOT_KERNEL;
	} else {
		cs->run_slot = WORD_SLOT(word);
		cs->run_victim = WORD_VICTIM(word);
	}
}

/* Pay all waiters for the stretch that ends now. `missed`: prev is not who was seen switching in; it
 * ran at most what the scheduler accounts to it, the rest belongs to the one seen. */
static __always_inline void pay(struct ledger_cpu *cs, u32 cpu, struct task_struct *prev,
				struct rq *rq, u64 now, bool missed)
{
	struct segment s = {.now = now, .len = now - cs->last_clock, .cpu = cpu};
	u64 host = steal_clock(rq) - cs->last_steal;
	u64 irq = irq_clock(rq) - cs->last_irq + cs->irq_ns;
	u64 mask = cs->mask;

	if (host | irq) {
		s.host_fraction = fraction_of(host, s.len);
		s.irq_fraction = fraction_of(irq, s.len);
		if (s.host_fraction + s.irq_fraction > 1ull << FRACTION_BITS)
			s.irq_fraction = (1ull << FRACTION_BITS) - s.host_fraction;
	}
	s.slot = cs->run_slot;
	s.victim = cs->run_victim;
	if (missed) {
		u64 ran = prev->se.sum_exec_runtime - prev->se.prev_sum_exec_runtime;

		if (ran > s.len)
			ran = s.len;
		s.now = now - ran;
		s.len -= ran;
		flush(&s, mask);
		runner_set(cs, prev, zone_of(prev));
		s.now = now;
		s.len = ran;
		s.slot = cs->run_slot;
		s.victim = cs->run_victim;
	}
	flush(&s, mask);
	if (s.slot >= SLOT_FIRST)
		slot_note(cs, cpu, prev);
}

/* ---- hooks ---- */

static __always_inline void switch_out(struct task_struct *prev, u32 cpu, u64 now, bool waits,
				       bool missed)
{
	struct task_state *st;
	u32 v;

	if (!prev->pid || !(waits | missed))
		return;
	v = victim_of(prev);
	if (v == LEDGER_VICTIM_NONE)
		return;
	st = state_of(prev, may_create_storage);
	if (!st)
		return;
	if (missed && task_out(st, now))
		count(COUNTER_STALE_WAITERS);
	if (!waits)
		return;
	throttle_note(prev, cpu, v, now);
	task_in(st, cpu, v, now);
}

static __always_inline void wait_record(u32 v, u64 ns)
{
	u32 e = 0, key = ns;
	u64 x = ns, *bucket;

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
	bucket = bpf_map_lookup_elem(&hist, &key);
	if (bucket)
		__sync_fetch_and_add(bucket, 1);
}

static __always_inline void switch_in(struct task_struct *next, u32 v, u64 now)
{
	struct task_state *st;
	u64 old;

	if (v == LEDGER_VICTIM_NONE && now >= lookup_all_until)
		return;
	st = bpf_task_storage_get(&tasks, next, NULL, 0);
	if (!st || !st->where)
		return;
	old = task_out(st, now);
	if (old)
		wait_record(where_victim(old), where_elapsed(old, now));
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct ledger_cpu *cs;
	struct rq *rq;
	u64 now, word = 0, mask;
	bool missed;

	if (!nr_victims)
		return 0;
	cs = cpu_state(cpu);
	if (!cs)
		return 0;
	rq = next->se.cfs_rq->rq;
	now = rq->clock;
	missed = prev->pid != cs->run_pid;
	if (missed) {
		if (cs->run_pid == -1) /* the first switch seen here */
			missed = false;
		else
			count(COUNTER_MISSED_SWITCHES);
	}
	if (cs->mask)
		pay(cs, cpu, prev, rq, now, missed);
	/* Whoever waits from here on does not overlap with prev any more. */
	cs->run_slot = SLOT_UNKNOWN;
	switch_out(prev, cpu, now, preempt || prev_state == TASK_RUNNING, missed);
	if (next->pid && !(next->flags & PF_KTHREAD)) {
		word = zone_of(next);
		switch_in(next, WORD_VICTIM(word), now);
	}
	runner_set(cs, next, word);
	cs->last_clock = now;
	cs->last_steal = steal_clock(rq);
	cs->last_irq = irq_clock(rq);
	cs->irq_ns = 0;
	mask = cs->mask;
	if (!mask || cs->run_slot < SLOT_FIRST)
		return 0;
	if (cs->run_victim < LEDGER_NR_VICTIMS)
		mask &= ~(1ull << cs->run_victim);
	for (int i = 0; i < LEDGER_NR_VICTIMS && mask; i++) {
		u32 v = bit_lowest(mask);

		if (cs->x[v & 63] & LEDGER_WAITERS_MAX)
			overlap_begin(cpu, v, now);
		mask &= mask - 1;
	}
	return 0;
}

static __always_inline int woken(struct task_struct *p)
{
	struct task_state *st;
	u32 v, cpu;
	u64 now;

	if (!nr_victims || p->on_cpu)
		return 0;
	v = victim_of(p);
	if (v == LEDGER_VICTIM_NONE)
		return 0;
	st = state_of(p, may_create_storage);
	if (!st || st->where) /* preempted on its way to sleep: it has been waiting all along */
		return 0;
	cpu = p->thread_info.cpu;
	now = clock_of(p);
	throttle_note(p, cpu, v, now);
	task_in(st, cpu, v, now);
	return 0;
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
	struct task_state *st;
	u64 old, now;

	if (!nr_victims || victim_of(p) == LEDGER_VICTIM_NONE)
		return 0;
	st = bpf_task_storage_get(&tasks, p, NULL, 0);
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
	if (nr_victims && victim_of(child) != LEDGER_VICTIM_NONE)
		state_of(child, true);
	return 0;
}

/* p's zone, or what is protected, has changed: count it where it belongs now. Runs beside the
 * scheduler; what it publishes it checks again. */
static __always_inline void rehome(struct task_struct *p)
{
	u32 v = victim_of(p), cpu;
	struct task_state *st;
	u64 old, now;

	st = bpf_task_storage_get(&tasks, p, NULL,
				  v == LEDGER_VICTIM_NONE ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!st)
		return;
	now = clock_of(p);
	old = st->where;
	if (old) {
		if (v == LEDGER_VICTIM_NONE) {
			if (__sync_val_compare_and_swap(&st->where, old, 0) == old)
				waiter_out(where_cpu(old), where_victim(old), now);
		} else if (v != where_victim(old)) {
			task_move(st, old, where_cpu(old), v, now);
		}
		return;
	}
	if (v == LEDGER_VICTIM_NONE || p->on_rq != 1 || p->on_cpu || p->__state != TASK_RUNNING)
		return;
	cpu = p->thread_info.cpu;
	throttle_note(p, cpu, v, now);
	if (!waiter_in(cpu, v, now))
		return;
	if (__sync_val_compare_and_swap(&st->where, 0, where_pack(now, cpu, v)) != 0)
		waiter_out(cpu, v, now);
	else if (p->on_cpu || p->on_rq != 1 || p->thread_info.cpu != cpu)
		task_out(st, now);
}

/* Run at protect and unprotect: every task there is. */
SEC("iter/task")
int seed(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;

	if (p && !(p->flags & PF_KTHREAD))
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
