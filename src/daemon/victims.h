/* SPDX-License-Identifier: MIT */
/* The protected zones: turns the ledger's totals since attach into what happened in a window. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/hist.h"
#include "model/snapshot.h"
#include "probes/ledger.h"

#define LEDGER_PARTS_MAX 1024

struct victim {
	uint64_t zone_id;
	bool in_ledger; /* the ledger has it; else run delay is all there is */
	bool primed;	/* one reading taken: windows can be formed */
	uint64_t fast_threshold_ns;
	uint64_t armed_ns; /* the threshold in force; 0: no fast events */
	/* totals at the last reading; cells sorted by culprit_id */
	struct ledger_totals totals;
	struct ledger_cell *cells;
	size_t nr_cells;
	uint64_t counts[LEDGER_BUCKETS];
	/* application latencies fed in this window; NULL until the first */
	struct hist *feed;
	/* the window just read */
	struct ledger_view view;
	struct ledger_part *parts;
};

struct victims {
	struct victim *items[LEDGER_VICTIMS_MAX];
	size_t nr;
	struct ledger_cell *scratch; /* LEDGER_PARTS_MAX */
};

must_check int victims_init(struct victims *v);
void victims_done(struct victims *v);
struct victim *victims_get(const struct victims *v, uint64_t zone_id);
/* -ENOSPC: LEDGER_VICTIMS_MAX are protected already. Idempotent. */
must_check int victims_add(struct victims *v, struct ledger *l, uint64_t zone_id,
			   uint64_t fast_threshold_ns);
/* Fast events are for acting: whoever is only observed costs none. */
void victim_arm(struct victim *vi, struct ledger *l, bool on);
void victims_remove(struct victims *v, struct ledger *l, uint64_t zone_id);
/* After the ledger was opened or closed (l NULL): hand it all victims, forget old totals. */
void victims_rebind(struct victims *v, struct ledger *l);
/*
 * Fill vi->view for the window since the last call; window_ns 0: not known (the first call).
 * run_delay_ns: the zone's growth of run delay, or UINT64_MAX when unknown (used only without a
 * ledger). zone/part.zone indices are the caller's to set.
 */
void victim_read(struct victims *v, struct victim *vi, struct ledger *l, uint64_t window_ns,
		 uint64_t run_delay_ns);
/*
 * What work that arrives at a random instant still has to wait, 99th percentile: the x for which
 * the waits' time beyond x is 1 % of the window (arrivals see time averages: Wolff, "Poisson
 * Arrivals See Time Averages", 1982). A few long waits among thousands of short ones hardly move
 * the percentile over waits, and yet every request of those moments is late. counts: waits per
 * bucket.
 */
uint64_t wait_p99_at_any_time(const uint64_t counts[LEDGER_BUCKETS], uint64_t window_ns);
must_check int victim_feed(struct victim *vi, uint64_t latency_ns, uint64_t count);
