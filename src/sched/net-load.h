/* SPDX-License-Identifier: MIT */
/* When scx-net restrains be: a decision on counts of epoll_wait. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "sched/bus.h"

struct net_rule {
	uint64_t events_per_s; /* restrain from here on */
	uint64_t batch_milli;  /* or, at a fiftieth, from so many thousandths of an event a
				* return; 0: never */
	uint32_t leave_ppm;    /* let go below this part of the thresholds */
	uint64_t dwell_ns;     /* at least so long between two changes */
};

struct net_load { /* zero: nothing seen yet */
	bool restrain;
	uint64_t changed_ns, at_ns;
	struct bus_epoll last;
	uint64_t events_per_s, batch_milli; /* smoothed over about two samples */
	uint64_t changes_total;
};

/* One sample, of counts since boot. Returns whether be is to be restrained. */
bool net_load_step(struct net_load *load, const struct net_rule *rule, uint64_t now_ns,
		   const struct bus_epoll *counts);
