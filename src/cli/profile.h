/* SPDX-License-Identifier: MIT */
/*
 * Where a zone's CPU time goes: the stacks of its tasks, sampled on all CPUs for a while. Of cycles
 * where the machine counts them, else of the CPU clock. The kernel picks the zone's samples where
 * the zone's v2 cgroup has its tasks; elsewhere (v1) all tasks are sampled, and those of the zone
 * kept: of a task that ended within 20 ms it cannot be told then whose it was, which is counted.
 * User stacks are walked by frame pointers, as in stack.h.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "cli/folded.h"

struct profile {
	const char *event; /* "cycles", "CPU clock"; static */
	uint32_t per_second;
	bool by_cgroup;
	uint64_t for_ns;
	uint64_t samples;     /* of the zone */
	uint64_t lost;	      /* the kernel or czctl had no room for them */
	uint64_t untold;      /* of tasks that had ended before their zone was asked for */
	uint64_t processes;   /* with samples */
	uint64_t unnamed;     /* of these, ended before their functions could be named */
	struct folded stacks; /* command;outermost;...;innermost */
};

/* path: of the zone's cgroup in the cpu controller's hierarchy. -EACCES takes root or CAP_PERFMON,
 * -ENOENT no such cgroup, -Exxx; with a sentence. Fills *ret, which profile_done() frees. */
must_check int profile_zone(const char *path, uint64_t for_ns, struct profile *ret,
			    struct error *reterr);
void profile_done(struct profile *p);
