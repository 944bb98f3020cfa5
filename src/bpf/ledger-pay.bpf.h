/* SPDX-License-Identifier: MIT */
/* Paying out: at a switch, what a CPU's waiters have waited is charged to who ran, and why. */
#pragma once
#include "ledger-wait.bpf.h"

#define LATE_COUNTED_NS 10000 /* smaller ones come with migrations: two clocks */
#define NOTED_NS	100000
#define FRACTION_BITS	16
#define FRACTION_ONE	(1ull << FRACTION_BITS)

/* One stretch of a CPU in which one slot ran. */
struct segment {
	u64 now, len;
	u64 host_fraction, irq_fraction; /* of len, in 2^-16 */
	u32 cpu, slot, victim;
	u32 leaving; /* this victim has one waiter that ends now */
};

/* Values of De Bruijn's multiplication: index of the lowest set bit. */
static const u8 lowest_bit[64] = {0,  1,  2,  53, 3,  7,  54, 27, 4,  38, 41, 8,  34, 55, 48, 28,
				  62, 5,  39, 46, 44, 42, 22, 9,  24, 35, 59, 56, 49, 18, 29, 11,
				  63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21, 23, 58, 17, 10,
				  51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12};

static __always_inline u32 bit_lowest(u64 bits)
{
	return lowest_bit[((bits & -bits) * 0x022fdd63cc95386dull) >> 58];
}

static __always_inline u64 share(u64 ns, u64 fraction)
{
	return (ns >> FRACTION_BITS) * fraction + (((ns & 0xffff) * fraction) >> FRACTION_BITS);
}

static __always_inline u64 fraction_of(u64 part, u64 len)
{
	if (!len || part >= len)
		return part ? FRACTION_ONE : 0;
	return (part << FRACTION_BITS) / len;
}

/* Share of the segment that the victim's own quota took. */
static __always_inline u64 throttled_fraction(struct segment *s, u32 v)
{
	struct pair *pair = pair_state(s->cpu, v);
	struct cfs_rq___self *self = NULL;
	u64 total, delta, len;

	if (!pair || !pair->cfs_rq)
		return 0;
	if (!bpf_core_field_exists(self->throttled_clock_self))
		return throttled_now(pair->cfs_rq) ? FRACTION_ONE : 0;
	total = throttled_ns(pair->cfs_rq, s->now);
	delta = total - pair->throttled_ns;
	len = s->now - pair->throttled_clock;
	pair->throttled_ns = total;
	pair->throttled_clock = s->now;
	return (s64)delta > 0 ? fraction_of(delta, len) : 0;
}

static __always_inline void overlap_end(struct ledger_cpu *cs, struct segment *s, u32 v)
{
	struct pair *pair = pair_state(s->cpu, v);

	if (pair && s->now > pair->overlap_since)
		pair->foreign_ns += s->now - pair->overlap_since;
	__sync_fetch_and_and(&cs->overlap_mask, ~(1ull << (v & 63)));
}

static __always_inline int flush_one(struct segment *s, struct ledger_cpu *cs, u32 v)
{
	u64 x, waiters, part, bit = 1ull << (v & 63);
	s64 ns;

	if (!s || !cs || v >= LEDGER_NR_VICTIMS)
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
	if (ns < 0) {
		if (waiters)
			count(COUNTER_CLOCK_BACKWARDS);
		ns = 0;
	}
	x = (u64)ns << LEDGER_WAITERS_BITS;
	if (s->leaving == v)
		x -= (s->now << LEDGER_WAITERS_BITS) + 1;
	if (x)
		__sync_fetch_and_add(&cs->x[v], x);
	if (!ns)
		return 0;
	cs->wait_ns[v] += ns;
	if (cs->throttle_mask & bit) {
		part = share(ns, throttled_fraction(s, v));
		charge(cs, v, SLOT_THROTTLED, part);
		ns -= part;
	}
	if (s->host_fraction | s->irq_fraction) {
		u64 irq = share(ns, s->irq_fraction);

		part = share(ns, s->host_fraction);
		charge(cs, v, SLOT_HOST, part);
		charge(cs, v, SLOT_KERNEL, irq);
		ns -= part + irq;
	}
	charge(cs, v, s->victim == v ? SLOT_SELF : s->slot, ns);
	return 0;
}

/* Global, so that the verifier sees it once for all victims of the loop. */
__noinline int flush_other(struct segment *s, struct ledger_cpu *cs, u32 v)
{
	return flush_one(s, cs, v);
}

static __always_inline void flush(struct segment *s, struct ledger_cpu *cs, u64 mask)
{
	for (int i = 0; i < LEDGER_NR_VICTIMS && mask; i++) {
		flush_other(s, cs, bit_lowest(mask));
		mask &= mask - 1;
	}
}

