/* SPDX-License-Identifier: MIT */
/* A finding: which protected zone is hurt, by what, since when, and the evidence for it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/cause.h"
#include "model/resource.h"
#include "model/snapshot.h"

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL };

#define FINDING_CULPRITS_MAX 8
struct culprit {
	uint64_t zone_id; /* the zone to name (leaf, or the ancestor that sums several leaves) */
	char name[ZONE_NAME_MAX];
	enum zone_class class;
	uint32_t
	    share_ppm; /* of the victim's waiting attributed to neighbours and causes together */
	int32_t pid, cpu;
	char comm[COMM_MAX];
};

struct finding {
	uint64_t seq; /* 0 until the daemon numbers it; stable over updates */
	uint64_t victim_id;
	char victim_name[ZONE_NAME_MAX];
	enum resource resource;
	enum cause cause;
	enum severity severity;
	uint64_t since_ns, last_ns; /* first and latest instant of harm */
	bool open;
	/* shares of the waiting by cause: sum 1,000,000 over all causes when wait > 0 */
	uint32_t cause_ppm[CAUSE_NR];
	size_t nr_culprits; /* largest first; empty unless cause is neighbour */
	struct culprit culprits[FINDING_CULPRITS_MAX];
	/* evidence, over the window that raised or last confirmed it */
	uint64_t window_ns, wait_ns;
	uint32_t wait_share_ppm; /* wait_ns / window_ns, may exceed 1e6 with many waiters */
	uint64_t wait_p99_ns, goal_wait_p99_ns; /* goal 0: none, baseline used */
	uint32_t baseline_share_ppm;
	uint32_t
	    usual_stall_ppm; /* memory, io: stalled so much of the time when nothing is wrong */
	uint64_t feed_p99_ns, goal_latency_p99_ns;
	char why[256];	/* one sentence: what exceeded what */
	char told[256]; /* memory, io: the evidence against the culprits, or for the cause; "" none
			 */
};

#define FINDINGS_MAX 256
struct finding_set {
	size_t nr;
	struct finding
	    items[FINDINGS_MAX]; /* open ones, and those that closed in this run (open=false) */
};

const char *severity_name(enum severity s);
