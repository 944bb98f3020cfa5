/* SPDX-License-Identifier: MIT */
/* What scx-user's two halves say to each other. */
#pragma once
#include <linux/types.h>

#define USER_DECISIONS_MAX 32
#define USER_CPU_ANY	   (-1)

/* kernel -> user, ring "requests". pid 0: a CPU has nothing to run, decide something. */
struct user_request {
	__s32 pid;
	__s32 cpu; /* where it was last */
	__u32 weight;
	__u32 unused;
	__u64 vtime;   /* what the last decision about it said: user space's own memory */
	__u64 used_ns; /* that it has run since */
};

/* user -> kernel: the context of the program user_decide. */
struct user_decision {
	__s32 pid;
	__s32 cpu; /* or USER_CPU_ANY; a wish: a CPU that would idle takes it */
	__u64 slice_ns;
	__u64 vtime;
};
struct user_decisions {
	__u32 nr;
	__u32 moved; /* out: how many of them were parked */
	__u32 unused;
	__s32 queued; /* out: decided tasks that no CPU has taken yet */
	struct user_decision list[USER_DECISIONS_MAX];
};

/* The section ".data.shared". */
struct user_shared {
	__u32 nr_cpus;
	__u32 agent[2]; /* processes that the kernel half serves itself: this one, its parent */
	__u32 stalled;	/* user space decided nothing for too long: first come, first served */
	__u64 decided_at_ns;
};

#define USER_COUNTERS(X)                                                                           \
	X(asked)      /* tasks given to user space to decide */                                    \
	X(decided)    /* and what it decided in time */                                            \
	X(idle_asked) /* a CPU had nothing while tasks waited for a decision */                    \
	X(overflow)   /* user space did not keep up: the task went to the common queue */          \
	X(stalls)     /* times user space was given up for a while */                              \
	X(fallback)   /* tasks run first come, first served during a stall */                      \
	X(system)     /* kernel threads and the loader: never asked */
