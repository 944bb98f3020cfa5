/* SPDX-License-Identifier: MIT */
/* What the files that feed history share. */
#pragma once
#include "base/hash.h"
#include "gate/gate.h"
#include "gate/history.h"

/* Of protected zones, besides their metrics; gauges are of the window, as the ledger has them. */
#define LEDGER_GAUGES(X)                                                                           \
	X(WAIT_P50, "wait_p50_ns")                                                                 \
	X(WAIT_P99, "wait_p99_ns")                                                                 \
	X(WAIT_MAX, "wait_max_ns")                                                                 \
	X(FEED_P99, "feed_p99_ns")
#define X(id, name) GAUGE_##id,
enum ledger_gauge { LEDGER_GAUGES(X) GAUGE_NR };
#undef X

struct history {
	struct gate *gate;
	struct store *store; /* NULL: could not be opened */
	struct error why;    /* what is wrong; code 0: nothing */
	uint64_t retry_ns, refresh_ns;
	char boot[64];
	bool have_metrics;
	uint32_t zone_metric[ZM_NR], host_metric[HM_NR], cause_metric[CAUSE_NR];
	uint32_t gauge_metric[GAUGE_NR], wait_metric;
	uint64_t run, now_ns, window_ns, t_ms, tick; /* of the snapshot at hand */
	struct hash totals;			     /* -> struct total, history-tick.c */
	bool any_open;
};

/* history.c: said once, until it is another. */
void history_trouble(struct history *h, const struct error *e);

/* history-tick.c: all that the view says becomes samples of the tick to come. */
must_check int history_add_tick(struct history *h, struct error *reterr);
/* Totals are czd's: another one counts anew. */
void history_forget_totals(struct history *h);

/* history-notes.c: asks again for what is open, which goes on without any event. */
void history_refresh(struct history *h);
