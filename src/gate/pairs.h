/* SPDX-License-Identifier: MIT */
/*
 * Who hurts whom, as counters that never fall: czd's totals are of zones by id, and begin anew when
 * its ledger does; here they are added up by name, as a series of Prometheus needs.
 */
#pragma once
#include <stdint.h>
#include "gate/view.h"

#define PAIRS_MAX 4096
#define PAIRS_IDLE_NS                                                                              \
	600000000000ull /* one that did not grow for so long makes room for another                \
			 */

struct pair {
	char *victim, *culprit; /* NULL: this place is free */
	enum zone_class culprit_class;
	uint64_t ns_total;
	uint64_t grew_ns; /* CLOCK_MONOTONIC of the view in which it last did */
};
/* The latest total that czd told of a victim and a culprit. */
struct pair_seen {
	uint64_t victim, culprit, ns;
	uint64_t view_ns; /* of that view; 0: this place is free */
};
struct pairs {
	struct pair *items; /* PAIRS_MAX places; NULL before the first */
	struct pair_seen *seen;
	struct hash by_name, by_id;
	uint64_t run;		/* of czd */
	uint64_t dropped_total; /* pairs that found no room, each time that they grew */
	uint64_t left_out;	/* pairs that czd does not tell of now */
};

/* Once for each new view. -ENOMEM. */
must_check int pairs_take(struct pairs *p, const struct view *v);
void pairs_done(struct pairs *p);
#define pairs_for_each(p, x)                                                                       \
	for (struct pair *x = (p)->items; x && x < (p)->items + PAIRS_MAX; x++)                    \
		if (x->victim)
