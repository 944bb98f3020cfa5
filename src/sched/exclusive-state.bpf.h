/* SPDX-License-Identifier: MIT */
/* State of the exclusive policies: what a CPU and a task are to them. See scx-exclusive.bpf.c. */
#pragma once
#define OWN_HOTPLUG
#include "sched/types.bpf.h"
#include "sched/counters.h"
#include "sched/exclusive.h"

struct task_struct___policy {
	unsigned int policy;
} __attribute__((preserve_access_index));
#define POLICY_SCHED_IDLE 5

struct exclusive_host host SEC(".data.host") = {.restrain = 1};

/* Put under the policy on purpose, or idle by its own wish. */
#define CLASS_UNKNOWN(p)                                                                           \
	(host.partial || ((struct task_struct___policy *)(p))->policy == POLICY_SCHED_IDLE         \
	     ? BUS_BE                                                                              \
	     : BUS_NORMAL)
#include "sched/bus.bpf.h"

#define CPUS_MAX	EXCLUSIVE_CPUS_MAX
#define CPU(n)		((u32)(n) & (CPUS_MAX - 1))
#define FORCED_MIN_NS	NSEC_PER_MSEC	      /* a turn shorter than that is not worth a switch */
#define FORCED_MAX_NS	(20 * NSEC_PER_MSEC)  /* what a guarantee may save up for one CPU */
#define FORCED_DEBT_NS	(500 * NSEC_PER_MSEC) /* what a turn that ends late may borrow */
#define EMERGENCY_NS	(10 * NSEC_PER_SEC)   /* waited so long: served whatever the guarantee is */
#define FORCED_LOOK_MAX 8		      /* tasks looked at for one that may run here */
#define TIMER_NS	(100 * NSEC_PER_MSEC)

/* The lower the number, the more urgent. Queues have the same numbers; the per-CPU ones of lc come
 * after. */
enum rank { RANK_SYSTEM, RANK_LC, RANK_NORMAL, RANK_BE, RANK_IDLE };
#define QUEUE_LC_CPU 16

const volatile __u64 slice_ns = 4 * NSEC_PER_MSEC;
const volatile __u32 be_guarantee_ppm = 10000;
const volatile __u32 normal_guarantee_ppm = 100000;
const volatile __u64 be_force_after_ns = NSEC_PER_SEC;
const volatile __u64 normal_force_after_ns = 50 * NSEC_PER_MSEC;
const volatile __u64 available; /* 0: all CPUs */
const volatile __u64 threshold; /* 0: off */
const volatile bool lc_per_cpu;

enum { EXCLUSIVE_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

static inline void add(u32 which, u64 n)
{
	u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += n;
}

struct purse { /* of a guarantee, on one CPU */
	s64 saved_ns;
	u64 at_ns;
};
struct cpu_state {
	u32 running; /* enum rank of what runs here, or was sent here to preempt it */
	u32 has_lc;  /* counted in core_lc and in nr_lc */
	u32 taken;   /* by a higher scheduling class */
	u32 leaving; /* on its way offline: it does not dispatch any more */
	u32 sent;    /* a wake-up was put on its local queue, and does not run yet */
	u32 core_lc; /* threads that run lc, of the core whose first thread this is */
	struct purse normal, be;
} __attribute__((aligned(64)));
static struct cpu_state cpus[CPUS_MAX];
static u32 nr_lc, nr_taken; /* CPUs that run lc; that a higher class has */
static bool barred;	    /* fewer CPUs are free than the threshold */
static u32 bus_be_ppm;	    /* the guarantee last seen on the bus for be; 0: none */
static u64 vtime_now[RANK_IDLE];

struct task_state {
	u32 rank;
	bool forced;	  /* its turn is given by the guarantee, though others wait */
	u64 queued_at_ns; /* since when it waits for a turn */
	u64 started_at_ns;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");

#define task_state(p) ((struct task_state *)bpf_task_storage_get(&tasks, p, 0, 0))

/* The rank a task has now; while nothing is restrained, all but the system's are alike. */
static __always_inline u32 task_rank(struct task_struct *p, struct task_state *t, u64 now)
{
	u32 tgid = p->tgid;
	struct bus_class class;

	if (p->flags & PF_KTHREAD || tgid == host.agent[0] || tgid == host.agent[1])
		return t->rank = RANK_SYSTEM;
	class = class_of(p, now);
	t->rank = class.class == BUS_LC ? RANK_LC : class.class == BUS_BE ? RANK_BE : RANK_NORMAL;
	if (t->rank == RANK_BE)
		bus_be_ppm = class.guarantee_ppm;
	return host.restrain ? t->rank : RANK_NORMAL;
}

static __always_inline u64 lc_queue(s32 cpu)
{
	return lc_per_cpu ? QUEUE_LC_CPU + CPU(cpu) : RANK_LC;
}
