/* SPDX-License-Identifier: MIT */
/*
 * The tables of PARTIES (ASPLOS'19), made on the model: with memcached and xapian at 10 to 90 % of
 * their maximal load each, how much of it can a third app have so that all targets are met? And
 * what the paper has there.
 */
#pragma once
#include "sim/sim.h"

#define TABLE_SIDE 9
/* third[memcached][xapian] in tens of percent: 0 none. [0] is 10 %. */
struct sim_table {
	uint8_t third[TABLE_SIDE][TABLE_SIDE];
};

enum sim_how { HOW_UNMANAGED, HOW_ORACLE, HOW_CONTROLLER };
struct table_question {
	enum sim_how how;
	const struct controller *controller;
	const struct sim_app *third;
	uint64_t settle_ns, measure_ns, seed;
	unsigned int repeats; /* runs with seeds of their own; most have to succeed */
	/* Of each app, the share of half seconds beyond its target that is forgiven in measure_ns,
	 * after all targets were met in settle_ns. 1: an allocation found is enough, as in the
	 * paper. */
	double forgiven;
	/* After each cell: how many of TABLE_SIDE^2 are done. May be NULL. */
	void (*progress)(void *arg, unsigned int done);
	void *arg;
};

/* What came of the runs with a mix that has an answer by search. */
struct table_result {
	struct sim_table table;
	unsigned int runs, settled;	     /* of them: all targets met in time */
	double settle_mean_s, settle_most_s; /* of those */
	/* after settling, means over those: half seconds in which an app was late, and changes */
	double violated, changes_per_s, reversals_per_s;
};
must_check int table_make(const struct sim_machine *m, const struct table_question *q,
			  struct table_result *ret);
/* What the paper printed; NULL when it has no such table. Name: "unmanaged", "oracle" or a
 * controller's. */
const struct sim_table *table_published(const char *third, const char *name);

struct table_comparison {
	unsigned int cells; /* that have a value in both */
	double mean, other; /* sum of the three loads there, in percent */
};
struct table_comparison table_compare(const struct sim_table *t, const struct sim_table *other);
/* Mean sum of loads over all cells of `all` that have a value; 0 for a cell that `t` has not. */
double table_emu(const struct sim_table *t, const struct sim_table *all);
