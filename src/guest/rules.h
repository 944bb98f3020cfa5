/* SPDX-License-Identifier: MIT */
/*
 * Which policy the load asks for (spec.sched.rules, on_harm). Pure: the state goes in and out, time
 * is an argument. A change needs RULES_CONFIRM_NS of readings that agree and go past the threshold
 * by a tenth of it; after more than RULES_CHANGES_MAX changes in RULES_WINDOW_NS there is none for
 * RULES_REST_NS.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/zone-spec.h"

#define RULES_READ_NS	  250000000ULL /* how often load is to be read */
#define RULES_CONFIRM_NS  500000000ULL
#define RULES_CHANGES_MAX 3
#define RULES_WINDOW_NS	  10000000000ULL
#define RULES_REST_NS	  10000000000ULL
#define HARM_PPM	  50000		 /* of wall time, be_ran_while_lc_waited_ppm */
#define HARM_FOR_NS	  2000000000ULL	 /* this long, before it is answered */
#define QUIET_FOR_NS	  30000000000ULL /* and this long without, before the answer is taken back */

#define RULE_NONE (-1) /* no rule holds: the policy of the spec */

struct rules_state {
	bool begun;
	int now;				/* the rule in force */
	int wanted;				/* what the last readings asked for */
	uint64_t since_ns;			/* ... since when */
	uint64_t changes_ns[RULES_CHANGES_MAX]; /* the latest first; 0: none */
	uint64_t rest_until_ns;
};

/* The rule for this load: the first with load below its threshold (0: any). */
int rules_match(const struct sched_rule *rules, size_t nr, uint32_t load_ppm);
/* Takes one reading; true when s->now has changed. The first reading decides at once. */
bool rules_step(struct rules_state *s, const struct sched_rule *rules, size_t nr, uint32_t load_ppm,
		uint64_t now_ns);

struct harm_state { /* on_harm */
	bool answered;
	uint64_t since_ns; /* since when it has been unlike that; 0: it is not */
};
/* Takes one reading, of the time since the one before; true when s->answered has changed. */
bool harm_step(struct harm_state *s, uint64_t harm_ppm, uint64_t now_ns);
