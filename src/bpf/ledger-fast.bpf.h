/* SPDX-License-Identifier: MIT */
/*
 * The fast path: a timer per (CPU, victim) watches how long foreign zones run while the victim
 * waits there. It is armed at the first overlap; when it fires, the time is either enough (event to
 * user space), or may still become enough within the window (re-armed for the rest), or was small
 * (disarmed). Many short waits add up within the window just as one long wait does. As long as harm
 * persists, events follow one another at 1, 2, 4 ... 16 ms; a runner that was
 * not there up to the last event (by slot, modulo 64) is timed anew at once.
 *
 * Starting a timer under the runqueue lock: bpf_timer_start() takes the timer's own spin lock (held
 * elsewhere only to init, start, cancel or free this very timer) and the hrtimer base lock, and
 * calls hrtimer_start() with MODE_REL_SOFT, which enqueues and programs the clock event; it wakes
 * nobody (the soft interrupt is raised from the timer interrupt). The scheduler itself calls
 * hrtimer_start() under the runqueue lock (bandwidth timer, deadline timer, hrtick), so that lock
 * order is already the kernel's; hrtimer callbacks run with the base lock dropped. Timers are
 * initialised and get their callback from a syscall program, never from a hook. Kernels that have
 * made bpf_timer_start() safe for any context defer it to irq_work when interrupts are off: some
 * microseconds later.
 */
#pragma once
#include "ledger-state.bpf.h"

#define BACKOFF_MAX_MS 16
#define WINDOW_FACTOR  4

static __always_inline u64 slot_bit(u32 slot)
{
	return 1ull << (slot & 63);
}

static __always_inline void disarm(struct pair *pair)
{
	pair->armed = 0;
	pair->reported = 0;
}

/* What the cfs_rq at this address has been throttled so far, with runnable tasks. */
static __always_inline u64 throttled_ns(u64 addr, u64 now)
{
	struct cfs_rq___self *cfs = (void *)addr;
	u64 since, total;

	if (!bpf_core_field_exists(cfs->throttled_clock_self))
		return 0;
	since = BPF_CORE_READ(cfs, throttled_clock_self);
	total = BPF_CORE_READ(cfs, throttled_clock_self_time);
	return total + (since && now > since ? now - since : 0);
}

static __always_inline bool throttled_now(u64 addr)
{
	struct cfs_rq___self *self = (void *)addr;
	struct cfs_rq___throttle *cfs = (void *)addr;

	if (bpf_core_field_exists(self->throttled_clock_self))
		return BPF_CORE_READ(self, throttled_clock_self) != 0;
	if (bpf_core_field_exists(cfs->throttle_count))
		return BPF_CORE_READ(cfs, throttle_count) > 0;
	return false;
}

static __always_inline void timer_restart(struct pair *pair, u64 ns)
{
	if (bpf_timer_start(&pair->timer, ns, 0)) {
		pair->armed = 0;
		count(COUNTER_TIMER_FAILED);
	}
}

static __always_inline void window_begin(struct pair *pair, u64 clock, u64 mono_ns, u64 foreign_ns,
					 u64 window_ns)
{
	pair->armed_clock = clock;
	pair->armed_mono_ns = mono_ns;
	pair->armed_foreign_ns = foreign_ns;
	pair->window_ns = window_ns;
}

/* A foreign zone runs on `cpu` (run_slot) and a task of victim v waits there: from now on it is
 * timed. */
__noinline int overlap_begin(u32 cpu, u32 v, u64 now)
{
	struct ledger_cpu *cs = cpu_state(cpu);
	struct pair *pair = pair_state(cpu, v);
	u64 bit = 1ull << (v & 63);
	u64 thr;

	if (!cs || !pair || v >= LEDGER_NR_VICTIMS)
		return 0;
	thr = threshold_ns[v];
	if (!thr || cs->overlap_mask & bit)
		return 0;
	if (cs->throttle_mask & bit && throttled_now(pair->cfs_rq))
		return 0;
	pair->overlap_since = now;
	pair->foreign_slot = cs->run_slot;
	pair->foreign_pid = cs->run_pid;
	__sync_fetch_and_or(&cs->overlap_mask, bit);
	pair->seen |= slot_bit(cs->run_slot);
	/* Somebody who was not there before does not wait behind the pauses that others earned. */
	if (pair->armed && (!pair->backoff_ms || pair->reported & slot_bit(cs->run_slot)))
		return 0;
	pair->armed = 1;
	pair->backoff_ms = 0;
	window_begin(pair, now, bpf_ktime_get_ns(), pair->foreign_ns, WINDOW_FACTOR * thr);
	timer_restart(pair, thr);
	return 0;
}

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

