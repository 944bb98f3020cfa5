/* SPDX-License-Identifier: MIT */
/* The exclusive policies' operations; the design is told in scx-exclusive.bpf.c. */
#pragma once
#include "exclusive-place.bpf.h"
#include "exclusive-guarantee.bpf.h"

s32 STRUCT_OPS(exclusive_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_state *t = task_state(p);
	u64 now = now_ns();
	s32 cpu;
	u32 rank;

	if (!t)
		return prev_cpu;
	rank = task_rank(p, t, now);
	if (rank == RANK_BE) {
		cpu = take_idle_for_be(p, prev_cpu);
		return cpu >= 0 ? cpu : prev_cpu;
	}
	cpu = take_idle(p, prev_cpu, host.smt && rank == RANK_LC);
	if (cpu >= 0) {
		if (rank == RANK_LC)
			count(COUNT_lc_to_idle);
		cpus[CPU(cpu)].running = rank;
		cpus[CPU(cpu)].sent = 1;
		t->queued_at_ns = now;
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
		return cpu;
	}
	cpu = take_victim(p, prev_cpu, rank);
	if (cpu < 0 && host.smt && rank == RANK_LC)
		cpu = take_idle(p, prev_cpu, false);
	if (cpu < 0)
		return prev_cpu;
	count(rank == RANK_NORMAL ? COUNT_normal_preempted : COUNT_lc_preempted);
	t->queued_at_ns = now;
	cpus[CPU(cpu)].sent = 1;
	dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, SCX_ENQ_PREEMPT);
	return cpu;
}

/* A task may save up no more than one turn while it sleeps, and does not pay for another queue. */
static __always_inline u64 fair_vtime(struct task_struct *p, u32 rank)
{
	u64 now = vtime_now[rank], vtime = p->scx.dsq_vtime;

	if (time_before(vtime, now - slice_ns) || time_before(now + 100 * slice_ns, vtime))
		vtime = now - slice_ns;
	return vtime;
}

void STRUCT_OPS(exclusive_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_state *t = task_state(p);
	s32 cpu = scx_bpf_task_cpu(p);
	u64 now = now_ns();
	u32 rank;

	if (!t) {
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags);
		return;
	}
	rank = task_rank(p, t, now);
	t->queued_at_ns = now;
	if (rank == RANK_SYSTEM) {
		/* At once when it wakes up; when it has used a turn it goes on among lc. */
		if (enq_flags & SCX_ENQ_WAKEUP) {
			dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags | SCX_ENQ_PREEMPT);
			return;
		}
		rank = RANK_LC;
	}
	if (rank == RANK_BE) {
		count(COUNT_be_queued);
		dsq_insert_vtime(p, RANK_BE, slice_ns, fair_vtime(p, rank), enq_flags);
		if (!(enq_flags & SCX_ENQ_LAST))
			kick_idle_for_be(p);
		return;
	}
	count(rank == RANK_LC ? COUNT_lc_queued : COUNT_normal_queued);
	dsq_insert_vtime(p, rank == RANK_LC ? lc_queue(cpu) : RANK_NORMAL, slice_ns,
			 fair_vtime(p, rank), enq_flags);
	kick_for(p, cpu, rank);
}

static __noinline bool move_lc(s32 cpu)
{
	int i;

	if (!lc_per_cpu)
		return dsq_move_to_local(RANK_LC);
	bpf_for(i, 0, (int)host.nr_cpus)
	{
		u32 other = CPU(cpu) + i;

		if (other >= host.nr_cpus)
			other -= host.nr_cpus;
		if (dsq_move_to_local(QUEUE_LC_CPU + CPU(other)))
			return true;
	}
	return false;
}

/* The kernel lets prev go on if its slice is not used up. */
#define go_on(prev, rank_)                                                                         \
	({                                                                                         \
		bool yes_ = prev_rank <= (rank_);                                                  \
		if (yes_)                                                                          \
			task_set_slice(prev, slice_ns);                                            \
		yes_;                                                                              \
	})

void STRUCT_OPS(exclusive_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 prev_rank = RANK_IDLE;
	u64 now = now_ns();

	if (prev && prev->scx.flags & SCX_TASK_QUEUED) {
		struct task_state *t = task_state(prev);

		if (t)
			prev_rank = task_rank(prev, t, now);
	}
	/* What was queued by class before the restraint ended. */
	if (!host.restrain && (dsq_move_to_local(RANK_BE) || move_lc(cpu)))
		return;
	if (host.restrain && guarantee_due(cpu, now))
		return;
	if (move_lc(cpu) || go_on(prev, RANK_LC))
		return;
	if (dsq_move_to_local(RANK_NORMAL) || go_on(prev, RANK_NORMAL))
		return;
	if (be_may_run(cpu)) {
		if (!dsq_move_to_local(RANK_BE))
			go_on(prev, RANK_BE);
	} else if (prev_rank == RANK_BE || scx_bpf_dsq_nr_queued(RANK_BE) > 0) {
		count(COUNT_be_withheld);
	}
}

void STRUCT_OPS(exclusive_running, struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_state *c = &cpus[CPU(cpu)];
	struct task_state *t = task_state(p);
	u64 now = now_ns();
	u32 rank;

	if (!t)
		return;
	rank = task_rank(p, t, now);
	t->started_at_ns = now;
	c->sent = 0;
	/* Nobody may take the CPU from one that is served by its guarantee. */
	c->running = t->forced ? RANK_SYSTEM : rank;
	if (time_before(vtime_now[rank & 3], p->scx.dsq_vtime))
		vtime_now[rank & 3] = p->scx.dsq_vtime;
	if (rank == RANK_LC)
		lc_begins(cpu, c);
	else if (c->has_lc && rank != RANK_SYSTEM)
		lc_ends(cpu, c);
}

