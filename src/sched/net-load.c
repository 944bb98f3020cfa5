/* SPDX-License-Identifier: MIT */
#include "sched/net-load.h"

/* Batches count from this part of the rate on. So little, because a server that be keeps from its
 * CPU is always behind, and hardly ever comes to its epoll_wait. */
#define BATCH_FLOOR 50

static uint64_t part(uint64_t value, uint32_t ppm)
{
	return value / 1000000 * ppm + value % 1000000 * ppm / 1000000;
}

/* Long batches alone are no load: a client that sends a burst now and then makes them, too. */
static bool reaches(const struct net_load *load, const struct net_rule *rule, uint32_t ppm)
{
	return load->events_per_s >= part(rule->events_per_s, ppm) ||
	       (rule->batch_milli && load->batch_milli >= part(rule->batch_milli, ppm) &&
		load->events_per_s >= part(rule->events_per_s, ppm) / BATCH_FLOOR);
}

/* Half of the new, half of the old: a step is seen to 15/16 after four samples. */
static void smooth(struct net_load *load, uint64_t now_ns, const struct bus_epoll *counts)
{
	uint64_t events = counts->events_total - load->last.events_total;
	uint64_t returns = counts->returns_total - load->last.returns_total;
	uint64_t ms = (now_ns - load->at_ns) / 1000000;

	load->events_per_s = (load->events_per_s + events * 1000 / (ms ? ms : 1)) / 2;
	load->batch_milli = (load->batch_milli + (returns ? events * 1000 / returns : 0)) / 2;
}

bool net_load_step(struct net_load *load, const struct net_rule *rule, uint64_t now_ns,
		   const struct bus_epoll *counts)
{
	bool restrain;

	if (load->at_ns)
		smooth(load, now_ns, counts);
	load->at_ns = now_ns;
	load->last = *counts;
	restrain = reaches(load, rule, load->restrain ? rule->leave_ppm : 1000000);
	if (restrain != load->restrain &&
	    (!load->changed_ns || now_ns - load->changed_ns >= rule->dwell_ns)) {
		load->restrain = restrain;
		load->changed_ns = now_ns;
		load->changes_total++;
	}
	return load->restrain;
}
