/* SPDX-License-Identifier: MIT */
/*
 * A machine under latency-critical and best-effort apps, as a model: what 99th percentile does each
 * app have with this allocation? The curves are fitted to what PARTIES (ASPLOS'19) measured of six
 * apps: load and latency at the knee, memory, traffic, and what each stressor leaves of the maximal
 * load. docs/algorithms/simulator.md has the equations. Pure; units as in decide/controller.h.
 */
#pragma once
#include "decide/controller.h"

struct sim_app {
	const char *name;
	bool be;
	double target_ns, max_rps; /* at the knee of the load/latency curve, alone */
	double core_share;	   /* of all cores at maximal load, alone; the rest is waiting */
	double disk_share;	   /* of the disk */
	double mem_gib, dram_gb_per_s;
	/* what is left of the capacity: */
	double at_sibling;    /* with a neighbour on the other hyperthread */
	double at_low_freq;   /* at the lowest frequency */
	double at_one_way;    /* with one way of the cache */
	double at_llc_stress; /* with a neighbour that takes the cache's bandwidth */
	double at_dram_stress, at_no_mem;
};
extern const struct sim_app sim_apps[]; /* ends with a NULL name */
const struct sim_app *sim_app_find(const char *name);

/* Where an app is now. */
struct sim_place {
	const struct sim_app *app;
	double load; /* of max_rps; of best-effort work: 1 */
	struct ctl_alloc alloc;
	double ways; /* those that are warm */
};

struct sim_result {
	double capacity_rps; /* what it could serve; 0: paused */
	double base_ns;	     /* 99th percentile without waiting */
	double p99_ns;	     /* in the steady state; of an overloaded app, without its backlog */
	double dram_gb_per_s;
	double progress; /* of best-effort work, of what it does alone */
	double speed;	 /* of one core, of what it is alone */
};

struct sim_machine {
	struct ctl_host host;
	double dram_gb_per_s; /* peak */
};
extern const struct sim_machine sim_xeon; /* PARTIES' testbed: what one socket manages */

/* results[nr] of places[nr]; returns the total traffic in GB/s. */
double sim_evaluate(const struct sim_machine *m, const struct sim_place *places, size_t nr,
		    struct sim_result *results);
/* Would all targets be met? */
bool sim_all_met(const struct sim_place *places, size_t nr, const struct sim_result *results);
/* Everything in one partition, as without any controller. */
void sim_unmanaged(const struct sim_machine *m, struct sim_place *places, size_t nr);