void STRUCT_OPS(exclusive_stopping, struct task_struct *p, bool runnable)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_state *c = &cpus[CPU(cpu)];
	struct task_state *t = task_state(p);
	u64 used, charged;

	/* An lc task that something more urgent interrupts still has its CPU. */
	if (c->has_lc && !runnable)
		lc_ends(cpu, c);
	if (!t)
		return;
	used = now_ns() - t->started_at_ns;
	/* More than that it got because nobody else wanted it, or because the tick was late. */
	charged = used < 2 * slice_ns ? used : 2 * slice_ns;
	task_set_vtime(p, p->scx.dsq_vtime + charged * 100 / (p->scx.weight ?: 1));
	add(COUNT_system_cpu_ns + t->rank, used);
	guarantee_pay(c, t, used);
	t->forced = false;
}

/* The net under all races: a lower class does not go on for a whole turn beside a higher that
 * waits. */
void STRUCT_OPS(exclusive_tick, struct task_struct *p)
{
	struct cpu_state *c = &cpus[CPU(scx_bpf_task_cpu(p))];

	if (c->running == RANK_BE && (scx_bpf_dsq_nr_queued(RANK_NORMAL) > 0 ||
				      scx_bpf_dsq_nr_queued(lc_queue(scx_bpf_task_cpu(p))) > 0))
		task_set_slice(p, 0);
}

void STRUCT_OPS(exclusive_update_idle, s32 cpu, bool idle)
{
	if (!idle)
		return;
	cpus[CPU(cpu)].running = RANK_IDLE;
	if (cpus[CPU(cpu)].has_lc)
		lc_ends(cpu, &cpus[CPU(cpu)]);
	if (cpus[CPU(cpu)].leaving)
		return;
	/* Queued after this CPU looked, and before it could be seen to be idle. */
	if (scx_bpf_dsq_nr_queued(lc_queue(cpu)) > 0 || scx_bpf_dsq_nr_queued(RANK_NORMAL) > 0 ||
	    (scx_bpf_dsq_nr_queued(RANK_BE) > 0 && be_may_run(cpu)))
		scx_bpf_kick_cpu(cpu, 0);
}

void STRUCT_OPS(exclusive_cpu_release, s32 cpu, struct scx_cpu_release_args *args)
{
	struct cpu_state *c = &cpus[CPU(cpu)];

	c->running = RANK_SYSTEM;
	if (!c->taken) {
		c->taken = 1;
		__sync_fetch_and_add(&nr_taken, 1);
		weigh_threshold();
	}
	/* Only for a wake-up that was sent here: a turn that is interrupted goes on afterwards.
	 * Done at each interruption, a task beside a busy higher class would never come to the end
	 * of its turn. */
	if (c->sent) {
		c->sent = 0;
		scx_bpf_reenqueue_local();
	}
}

void STRUCT_OPS(exclusive_cpu_acquire, s32 cpu, struct scx_cpu_acquire_args *args)
{
	struct cpu_state *c = &cpus[CPU(cpu)];

	if (!c->taken)
		return;
	c->taken = 0;
	__sync_fetch_and_add(&nr_taken, -1);
	weigh_threshold();
}

void STRUCT_OPS(exclusive_cpu_online, s32 cpu)
{
	cpus[CPU(cpu)].leaving = 0;
}

void STRUCT_OPS(exclusive_cpu_offline, s32 cpu)
{
	cpus[CPU(cpu)].leaving = 1;
	cpus[CPU(cpu)].running = RANK_SYSTEM; /* nobody is sent there */
}

s32 STRUCT_OPS_SLEEPABLE(exclusive_init_task, struct task_struct *p,
			 struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
}

void STRUCT_OPS(exclusive_enable, struct task_struct *p)
{
	struct task_state *t = task_state(p);
	u64 now = now_ns();

	if (t)
		task_set_vtime(p, vtime_now[task_rank(p, t, now) & 3]);
}

s32 STRUCT_OPS_SLEEPABLE(exclusive_init)
{
	int r = 0, cpu;

	/* Attached again: what the last time left is over. */
	nr_lc = nr_taken = 0;
	barred = false;
	bpf_for(cpu, 0, (int)host.nr_cpus)
	{
		struct cpu_state *c = &cpus[CPU(cpu)];

		c->running = RANK_IDLE;
		c->has_lc = c->taken = c->leaving = c->core_lc = c->sent = 0;
		if (lc_per_cpu && !r)
			r = scx_bpf_create_dsq(QUEUE_LC_CPU + CPU(cpu), -1);
	}
	for (u32 rank = RANK_LC; rank <= RANK_BE && !r; rank++)
		r = scx_bpf_create_dsq(rank, -1);
	return r ?: timer_begin();
}

#define EXCLUSIVE_OPS                                                                              \
	.select_cpu = (void *)exclusive_select_cpu, .enqueue = (void *)exclusive_enqueue,          \
	.dispatch = (void *)exclusive_dispatch, .running = (void *)exclusive_running,              \
	.stopping = (void *)exclusive_stopping, .tick = (void *)exclusive_tick,                    \
	.update_idle = (void *)exclusive_update_idle,                                              \
	.cpu_release = (void *)exclusive_cpu_release,                                              \
	.cpu_acquire = (void *)exclusive_cpu_acquire, .init_task = (void *)exclusive_init_task,    \
	.cpu_online = (void *)exclusive_cpu_online, .cpu_offline = (void *)exclusive_cpu_offline,  \
	.enable = (void *)exclusive_enable, .init = (void *)exclusive_init, COMMON_OPS,            \
	.flags = SCX_OPS_KEEP_BUILTIN_IDLE | SCX_OPS_ENQ_LAST | SCX_OPS_ENQ_EXITING
