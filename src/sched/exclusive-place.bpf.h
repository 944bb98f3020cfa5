/* SPDX-License-Identifier: MIT */
/* Where a task may go: idle CPUs, CPUs that run something of a lower class, and when be must not
 * run. */
#pragma once
#include "exclusive-state.bpf.h"

#define SCX_PICK_IDLE_CORE 1
u32 scx_bpf_reenqueue_local(void) __ksym;

/* Of the policy's CPUs fewer are acquired or idle than the threshold, or a thread of the core runs
 * lc. */
static __always_inline bool be_may_run(s32 cpu)
{
	return !barred && !(host.smt && cpus[CPU(host.cpu[CPU(cpu)].core)].core_lc);
}

/* An idle CPU for p, or -1. Its idle mark is taken away: something has to be sent there. */
static __always_inline s32 take_idle(struct task_struct *p, s32 prev_cpu, bool whole_core)
{
	if (whole_core)
		return scx_bpf_pick_idle_cpu(p->cpus_ptr, SCX_PICK_IDLE_CORE);
	if (may_run_on(p, prev_cpu) && scx_bpf_test_and_clear_cpu_idle(prev_cpu))
		return prev_cpu;
	return scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
}

static __noinline s32 take_idle_for_be(struct task_struct *p, s32 prev_cpu)
{
	int cpu;

	if (barred)
		return -1;
	if (!host.smt)
		return take_idle(p, prev_cpu, false);
	bpf_for(cpu, 0, (int)host.nr_cpus)
	{
		if (be_may_run(cpu) && may_run_on(p, cpu) && scx_bpf_test_and_clear_cpu_idle(cpu))
			return cpu;
	}
	return -1;
}

static __always_inline bool claim(u32 cpu, u32 from, u32 to)
{
	return __sync_val_compare_and_swap(&cpus[CPU(cpu)].running, from, to) == from;
}

static __always_inline void kick_idle_for_be(struct task_struct *p)
{
	s32 cpu = take_idle_for_be(p, scx_bpf_task_cpu(p));

	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

/*
 * A CPU whose task is of a lower class than rank, be first, and prev_cpu first among equals; or -1.
 * It is marked, so that the next one that looks finds another.
 */
static __noinline s32 take_victim(struct task_struct *p, s32 prev_cpu, u32 rank)
{
	s32 normal = -1;
	int i;

	bpf_for(i, 0, (int)host.nr_cpus)
	{
		u32 cpu = CPU(prev_cpu) + i, running;

		if (cpu >= host.nr_cpus)
			cpu -= host.nr_cpus;
		running = cpus[CPU(cpu)].running;
		if (running <= rank || !may_run_on(p, cpu))
			continue;
		if (running == RANK_BE && claim(cpu, RANK_BE, rank))
			return cpu;
		if (running == RANK_NORMAL && normal < 0)
			normal = cpu;
	}
	return normal >= 0 && claim(normal, RANK_NORMAL, rank) ? normal : -1;
}

/* p was queued while this CPU is busy: another one shall come and take the queue's first. */
static __always_inline void kick_for(struct task_struct *p, s32 cpu, u32 rank)
{
	s32 other = take_idle(p, cpu, false);

	if (other >= 0) {
		scx_bpf_kick_cpu(other, SCX_KICK_IDLE);
		return;
	}
	other = take_victim(p, cpu, rank);
	if (other >= 0)
		scx_bpf_kick_cpu(other, SCX_KICK_PREEMPT);
}

/* be has to leave: all CPUs (the threshold), or those of one core. */
static __always_inline void clear_be(u32 cpu)
{
	if (cpus[CPU(cpu)].running == RANK_BE) {
		count(COUNT_be_cleared);
		scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
	}
}

static __always_inline void invite_be(u32 cpu)
{
	if (cpus[CPU(cpu)].running == RANK_IDLE)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

/* "acquired + idle < available": CPUs that neither lc nor a higher scheduling class has. */
static __noinline void weigh_threshold(void)
{
	u32 busy = nr_taken + nr_lc, total = available ?: host.nr_cpus;
	bool now_barred = busy + threshold > total;
	int cpu;

	if (!threshold || now_barred == barred)
		return;
	barred = now_barred;
	bpf_for(cpu, 0, (int)host.nr_cpus)
	{
		if (now_barred)
			clear_be(cpu);
		else
			invite_be(cpu);
	}
}

static __noinline void for_siblings(s32 cpu, bool clear)
{
	u32 other = host.cpu[CPU(cpu)].next_sibling;

	for (int i = 0; i < 8 && other != (u32)cpu; i++) {
		if (clear)
			clear_be(other);
		else
			invite_be(other);
		other = host.cpu[CPU(other)].next_sibling;
	}
}

static __always_inline void lc_begins(s32 cpu, struct cpu_state *c)
{
	if (c->has_lc)
		return;
	c->has_lc = 1;
	if (threshold) {
		__sync_fetch_and_add(&nr_lc, 1);
		weigh_threshold();
	}
	if (host.smt && !__sync_fetch_and_add(&cpus[CPU(host.cpu[CPU(cpu)].core)].core_lc, 1))
		for_siblings(cpu, true);
}

static __always_inline void lc_ends(s32 cpu, struct cpu_state *c)
{
	c->has_lc = 0;
	if (threshold) {
		__sync_fetch_and_add(&nr_lc, -1);
		weigh_threshold();
	}
	if (host.smt &&
	    __sync_fetch_and_add(&cpus[CPU(host.cpu[CPU(cpu)].core)].core_lc, -1) == 1 &&
	    scx_bpf_dsq_nr_queued(RANK_BE) > 0)
		for_siblings(cpu, false);
}
