/* SPDX-License-Identifier: MIT */
/* The user side that scx-exclusive and scx-net share: options, and what they are told of the host.
 */
#pragma once
#include "sched/exclusive.h"
#include "sched/loader.h"

#define EXCLUSIVE_OPTIONS(skeleton)                                                                \
	POLICY_OPTION(skeleton, "slice", DURATION, slice_ns, "TIME",                               \
		      "a turn among equals; default: 4ms", .min = 100000, .letter = 's')           \
	,                                                                                          \
	    POLICY_OPTION(skeleton, "available", NUMBER, available, "N",                           \
			  "CPUs that --threshold counts on; default: all", .letter = 'c'),         \
	    POLICY_OPTION(skeleton, "threshold", NUMBER, threshold, "N",                           \
			  "no be at all while fewer CPUs are free of lc and higher "               \
			  "scheduling classes; default: 0, off",                                   \
			  .letter = 't'),                                                          \
	    POLICY_OPTION(skeleton, "be-guarantee", RATIO, be_guarantee_ppm, "SHARE",              \
			  "of each CPU for be, even behind lc; default: 1%"),                      \
	    POLICY_OPTION(skeleton, "normal-guarantee", RATIO, normal_guarantee_ppm, "SHARE",      \
			  "the same for normal; default: 10%"),                                    \
	    POLICY_OPTION(skeleton, "force-after", DURATION, be_force_after_ns, "TIME",            \
			  "be that waited so long is served by its guarantee; default: 1s",        \
			  .min = 1000000, .max = 10000000000),                                     \
	    POLICY_OPTION(skeleton, "per-cpu", FLAG, lc_per_cpu, NULL,                             \
			  "a queue for each CPU's lc; default: one for all"),

/* The policies' open hook: topology, agent, mode. */
int exclusive_open(struct policy_run *run, struct error *reterr);
/* The structure shared with the loaded program; NULL: it has none. */
struct exclusive_host *exclusive_host(struct policy_run *run);
/* Whether the loaded program restrains be. */
void exclusive_restrain(struct policy_run *run, bool restrain);