/* Who ran is shown with its command: the last task that ran for long enough to matter. */
static __always_inline void slot_note(u32 slot, u32 cpu, u64 ran_ns, struct task_struct *p)
{
	struct ledger_slot_info *info = bpf_map_lookup_elem(&slot_info, &slot);

	if (!info || info->pid == p->pid || (info->pid && ran_ns < NOTED_NS))
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

/*
 * What the kernel says a task has waited, less what was accounted: its wake-up or switch-in was not
 * seen (threads exist that run with tracing off, and an interrupt in one may wake anybody), or
 * there was no storage. `recent`: that much of it lies in the stretch that ends now.
 */
static __noinline void wait_late(struct segment *s, u32 v, u64 ns, u64 recent)
{
	struct ledger_cpu *cs = cpu_state(s->cpu);

	if (!cs || v >= LEDGER_NR_VICTIMS)
		return;
	if (recent > ns)
		recent = ns;
	charge(cs, v, s->victim == v ? SLOT_SELF : s->slot, recent);
	charge(cs, v, SLOT_UNKNOWN, ns - recent);
	cs->wait_ns[v] += ns;
	if (ns > LATE_COUNTED_NS)
		count(COUNTER_LATE_WAITS);
}

/* prev was switched in unseen: if it is still counted as waiting, it stopped at `start`. */
static __always_inline void missed_in(struct segment *s, struct task_struct *prev, u64 start)
{
	u32 v = prev->pid ? victim_of(prev, true) : LEDGER_VICTIM_NONE;
	struct ledger_task *st;
	u64 old, total;
	s64 lost;

	if (v == LEDGER_VICTIM_NONE)
		return;
	st = state_find(prev);
	if (!st)
		return;
	old = st->where ? task_out(st, start) : 0;
	if (old)
		count(COUNTER_STALE_WAITERS);
	if (!track_kernel)
		return;
	total = kernel_waited(prev, start);
	lost = total - st->seen_ns - (old ? where_elapsed(old, start) : 0);
	st->seen_ns = total;
	if (lost > 0)
		wait_late(s, v, lost, 0);
}

/* How long prev has run, switched in unseen. */
static __always_inline u64 ran_since(struct task_struct *prev, u64 now)
{
	if (prev->pid && bpf_core_field_exists(prev->sched_info.last_arrival))
		return now - prev->sched_info.last_arrival;
	return prev->se.sum_exec_runtime - prev->se.prev_sum_exec_runtime;
}

static __always_inline void stretch_begin(struct ledger_cpu *cs, struct rq *rq, u64 now)
{
	cs->since_clock = now;
	cs->since_steal = steal_clock(rq);
	cs->since_irq = irq_clock(rq);
	cs->irq_ns = 0;
}

static __noinline void split(struct segment *s, u64 len, u64 host, u64 irq)
{
	s->host_fraction = fraction_of(host, len);
	s->irq_fraction = fraction_of(irq, len);
	if (s->host_fraction + s->irq_fraction > FRACTION_ONE)
		s->irq_fraction = FRACTION_ONE - s->host_fraction;
}

/* prev is not who was seen switching in: it has run for a part of the stretch, which becomes *s;
 * the rest belongs to the one seen, and is paid here. */
static __noinline void pay_missed(struct ledger_cpu *cs, struct segment *s,
				  struct task_struct *prev)
{
	u64 now = s->now, ran = ran_since(prev, now), mask;
	u32 leaving = s->leaving;

	if (ran > s->len)
		ran = s->len;
	s->now = now - ran;
	s->leaving = LEDGER_VICTIM_NONE;
	missed_in(s, prev, s->now);
	s->len -= ran;
	mask = cs->mask;
	flush(s, cs, mask);
	runner_of(prev, &s->slot, &s->victim, true);
	s->now = now;
	s->len = ran;
	s->leaving = leaving;
}

/* Pay all waiters for the stretch that ends now. */
static __always_inline void pay(struct ledger_cpu *cs, struct segment *s, struct task_struct *prev,
				struct rq *rq, bool missed)
{
	u64 host = steal_clock(rq) - cs->since_steal;
	u64 irq = irq_clock(rq) - cs->since_irq + cs->irq_ns;
	u64 mask;

	if (host | irq)
		split(s, s->now - cs->since_clock, host, irq);
	if (missed)
		pay_missed(cs, s, prev);
	mask = cs->mask;
	/* Nearly always there is one victim: paid without a call, which costs as much as the rest.
	 */
	if (mask) {
		flush_one(s, cs, bit_lowest(mask));
		flush(s, cs, mask & (mask - 1));
	}
	if (s->slot >= SLOT_FIRST &&
	    (s->victim >= LEDGER_NR_VICTIMS || mask & ~(1ull << s->victim)))
		slot_note(s->slot, s->cpu, s->len, prev);
}
