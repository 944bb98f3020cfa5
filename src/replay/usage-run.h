/* SPDX-License-Identifier: MIT */
/*
 * A trace through CPI2: who was hurt when, and by whom. Where the trace says who was hurt in truth
 * (label, culprit), alarms and names are held against it.
 */
#pragma once
#include "detect/cpi2.h"
#include "replay/usage.h"

struct usage_suspect {
	const char *task;
	double correlation;
};

/* An episode that begins, or another name within it. Texts until the sink returns. */
struct usage_alarm {
	uint64_t time_ns;
	const char *task, *job, *machine, *culprit; /* culprit "": nobody */
	uint32_t cpi_ppm, mean_ppm, threshold_ppm;
	bool begins, analysed;
	double needed;
	const char
	    *lacking; /* "cache, memory bandwidth"; "": not known, or the trace does not tell */
	size_t nr_suspects;
	struct usage_suspect suspects[CPI2_SUSPECTS];
	int label; /* 1: hurt in truth, 0: not, -1: the trace does not say */
};

struct usage_sink {
	void (*alarm)(const struct usage_alarm *a, void *arg);
	/* Every row, and what its CPI is held against (0: not known); may be NULL. */
	void (*row)(const struct usage_row *row, uint32_t threshold_ppm, void *arg);
	void *arg;
};

struct usage_result {
	struct cpi2_tally cpi2;
	uint64_t rows, bad_rows, tasks, machines, jobs;
	uint64_t first_ns, last_ns;
	double task_days; /* judged */
	bool has_labels, has_culprits;
	uint64_t spans, spans_found;		/* of harm in truth */
	uint64_t true_episodes, false_episodes; /* without labels both are 0 */
	uint64_t names_right, names_wrong;	/* of names while the truth is known */
	struct error first_bad;
};

struct usage_run;
/* lenient: bad lines are counted, not an end. */
must_check int usage_run_new(const struct cpi2_config *c, const struct usage_sink *sink,
			     bool lenient, struct usage_run **ret);
/* Which task is of which job, from a file of its own; the reader is borrowed. Before any trace. */
must_check int usage_run_jobs(struct usage_run *u, struct usage_reader *r, struct error *reterr);
/* A part of the trace; parts follow one another in time. */
must_check int usage_run_file(struct usage_run *u, struct usage_reader *r, struct error *reterr);
/* No more: the last alarms are told. */
must_check int usage_run_end(struct usage_run *u, struct usage_result *ret);
/* The task with the most alarms, and whom they named or ranked first most lately; "" none. */
void usage_run_worst(const struct usage_run *u, const char **ret_task, const char **ret_suspect);
void usage_run_free(struct usage_run *u);
