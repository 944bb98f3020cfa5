/* SPDX-License-Identifier: MIT */
/* What czctl sim was asked, for its two answers: of one mix (verb-sim.c), and tables
 * (sim-tables.c). */
#pragma once
#include "cli/verb.h"
#include "sim/tables.h"

#define SIM_STEPS_MAX 32

struct sim_cli {
	struct cli *cli;
	const struct controller *only;
	const struct sim_app *third;
	uint64_t settle_ns, time_ns, seed;
	uint32_t forgiven_ppm;
	struct sim_mix mix;
	struct sim_change steps[SIM_STEPS_MAX];
	size_t nr_steps;
	bool log;
	json_t *changes; /* of the controller that runs now */
};

/* The paper's map beside memcached and xapian, of all that was asked for. 0 or -ENOMEM. */
must_check int sim_tables(struct sim_cli *s);
