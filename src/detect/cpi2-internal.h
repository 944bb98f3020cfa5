/* SPDX-License-Identifier: MIT */
/* What the parts of CPI2 share. */
#pragma once
#include "detect/cpi2.h"

#define MILLION 1000000.0

/* One period of one task. cpi_ppm 0: not known, or it used too little CPU to say anything. */
struct cpi2_slot {
	uint32_t number, cpi_ppm, cpu_ppm;
};
struct cpi2_sums {
	double n, sum, squares; /* of CPI */
};
struct cpi2_spec {
	struct cpi2_sums past; /* weighted by age */
	uint32_t mean_ppm, stddev_ppm;
	uint32_t threshold_ppm; /* 0: not enough is known */
};
/* A cache line: all that a sample needs besides its slot and its sums. */
struct cpi2_task {
	uint32_t spec, machine, next; /* next: on the same machine */
	uint32_t newest;	      /* number of the slot of its newest sample */
	uint8_t class, nr_outliers;
	bool added, anomalous, verifying;
	uint64_t outlier_ns[CPI2_OUTLIERS_MAX]; /* the newest at nr_outliers - 1 */
};
struct cpi2_machine {
	uint32_t first; /* task */
	uint64_t free_ns;
};
/* An alarm whose period is not over: others' samples of it may still come. */
struct cpi2_wait {
	uint64_t time_ns;
	uint32_t task, cpi_ppm, mean_ppm, threshold_ppm;
	bool begins;
};
struct cpi2_trial {
	uint32_t victim, culprit;
	uint32_t nr;	   /* of the victim's samples since */
	uint64_t sum_ppm;  /* of their CPI */
	uint64_t until_ns; /* not 0: refuted, not to be named again until then */
};

struct cpi2 {
	struct cpi2_config cfg;
	cpi2_alarm_fn fn;
	void *arg;
	uint32_t nr_bins, nr_slots; /* 1 unless specs are by CPU use; of a task's ring */
	bool started;
	uint32_t slot, at; /* the period at hand, counted from 1, and where it is in the rings */
	uint64_t slot_ns, slot_end_ns, spec_at_ns;
	struct cpi2_task *tasks;
	struct cpi2_slot *slots; /* nr_slots a task */
	struct cpi2_sums *sums;	 /* nr_bins a task: since the last spec; own: of all time */
	struct cpi2_spec *specs; /* nr_bins a spec */
	struct cpi2_machine *machines;
	size_t tasks_cap, specs_cap, machines_cap;
	struct cpi2_wait *waits;
	size_t nr_waits, waits_cap;
	struct cpi2_trial *trials;
	size_t nr_trials, trials_cap;
	struct cpi2_tally tally;
};

/* cap becomes at least `need`; what is new is zero. */
must_check int cpi2_grow(void **array, size_t *cap, size_t need, size_t size);
/* Ranks the suspects of an alarm, and tells it. */
void cpi2_analyse(struct cpi2 *e, const struct cpi2_wait *w);
/* A judged sample of a task under trial. */
void cpi2_trial_sample(struct cpi2 *e, uint32_t task, uint32_t cpi_ppm, uint32_t threshold_ppm,
		       uint64_t time_ns);
/* It is another task from now on. */
void cpi2_trials_forget(struct cpi2 *e, uint32_t task);
bool cpi2_is_refuted(const struct cpi2 *e, uint32_t victim, uint32_t culprit, uint64_t now_ns);
