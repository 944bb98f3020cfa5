/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "decide/clite-jobs.h"

#define ZETA	 0.001
#define COST_MAX 1.5  /* a target missed by 4.5 times is missed: by more says no more */
#define LC_NOISE 0.01 /* variance of a log of latency: a tenth */
#define BE_NOISE 1e-4

void clite_jobs_init(struct clite_jobs *j, const struct ctl_view *v)
{
	for (size_t i = 0; i < v->nr; i++)
		j->of[i] = (struct gauss){.dims = NR_DIVIDED,
					  .noise = v->apps[i].be ? BE_NOISE : LC_NOISE};
}

/* What the job's own units are to it: the first of them count most. */
static void as_own_vector(const struct ctl_view *v, const struct clite_point *p, size_t job,
			  double *x)
{
	for (size_t k = 0; k < NR_DIVIDED; k++) {
		uint16_t total = v->host.total[clite_divided[k]];

		x[k] = total > 1 ? log(fmax(1, p->units[job][k])) / log(total) : 0;
	}
}

/* How far from all that is wanted: below 0 a target is met. How much it is missed tells less than
 * that it is. */
static double cost(const struct ctl_app *a)
{
	if (a->be)
		return -log(fmax(1e-4, a->progress_ppm / 1e6));
	return a->latency_ns && a->target_ns
		   ? fmin(COST_MAX, log((double)a->latency_ns / (double)a->target_ns))
		   : 0;
}

void clite_jobs_learn(struct clite_jobs *j, const struct ctl_view *v, const struct clite_point *p)
{
	for (size_t i = 0; i < v->nr; i++) {
		struct gauss *g = &j->of[i];

		as_own_vector(v, p, i, g->x[g->nr]);
		g->y[g->nr++] = cost(&v->apps[i]);
	}
}

int clite_jobs_fit(struct clite_jobs *j, const struct ctl_view *v)
{
	int err = 0;

	for (size_t i = 0; !err && i < v->nr; i++)
		err = gauss_fit_lengths(&j->of[i], NR_DIVIDED);
	return err;
}

static double least_cost(const struct clite_jobs *j, size_t job)
{
	double least = INFINITY;

	for (size_t k = 0; k < j->of[job].nr; k++)
		least = fmin(least, j->of[job].y[k]);
	return least;
}

/* Best-effort jobs, or all if there are none: they make the score once all targets are met. */
static bool counts(const struct ctl_view *v, size_t job)
{
	for (size_t i = 0; i < v->nr; i++)
		if (v->apps[i].be)
			return v->apps[job].be;
	return true;
}

double clite_jobs_worth(const struct clite_jobs *j, const struct ctl_view *v,
			const struct clite_point *p, double best_score)
{
	double met = 1, gain = 0, square = 0, nr = 0, done, deviation;

	for (size_t i = 0; i < v->nr; i++) {
		double x[NR_DIVIDED], mean, sigma;

		as_own_vector(v, p, i, x);
		gauss_at(&j->of[i], x, &mean, &sigma);
		if (!v->apps[i].be)
			met *= 0.5 * erfc(mean / fmax(1e-6, sigma) / M_SQRT2);
		if (!counts(v, i))
			continue;
		gain += least_cost(j, i) - mean;
		square += sigma * sigma;
		nr++;
	}
	if (best_score <= CLITE_MET)
		return met;
	done = CLITE_MET + 0.5 * exp(gain / nr);
	deviation = fmax(1e-6, 0.5 * exp(gain / nr) * sqrt(square) / nr);
	return met * gauss_expected(done, deviation, best_score, ZETA);
}

bool clite_jobs_likely(const struct clite_jobs *j, const struct ctl_view *v, size_t sample)
{
	for (size_t i = 0; i < v->nr; i++) {
		double mean, sigma;

		gauss_at(&j->of[i], j->of[i].x[sample], &mean, &sigma);
		if (!v->apps[i].be && mean > 0)
			return false;
	}
	return true;
}
