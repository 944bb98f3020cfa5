/* SPDX-License-Identifier: MIT */
/*
 * A run of a controller on the model: loads, noise, queues that fill and drain, knobs that take
 * their time. The controller is the one that would run on a host; it sees what it would see there.
 * Seeded: the same question has the same answer.
 */
#pragma once
#include "sim/machine.h"

#define SIM_TICK_NS UINT64_C(100000000)

struct sim_mix {
	size_t nr;
	const struct sim_app *apps[CTL_APPS_MAX];
	double load[CTL_APPS_MAX]; /* of max_rps */
};
/* From then on an app has another load. */
struct sim_change {
	uint64_t at_ns;
	size_t app;
	double load;
};
struct sim_trace {
	const struct sim_change *changes; /* in order of time */
	size_t nr;
};

struct sim_question {
	const struct controller *controller; /* NULL: unmanaged */
	struct sim_mix mix;
	struct sim_trace trace;
	uint64_t settle_ns;  /* so long it may take until all targets are met */
	uint64_t measure_ns; /* so long it is measured after that */
	uint64_t seed;
	/* Called on each change of the allocation, if not NULL. */
	void (*changed)(void *arg, uint64_t now_ns, const struct ctl_plan *plan, size_t nr);
	void *arg;
};

struct sim_answer {
	bool met; /* all targets, over the time that was measured */
	uint64_t
	    settled_ns; /* when all targets were met and stayed so for 2 s; UINT64_MAX: never */
	double late[CTL_APPS_MAX]; /* share of requests beyond the target while measured */
	double
	    violated[CTL_APPS_MAX];  /* share of half seconds whose 99th percentile was beyond it */
	double p99_ns[CTL_APPS_MAX]; /* mean of those of half seconds */
	double progress[CTL_APPS_MAX]; /* of best-effort apps */
	double emu;		       /* loads served within their targets and progress, summed */
	double changes_per_s;	       /* of the allocation, while measured */
	double reversals_per_s;	       /* of them those that take back the one before */
	struct ctl_alloc alloc[CTL_APPS_MAX]; /* at the end */
	/* With that for ever, without noise: all targets met, and best-effort progress. */
	bool final_met;
	double final_progress;
	unsigned int samples; /* that the controller's search took; 0: it does none, or goes on */
	int migrate;	      /* whom it wants to move, or -1 */
};

/* 0 or -ENOMEM. */
must_check int sim_run(const struct sim_machine *m, const struct sim_question *q,
		       struct sim_answer *ret);
