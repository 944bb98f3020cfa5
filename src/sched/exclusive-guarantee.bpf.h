/* SPDX-License-Identifier: MIT */
/*
 * The guarantee of normal and be: each CPU saves time for them, a share of the time that passes,
 * and what they run is taken from it. It is spent only on a task that waited long; so as long as lc
 * leaves gaps, they get their share in these and nobody waits for them.
 */
#pragma once
#include "exclusive-place.bpf.h"

bool scx_bpf_dsq_move___new(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p, u64 dsq_id,
			    u64 enq_flags) __ksym __weak;
bool scx_bpf_dispatch_from_dsq___old(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
				     u64 dsq_id, u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_move_set_slice___new(struct bpf_iter_scx_dsq *it__iter, u64 slice) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_slice___old(struct bpf_iter_scx_dsq *it__iter,
					       u64 slice) __ksym __weak;

#define dsq_move(it, p, dsq_id, slice)                                                             \
	({                                                                                         \
		bool moved_;                                                                       \
		if (bpf_ksym_exists(scx_bpf_dsq_move___new)) {                                     \
			scx_bpf_dsq_move_set_slice___new(it, slice);                               \
			moved_ = scx_bpf_dsq_move___new(it, p, dsq_id, 0);                         \
		} else {                                                                           \
			scx_bpf_dispatch_from_dsq_set_slice___old(it, slice);                      \
			moved_ = scx_bpf_dispatch_from_dsq___old(it, p, dsq_id, 0);                \
		}                                                                                  \
		moved_;                                                                            \
	})

static __always_inline u32 ppm_of(u32 rank)
{
	return rank == RANK_NORMAL ? normal_guarantee_ppm : bus_be_ppm ?: be_guarantee_ppm;
}

static __always_inline void purse_fill(struct purse *purse, u32 rank, u64 now)
{
	u64 passed = purse->at_ns ? now - purse->at_ns : 0;

	purse->at_ns = now;
	if (passed > EMERGENCY_NS)
		passed = EMERGENCY_NS;
	purse->saved_ns += passed * ppm_of(rank) / 1000000;
	if (purse->saved_ns > (s64)FORCED_MAX_NS)
		purse->saved_ns = FORCED_MAX_NS;
}

/* What is run in gaps makes no debt: it hurts nobody. */
static __always_inline void guarantee_pay(struct cpu_state *c, struct task_state *t, u64 used)
{
	struct purse *purse = t->rank == RANK_BE ? &c->be : &c->normal;
	s64 floor = t->forced ? -(s64)FORCED_DEBT_NS : 0;

	if (t->rank != RANK_BE && t->rank != RANK_NORMAL)
		return;
	if (t->forced && t->rank == RANK_BE)
		add(COUNT_be_forced_ns, used);
	purse->saved_ns -= used;
	if (purse->saved_ns < floor)
		purse->saved_ns = floor;
}

/* Gives the CPU to one that has waited for more than after_ns. */
static __noinline bool serve_starved(s32 cpu, u32 rank, struct purse *purse, u64 after_ns, u64 now)
{
	s64 saved = purse->saved_ns;
	u64 slice = saved > (s64)slice_ns ? slice_ns : saved;
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	bool served = false;

	if (saved < (s64)FORCED_MIN_NS) {
		slice = FORCED_MIN_NS;
		after_ns = EMERGENCY_NS;
	}
	bpf_iter_scx_dsq_new(&it, rank, 0);
	for (int i = 0; i < FORCED_LOOK_MAX && !served && (p = bpf_iter_scx_dsq_next(&it)); i++) {
		struct task_state *t = task_state(p);

		if (t && (s64)(now - t->queued_at_ns) > (s64)after_ns && may_run_on(p, cpu))
			served = t->forced = dsq_move(&it, p, SCX_DSQ_LOCAL, slice);
	}
	bpf_iter_scx_dsq_destroy(&it);
	return served;
}

static __always_inline bool guarantee_due(s32 cpu, u64 now)
{
	struct cpu_state *c = &cpus[CPU(cpu)];

	purse_fill(&c->be, RANK_BE, now);
	purse_fill(&c->normal, RANK_NORMAL, now);
	if (scx_bpf_dsq_nr_queued(RANK_BE) > 0 &&
	    serve_starved(cpu, RANK_BE, &c->be, be_force_after_ns, now)) {
		count(COUNT_be_forced);
		return true;
	}
	if (scx_bpf_dsq_nr_queued(RANK_NORMAL) > 0 &&
	    serve_starved(cpu, RANK_NORMAL, &c->normal, normal_force_after_ns, now)) {
		count(COUNT_normal_forced);
		return true;
	}
	return false;
}

/* be that is withheld from idle CPUs: nobody dispatches there, so its guarantee needs a clock. */
struct watch {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct watch);
} watch SEC(".maps");

static int watch_withheld(void *map, u32 *key, struct watch *w)
{
	s32 queued = scx_bpf_dsq_nr_queued(RANK_BE);
	int cpu;

	bpf_for(cpu, 0, queued > 0 ? (int)host.nr_cpus : 0)
	{
		invite_be(cpu);
	}
	/* Detached: the queue is gone, and so is the clock. */
	if (queued >= 0)
		bpf_timer_start(&w->timer, TIMER_NS, 0);
	return 0;
}

static __always_inline int timer_begin(void)
{
	u32 zero = 0;
	struct watch *w = bpf_map_lookup_elem(&watch, &zero);
	int r;

	if (!w || (!threshold && !host.smt))
		return 0;
	r = bpf_timer_init(&w->timer, &watch, 1 /* CLOCK_MONOTONIC */);
	if (r == -16) /* EBUSY: attached before */
		r = 0;
	r = r ?: bpf_timer_set_callback(&w->timer, watch_withheld);
	return r ?: bpf_timer_start(&w->timer, TIMER_NS, 0);
}
