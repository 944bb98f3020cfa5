/* SPDX-License-Identifier: MIT */
/*
 * Layout shared by ledger.bpf.c and its reader src/probes/ledger.c. Plain u32/u64 only, no
 * padding: both sides are built by different compilers.
 */
#pragma once

#ifndef __bpf__
#include <stdint.h>
typedef uint64_t u64;
typedef uint32_t u32;
typedef int32_t s32;
#endif

#define LEDGER_NR_VICTIMS   64
#define LEDGER_VICTIM_NONE  127	  /* "no protected zone" in a cache word */
#define LEDGER_NR_BUCKETS   320	  /* 40 powers of two x 8 */
#define LEDGER_CACHE_SIZE   16384 /* power of two */
#define LEDGER_TASKS	    16384 /* task states at hand, power of two; the rest in task storage */
#define LEDGER_DEPTH_MAX    32	  /* cgroup nesting looked through for a protected ancestor */
#define LEDGER_WAITERS_BITS 10
#define LEDGER_WAITERS_MAX  ((1 << LEDGER_WAITERS_BITS) - 1)
#define LEDGER_COMM	    16
#define LEDGER_GEN_MASK	    127

/* Culprit slots. Zones begin at SLOT_FIRST; 0 is what an unseen CPU runs. */
enum ledger_slot {
	SLOT_UNKNOWN,
	SLOT_IDLE,
	SLOT_KERNEL,
	SLOT_HOST,
	SLOT_THROTTLED,
	SLOT_SELF,
	SLOT_GONE, /* user space folds recycled zones in here */
	SLOT_LAZY, /* a CPU's runner nobody has asked for yet; never charged */
	SLOT_FIRST = 8
};

/*
 * One CPU. Only the CPU itself writes, except `mask` and `x`, which any CPU changes atomically.
 * x[v] = (sum of the waiters' unpaid start times << LEDGER_WAITERS_BITS) + waiters, modulo 2^64.
 */
struct ledger_cpu {
	u64 mask;     /* victims that may have waiters here */
	u64 run_task; /* who runs: an address, only to be compared; 0: nothing seen yet */
	u64 memo_group, memo_word; /* the task group last looked up here, and its cache word */
	s32 run_pid;		   /* where run_slot is known */
	u32 run_slot, run_victim;
	u32 irq_depth;
	/* What is to be paid for begins here: the last switch, or the first wait after it. */
	u64 since_clock;
	u64 since_steal, since_irq; /* steal and accounted interrupt time at that moment */
	u64 irq_ns, irq_start;	    /* interrupt time after it, by tracepoints */
	u64 overlap_mask;	    /* of these: an overlap with a foreign runner is being timed */
	u64 throttle_mask;	    /* victims that have met a CPU quota here */
	u64 pad[3];
	u64 x[LEDGER_NR_VICTIMS];
	u64 wait_ns[LEDGER_NR_VICTIMS];
	u64 own_ns[SLOT_FIRST][LEDGER_NR_VICTIMS]; /* what is not a zone's */
};

/*
 * A task of a protected zone. where: it waits since start (48 bits) | cpu + 1 (10) | victim (6); 0:
 * it is not counted as waiting. One word, so that whoever exchanges it owns taking the waiter out.
 * seen_ns: how much of the kernel's run_delay is accounted for, while `tracked`.
 */
struct ledger_task {
	u64 task; /* owner's address, 0: free; unused in task storage */
	u64 where;
	u64 seen_ns;
	u64 tracked; /* it is in a protected zone, without a break */
};

/* One culprit slot: written when the zone in it is charged. */
struct ledger_slot_info {
	u64 zone_id;
	s32 pid, cpu;
	char comm[LEDGER_COMM];
};

struct ledger_event {
	u64 now_ns, since_ns, foreign_ns; /* CLOCK_MONOTONIC */
	u64 victim_id, culprit_id;
	s32 cpu, pid;
	char comm[LEDGER_COMM];
};

/* Argument of the timer_init program. */
struct ledger_timer_args {
	u32 victim;
};

enum ledger_counter {
	COUNTER_EVENTS_LOST,
	COUNTER_STORAGE_FAILED,
	COUNTER_WAITERS_OVERFLOW,
	COUNTER_SLOTS_OVERFLOW,
	COUNTER_MISSED_SWITCHES,
	COUNTER_CLOCK_BACKWARDS, /* an interval would have been negative: carried over */
	COUNTER_TIMER_FAILED,
	COUNTER_TIMER_FIRED,
	COUNTER_STALE_WAITERS, /* a running task was still counted as waiting: dropped */
	COUNTER_LATE_WAITS,    /* seen only when they ended */
	COUNTER_NR
};
