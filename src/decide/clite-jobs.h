/* SPDX-License-Identifier: MIT */
/*
 * Of CLITE's variant `clite-jobs`: a Gaussian process for each job, over what the job itself has.
 * What others have acts on it through traffic and stress on the cache only: that is noise here.
 */
#pragma once
#include "decide/controller.h"
#include "decide/gauss.h"

#define NR_DIVIDED 3
#define CLITE_MET  0.5 /* scores above it: all targets are met */

extern const enum res clite_divided[NR_DIVIDED];
/* A division of them among the jobs. */
struct clite_point {
	uint16_t units[CTL_APPS_MAX][NR_DIVIDED];
};

struct clite_jobs {
	struct gauss of[CTL_APPS_MAX]; /* y: log(latency / target), or -log(progress) */
};
void clite_jobs_init(struct clite_jobs *j, const struct ctl_view *v);
/* What was measured with this division. */
void clite_jobs_learn(struct clite_jobs *j, const struct ctl_view *v, const struct clite_point *p);
/* Before the two below. 0 or -EDOM. */
must_check int clite_jobs_fit(struct clite_jobs *j, const struct ctl_view *v);
/* The improvement over the best score that is expected if all targets are met, times the
 * probability that they are; that probability alone as long as no sample met them. */
double clite_jobs_worth(const struct clite_jobs *j, const struct ctl_view *v,
			const struct clite_point *p, double best_score);
/* Are all targets expected to be met with the division of that sample? */
bool clite_jobs_likely(const struct clite_jobs *j, const struct ctl_view *v, size_t sample);
