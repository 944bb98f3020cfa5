/* SPDX-License-Identifier: MIT */
/*
 * CPU time per unit of work against what is usual at that load: a cache or a memory bus that others
 * use shows in it without any counter, because the same request then takes more CPU time. Units are
 * what the zone itself counts: requests, records, instructions.
 *
 * Cost depends on load (batches, caches that stay warm), so there is a level for each half octave
 * of units a second. A load that was never seen is held against the nearest level within an octave,
 * by a wider limit.
 */
#pragma once
#include "detect/internal.h"

#define WORK_LOADS 48 /* half octaves: 1 to 16 million units a second */

struct work {
	struct level loads[WORK_LOADS]; /* of CPU time a unit */
	uint64_t harm_ns;		/* how long it has been dear without a break */
};

/* A window. All sums are of the same time. */
struct work_sample {
	uint64_t units, cpu_ns, window_ns;
};

struct work_verdict {
	bool known;	   /* false: too few units, or nothing learned near this load */
	bool nearby;	   /* by a neighbouring load's level */
	double cost_ns;	   /* CPU time a unit */
	double usual_ns;   /* mean of the level */
	double limit_ns;   /* above it is harm */
	uint64_t extra_ns; /* CPU time beyond what is usual for these units; 0: none */
};

/* Pure but for *w: nothing is learned. */
void work_judge(const struct work *w, const struct work_sample *s, struct work_verdict *ret);
/*
 * After work_judge() of the same sample. Dear windows do not teach, until they have lasted ten
 * minutes: then it is the work that has changed. Waiting for a CPU is no cost: a zone that is kept
 * off the CPU does not look dear.
 */
void work_learn(struct work *w, const struct work_sample *s, const struct work_verdict *v);
