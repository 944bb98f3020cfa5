/* SPDX-License-Identifier: MIT */
/* Waiters in and out of the ledger's words, and the per-task word that says under what they count.
 */
#pragma once
#include "ledger-zone.bpf.h"
#include "ledger-fast.bpf.h"

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

static __always_inline u32 victim_of(struct task_struct *p, bool irqs_off)
{
	if (p->flags & PF_KTHREAD)
		return LEDGER_VICTIM_NONE;
	return WORD_VICTIM(zone_of(p, irqs_off));
}

static __always_inline bool waiter_in(struct ledger_cpu *cs, u32 cpu, u32 v, u64 now)
{
	u64 bit = 1ull << (v & 63), old;

	if (v >= LEDGER_NR_VICTIMS)
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

/* Who p is as a culprit. */
static __always_inline void runner_of(struct task_struct *p, u32 *slot, u32 *victim, bool irqs_off)
{
	u64 word;

	*victim = LEDGER_VICTIM_NONE;
	if (!p->pid) {
		*slot = SLOT_IDLE;
	} else if (p->flags & PF_KTHREAD) {
		*slot = SLOT_KERNEL;
	} else {
		word = zone_of(p, irqs_off);
		*victim = WORD_VICTIM(word);
		*slot = WORD_SLOT(word);
	}
}

static __always_inline void runner_set(struct ledger_cpu *cs, struct task_struct *p, bool irqs_off)
{
	cs->run_pid = p->pid;
	runner_of(p, &cs->run_slot, &cs->run_victim, irqs_off);
}

/* The caller knows that p is not counted, and nobody else changes it (runqueue lock). In first,
 * then published: a concurrent mover may count it twice for a moment, never less than not at all.
 */
static __always_inline void task_in(struct ledger_cpu *cs, struct ledger_task *st, u32 cpu, u32 v,
				    u64 now)
{
	u64 old;

	if (!waiter_in(cs, cpu, v, now))
		return;
	old = __sync_lock_test_and_set(&st->where, where_pack(now, cpu, v));
	if (old) {
		waiter_out(where_cpu(old), where_victim(old), now);
		count(COUNTER_STALE_WAITERS);
	}
}

/* Returns the word it was counted under, 0: it was not. */
static __always_inline u64 task_out(struct ledger_task *st, u64 now)
{
	u64 old = __sync_lock_test_and_set(&st->where, 0);

	if (old)
		waiter_out(where_cpu(old), where_victim(old), now);
	return old;
}

/* Move a counted waiter to another (CPU, victim), keeping its start. Fails if someone else did. */
static __always_inline void task_move(struct ledger_task *st, u64 old, u32 cpu, u32 v, u64 now)
{
	u64 new = (old & ~0xffffull) | (where_pack(0, cpu, v) & 0xffff);
	struct ledger_cpu *cs = cpu_state(cpu);

	if (!cs || !waiter_in(cs, cpu, v, now))
		new = 0;
	if (__sync_val_compare_and_swap(&st->where, old, new) == old)
		waiter_out(where_cpu(old), where_victim(old), now);
	else if (new)
		waiter_out(cpu, v, now);
}

/* The kernel's run_delay, the wait under way included; 0 where it keeps none. */
static __always_inline u64 kernel_waited(struct task_struct *p, u64 now)
{
	u64 since;

	if (!bpf_core_field_exists(p->sched_info.last_queued))
		return 0;
	since = p->sched_info.last_queued;
	return p->sched_info.run_delay + (since && now > since ? now - since : 0);
}

/* Task states are in a table at hand, at a fraction of the cost of task storage; whom the table has
 * no room for has storage. */
static __always_inline struct ledger_task *table_entry(struct task_struct *p)
{
	return &task_table[(u32)p->pid & (LEDGER_TASKS - 1)];
}

static __always_inline struct ledger_task *state_find(struct task_struct *p)
{
	struct ledger_task *st = table_entry(p);

	return st->task == (u64)p ? st : bpf_task_storage_get(&tasks, p, NULL, 0);
}

static __noinline struct ledger_task *state_make(struct task_struct *p, bool may_store)
{
	struct ledger_task *st = table_entry(p);

	if (!st->task && !__sync_val_compare_and_swap(&st->task, 0, (u64)p))
		return st;
	return may_store ? bpf_task_storage_get(&tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE)
			 : NULL;
}

static __always_inline struct ledger_task *state_of(struct task_struct *p, bool may_store, u64 now)
{
	struct ledger_task *st = state_find(p);

	if (!st) {
		st = state_make(p, may_store);
		if (st) {
			st->seen_ns = kernel_waited(p, now);
			st->tracked = 1;
		}
	}
	if (!st)
		count(COUNTER_STORAGE_FAILED);
	return st;
}

/* p has been switched out for the last time. If its last switch-in was never seen it still counts
 * as waiting: a waiter that nobody would ever take out. */
static __always_inline void state_release(struct task_struct *p)
{
	struct ledger_task *st = table_entry(p);

	if (st->task != (u64)p)
		return;
	if (st->where && task_out(st, clock_of(p)))
		count(COUNTER_STALE_WAITERS);
	st->where = 0;
	st->seen_ns = 0;
	st->tracked = 0;
	__sync_lock_test_and_set(&st->task, 0);
}

/* Remember where a victim with a CPU quota queues, so that a flush can see what the quota took. */
static __always_inline void throttle_note(struct ledger_cpu *cs, struct task_struct *p, u32 cpu,
					  u32 v, u64 now, bool ran)
{
	struct cfs_rq___throttle *cfs = (void *)p->se.cfs_rq;
	struct pair *pair;
	u64 bit = 1ull << (v & 63);

	if (!bpf_core_field_exists(cfs->throttle_count) ||
	    !bpf_core_field_exists(cfs->runtime_enabled))
		return;
	/* A quota is met first by a task that runs: looked for when one stops, not at each wake-up.
	 */
	if (!(cs->throttle_mask & bit) && !cfs->throttle_count && !(ran && cfs->runtime_enabled))
		return;
	pair = pair_state(cpu, v);
	if (!pair)
		return;
	if (pair->cfs_rq != (u64)cfs || !(cs->x[v & 63] & LEDGER_WAITERS_MAX)) {
		pair->throttled_ns = throttled_ns((u64)cfs, now);
		pair->throttled_clock = now;
	}
	pair->cfs_rq = (u64)cfs;
	if (!(cs->throttle_mask & bit))
		__sync_fetch_and_or(&cs->throttle_mask, bit);
}