static __always_inline void comm_of(s32 pid, char *comm)
{
	struct task_struct *p;

	if (!bpf_ksym_exists(bpf_task_from_pid) || !bpf_ksym_exists(bpf_task_release))
		return;
	p = bpf_task_from_pid(pid);
	if (!p)
		return;
	bpf_probe_read_kernel_str(comm, LEDGER_COMM, p->comm);
	bpf_task_release(p);
}

static __always_inline void event_emit(struct pair *pair, struct ledger_cpu *cs, u32 cpu, u32 v,
				       u64 mono_ns, u64 foreign_ns)
{
	struct ledger_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	struct ledger_slot_info *info;
	u32 slot = pair->foreign_slot;

	if (!e) {
		count(COUNTER_EVENTS_LOST);
		return;
	}
	info = bpf_map_lookup_elem(&slot_info, &slot);
	e->now_ns = mono_ns;
	e->since_ns = pair->armed_mono_ns;
	e->foreign_ns = foreign_ns;
	e->victim_id = victim_id[v & (LEDGER_NR_VICTIMS - 1)];
	e->culprit_id = info ? info->zone_id : 0;
	e->cpu = cpu;
	e->pid = pair->foreign_pid;
	__builtin_memset(e->comm, 0, sizeof(e->comm));
	if ((u32)bpf_get_current_pid_tgid() == (u32)e->pid)
		bpf_get_current_comm(e->comm, sizeof(e->comm));
	else if (info && info->pid == e->pid)
		__builtin_memcpy(e->comm, info->comm, sizeof(e->comm));
	else
		comm_of(e->pid, e->comm);
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

static int on_timer(void *map, u32 *key, struct pair *pair)
{
	u32 cpu = *key / LEDGER_NR_VICTIMS, v = *key % LEDGER_NR_VICTIMS;
	struct ledger_cpu *cs = cpu_state(cpu);
	u64 mono_ns = bpf_ktime_get_ns();
	u64 now, foreign, total, thr = threshold_ns[v & (LEDGER_NR_VICTIMS - 1)];
	bool overlapping;

	if (!cs || !thr || !victim_id[v & (LEDGER_NR_VICTIMS - 1)]) {
		disarm(pair);
		return 0;
	}
	count(COUNTER_TIMER_FIRED);
	now = pair->armed_clock + (mono_ns - pair->armed_mono_ns);
	total = pair->foreign_ns;
	overlapping = cs->overlap_mask & 1ull << v && cs->x[v] & LEDGER_WAITERS_MAX &&
		      !(cs->throttle_mask & 1ull << v && throttled_now(pair->cfs_rq));
	if (overlapping && now > pair->overlap_since)
		total += now - pair->overlap_since;
	foreign = total - pair->armed_foreign_ns;
	if (foreign >
	    mono_ns - pair->armed_mono_ns) /* the runqueue's clock was behind when armed */
		foreign = mono_ns - pair->armed_mono_ns;
	if (foreign + thr / 32 >= thr) {
		u32 ms = pair->backoff_ms ? pair->backoff_ms * 2 : 1;

		event_emit(pair, cs, cpu, v, mono_ns, foreign);
		pair->reported = pair->seen;
		pair->seen = 0;
		pair->backoff_ms = ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms;
		window_begin(pair, now, mono_ns, total, pair->backoff_ms * NS_PER_MS);
		timer_restart(pair, pair->window_ns);
		return 0;
	}
	if (now - pair->armed_clock < pair->window_ns && foreign) {
		u64 rest = thr - foreign;

		timer_restart(pair, rest > thr / 8 ? rest : thr / 8);
		return 0;
	}
	if (overlapping) {
		u64 since = now - pair->overlap_since;

		pair->backoff_ms = 0;
		pair->reported = 0;
		window_begin(pair, pair->overlap_since, mono_ns - since, pair->foreign_ns,
			     WINDOW_FACTOR * thr);
		timer_restart(pair, since < thr ? thr - since : 1);
		return 0;
	}
	disarm(pair);
	return 0;
}
