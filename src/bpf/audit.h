/* SPDX-License-Identifier: MIT */
/* Records of the audit log: raw scheduler events, from which tests replay what the ledger claims.
 */
#pragma once

#ifndef __bpf__
#include <stdint.h>
typedef uint64_t u64;
typedef uint32_t u32;
typedef int32_t s32;
#endif

#define AUDIT_ZONES_MAX 4

enum audit_kind {
	AUDIT_NONE,
	AUDIT_SWITCH,  /* a: prev, b: next */
	AUDIT_WAKE,    /* a: a watched task was put on the CPU's queue */
	AUDIT_MIGRATE, /* a: a watched task goes to the CPU */
	AUDIT_UNSEEN, /* a: runs since ns by the kernel's account; its switch-in was not reported */
	AUDIT_DEAD,   /* a: a watched task has ended; ns: its run_delay */
};

enum audit_flag {
	AUDIT_PREV_WAITS = 1,  /* prev stays runnable */
	AUDIT_PREV_ASLEEP = 4, /* ... but was on its way to sleep: run_delay leaves its wait out */
	AUDIT_NEXT_KERNEL = 2, /* AUDIT_UNSEEN: a itself */
};

struct audit_record {
	u64 ns; /* the runqueue's clock */
	s32 a, b;
	u32 zone_a, zone_b; /* low half of the cgroup id */
	u32 cpu;
	u32 kind_flags;	      /* kind | flags << 8 */
	u32 irq_ns, steal_ns; /* AUDIT_SWITCH: of these, since the last one on this CPU */
};

/* What the iterator writes, one a watched task. */
struct audit_task {
	u64 run_delay_ns;
	u32 zone;
	s32 pid;
	s32 waiting_cpu; /* -1: not on a queue, or running */
	u32 pad;
};
