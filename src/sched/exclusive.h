/* SPDX-License-Identifier: MIT */
/* What exclusive.bpf.h shares with the programs that load it. */
#pragma once
#include <linux/types.h>

#define EXCLUSIVE_CPUS_MAX 512 /* a power of two */
#define EXCLUSIVE_AGENTS   2

/* The section ".data.host": filled by the loader before loading; `restrain` also later. */
struct exclusive_host {
	__u32 nr_cpus;
	__u32 smt;	/* some core has more than one thread */
	__u32 restrain; /* 0: all tasks are treated alike */
	__u32 partial;	/* a task of unknown class is be: it was put under the policy on purpose */
	__u32 agent[EXCLUSIVE_AGENTS]; /* processes that are served like kernel threads */
	struct {
		__u32 core;	    /* number of the first thread of its core */
		__u32 next_sibling; /* a ring */
	} cpu[EXCLUSIVE_CPUS_MAX];
};

#define EXCLUSIVE_COUNTERS(X)                                                                      \
	X(lc_to_idle)	    /* wake-ups sent straight to an idle CPU */                            \
	X(lc_preempted)	    /* wake-ups that took a CPU from a lower class */                      \
	X(lc_queued)	    /* no such CPU: had to wait behind others of their class */            \
	X(normal_preempted) /* the same for class normal */                                        \
	X(normal_queued)                                                                           \
	X(be_queued)                                                                               \
	X(be_cleared)  /* CPUs taken from be for a sibling or the threshold */                     \
	X(be_withheld) /* times a CPU was left idle though be was queued */                        \
	X(be_forced)   /* turns given by the guarantee though others waited */                     \
	X(normal_forced)                                                                           \
	X(system_cpu_ns) /* these four in the order of enum rank */                                \
	X(lc_cpu_ns)                                                                               \
	X(normal_cpu_ns)                                                                           \
	X(be_cpu_ns)                                                                               \
	X(be_forced_ns)
