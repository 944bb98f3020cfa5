/* SPDX-License-Identifier: MIT */
/*
 * CLITE (Patel, Tiwari, HPCA'20): Bayesian optimisation of one score over all divisions of cores,
 * ways and memory bandwidth; 2 s a sample, less than 30 of them. Then it keeps the best, until a
 * load changes. docs/algorithms/clite.md.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "decide/controller.h"
#include "decide/gauss.h"

#define SAMPLES_MAX    29
#define ZETA	       0.01
#define STOP	       0.01 /* expected improvement; for two jobs, more for more */
#define STARTS	       4
#define CLIMB_MAX      24
#define MET	       0.5    /* scores above it: all targets are met */
#define LOAD_CHANGED   100000 /* ppm of the load alone */
#define NR_DIVIDED     3
#define LEAST_SEARCHED 4 /* samples after the bootstrap, before it may stop */

static const enum res divided[NR_DIVIDED] = {RES_CORE, RES_WAY, RES_BW};

struct point {
	uint16_t units[CTL_APPS_MAX][NR_DIVIDED];
};

struct sample {
	struct point point;
	double performance[CTL_APPS_MAX], met[CTL_APPS_MAX]; /* met: target / latency, 1 at most */
};

struct clite {
	struct sample samples[SAMPLES_MAX];
	uint64_t random;
	bool sampling;		/* now[] is being measured */
	bool settled, draining; /* the first second of a sample: queues of the one before drain */
	struct point now, best;
	double best_score;
	size_t best_job; /* which does best there: it keeps what it has in the next search */
	double
	    alone[CTL_APPS_MAX]; /* best performance of each job, seen with the most it can have */
	uint32_t load_ppm[CTL_APPS_MAX];
	size_t nr;
	struct gauss gauss;
};

static void *clite_create(const void *options, uint64_t seed)
{
	struct clite *s = calloc(1, sizeof(*s));

	if (s)
		s->random = seed;
	return s;
}

static void divide_equally(const struct ctl_view *v, struct point *p)
{
	for (size_t k = 0; k < NR_DIVIDED; k++)
		for (size_t i = 0; i < v->nr; i++) {
			size_t total = v->host.total[divided[k]];

			p->units[i][k] = (uint16_t)(total / v->nr + (i < total % v->nr));
		}
}

static void most_for(const struct ctl_view *v, size_t job, struct point *p)
{
	for (size_t k = 0; k < NR_DIVIDED; k++) {
		uint16_t total = v->host.total[divided[k]];

		for (size_t i = 0; i < v->nr; i++)
			p->units[i][k] = i != job
					     ? total > 0
					     : (uint16_t)(total > v->nr ? total - v->nr + 1 : 1);
	}
}

static void divide_at_random(struct clite *s, const struct ctl_view *v, struct point *p)
{
	for (size_t k = 0; k < NR_DIVIDED; k++) {
		uint16_t total = v->host.total[divided[k]];

		for (size_t i = 0; i < v->nr; i++)
			p->units[i][k] = total > 0;
		for (size_t left = total > v->nr ? total - v->nr : 0; left > 0; left--)
			p->units[random_next(&s->random) % v->nr][k]++;
	}
}

static void as_vector(const struct ctl_view *v, const struct point *p, double *x)
{
	size_t d = 0;

	for (size_t i = 0; i < v->nr; i++)
		for (size_t k = 0; k < NR_DIVIDED; k++) {
			uint16_t total = v->host.total[divided[k]];

			x[d++] = total ? (double)p->units[i][k] / total : 0;
		}
}

/* Larger is better: work done, or the inverse of latency. */
static double performance(const struct ctl_app *a)
{
	if (a->be)
		return a->progress_ppm / 1e6;
	return a->latency_ns ? 1e9 / (double)a->latency_ns : 0;
}

/* The paper's: below 0.5 while a target is missed, above it by what the best-effort jobs get done
 * (the others, if there are none). */
static double score(const struct clite *s, const struct ctl_view *v, const struct sample *m,
		    size_t *ret_best_job)
{
	double met = 1, done = 1, best = -1;
	size_t nr_lc = 0, nr_be = 0;

	for (size_t i = 0; i < v->nr; i++) {
		nr_be += v->apps[i].be;
		nr_lc += !v->apps[i].be;
		met *= m->met[i];
	}
	for (size_t i = 0; i < v->nr; i++) {
		double ratio = s->alone[i] > 0 ? m->performance[i] / s->alone[i] : 0;

		if (ratio > best) {
			best = ratio;
			*ret_best_job = i;
		}
		if (!nr_be || v->apps[i].be)
			done *= ratio;
	}
	return met >= 1 ? MET + 0.5 * pow(done, 1.0 / (double)(nr_be ? nr_be : nr_lc))
			: 0.5 * pow(met, 1.0 / (double)nr_lc);
}

/* The sample that has just been measured. What a job can do at best comes out in the bootstrap, so
 * all scores are made anew. */
static void learn(struct clite *s, const struct ctl_view *v)
{
	struct gauss *g = &s->gauss;
	struct sample *m = &s->samples[g->nr];

	m->point = s->now;
	for (size_t i = 0; i < v->nr; i++) {
		const struct ctl_app *a = &v->apps[i];

		m->performance[i] = performance(a);
		m->met[i] = a->be || !a->latency_ns
				? 1
				: fmin(1, (double)a->target_ns / (double)a->latency_ns);
		s->alone[i] = fmax(s->alone[i], m->performance[i]);
	}
	as_vector(v, &s->now, g->x[g->nr++]);
	s->best_score = -1;
	for (size_t k = 0; k < g->nr; k++) {
		size_t job = 0;

		g->y[k] = score(s, v, &s->samples[k], &job);
		if (g->y[k] <= s->best_score)
			continue;
		s->best_score = g->y[k];
		s->best = s->samples[k].point;
		s->best_job = job;
	}
}

static double worth(const struct clite *s, const struct ctl_view *v, const struct point *p)
{
	double x[GAUSS_DIMS_MAX];

	as_vector(v, p, x);
	return gauss_improvement(&s->gauss, x, s->best_score, ZETA);
}

/* The move of one unit between two jobs that is worth most; `frozen`: a job left out, or -1. */
static bool climb(const struct clite *s, const struct ctl_view *v, struct point *p, double *value,
		  int frozen)
{
	struct point best = *p;
	bool better = false;

	for (size_t k = 0; k < NR_DIVIDED; k++)
		for (size_t from = 0; from < v->nr; from++)
			for (size_t to = 0; to < v->nr; to++) {
				struct point q = *p;
				double w;

				if (from == to || q.units[from][k] <= 1 || (int)from == frozen ||
				    (int)to == frozen)
					continue;
				q.units[from][k]--;
				q.units[to][k]++;
				w = worth(s, v, &q);
				if (w <= *value)
					continue;
				*value = w;
				best = q;
				better = true;
			}
	*p = best;
	return better;
}

static int set_lengths(struct clite *s, const double *by_resource)
{
	for (size_t d = 0; d < s->gauss.dims; d++)
		s->gauss.length[d] = by_resource[d % NR_DIVIDED];
	return gauss_fit(&s->gauss);
}

/* How far a unit of each resource reaches: what explains the samples best. */
static int fit(struct clite *s)
{
	static const double lengths[] = {0.08, 0.2, 0.6, 3};
	const int n = sizeof(lengths) / sizeof(lengths[0]);
	double chosen[NR_DIVIDED] = {0}, most = -INFINITY;

	for (int i = 0; i < n * n * n; i++) {
		double try[NR_DIVIDED] = {lengths[i % n], lengths[i / n % n], lengths[i / n / n]};
		double likely;

		if (set_lengths(s, try) < 0)
			continue;
		likely = gauss_likelihood(&s->gauss);
		if (likely > most) {
			most = likely;
			memcpy(chosen, try, sizeof(chosen));
		}
	}
	return isfinite(most) ? set_lengths(s, chosen) : -EDOM;
}

/* Where improvement is expected most; returns how much. */
static double search(struct clite *s, const struct ctl_view *v)
{
	double most = -1;

	for (int start = 0; start < STARTS; start++) {
		int frozen = start == 0 && v->nr > 2 ? (int)s->best_job : -1;
		struct point p = s->best;
		double value;

		if (start > 1)
			divide_at_random(s, v, &p);
		value = worth(s, v, &p);
		for (int i = 0; i < CLIMB_MAX && climb(s, v, &p, &value, frozen); i++)
			;
		if (value > most) {
			most = value;
			s->now = p;
		}
	}
	return most;
}

static void restart(struct clite *s, const struct ctl_view *v)
{
	*s = (struct clite){
	    .random = s->random, .nr = v->nr, .sampling = true, .draining = true, .best_score = -1};
	s->gauss.dims = v->nr * NR_DIVIDED;
	s->gauss.noise = 4e-4;
	for (size_t i = 0; i < v->nr; i++)
		s->load_ppm[i] = v->apps[i].load_ppm;
	divide_equally(v, &s->now);
}

static bool changed(const struct clite *s, const struct ctl_view *v)
{
	if (s->nr != v->nr)
		return true;
	for (size_t i = 0; i < v->nr; i++)
		if (llabs((long long)s->load_ppm[i] - v->apps[i].load_ppm) > LOAD_CHANGED)
			return true;
	return false;
}

static void settle(struct clite *s, struct ctl_plan *plan)
{
	s->settled = true;
	s->sampling = false;
	s->now = s->best;
	snprintf(plan->why, sizeof(plan->why), "the best of %zu samples, score %.3f, is kept",
		 s->gauss.nr, s->best_score);
}

/* The next sample, or the end of the search. */
static void go_on(struct clite *s, const struct ctl_view *v, struct ctl_plan *plan)
{
	size_t taken = s->gauss.nr;
	double expected;

	if (taken <= v->nr) {
		most_for(v, taken - 1, &s->now);
		snprintf(plan->why, sizeof(plan->why), "sample %zu: all that app %zu can have",
			 taken + 1, taken - 1);
		return;
	}
	if (taken >= SAMPLES_MAX || fit(s) < 0) {
		settle(s, plan);
		return;
	}
	expected = search(s, v);
	if (s->best_score > MET && taken >= v->nr + 1 + LEAST_SEARCHED &&
	    expected < STOP * (double)v->nr / 2)
		settle(s, plan);
	else
		snprintf(plan->why, sizeof(plan->why),
			 "sample %zu: %.3f better than %.3f is expected here", taken + 1, expected,
			 s->best_score);
}

/* Who misses its target with the most that it can have, meets it nowhere on this host. */
static void reject(const struct clite *s, const struct ctl_view *v, struct ctl_plan *plan)
{
	size_t taken = s->gauss.nr;

	if (taken >= 2 && taken <= v->nr + 1 && !v->apps[taken - 2].be &&
	    ctl_slack(&v->apps[taken - 2]) < 0)
		plan->migrate = (int)taken - 2;
}

static void clite_step(void *state, const struct ctl_view *v, uint64_t now_ns,
		       struct ctl_plan *plan)
{
	struct clite *s = state;

	if (!v->nr || v->nr * NR_DIVIDED > GAUSS_DIMS_MAX)
		return;
	if (changed(s, v)) {
		ctl_equal_share(v, plan);
		restart(s, v);
		snprintf(plan->why, sizeof(plan->why), "sample 1: an equal share of everything");
	} else if (s->draining) {
		s->draining = false;
		return;
	} else if (s->sampling) {
		s->draining = true;
		learn(s, v);
		reject(s, v, plan);
		go_on(s, v, plan);
	}
	plan->samples = s->settled ? (unsigned int)s->gauss.nr : 0;
	for (size_t i = 0; i < v->nr; i++)
		for (size_t k = 0; k < NR_DIVIDED; k++)
			plan->alloc[i].units[divided[k]] = s->now.units[i][k];
}

const struct controller controller_clite = {
    .name = "clite",
    .summary = "Bayesian optimisation over all divisions",
    .period_ns = 1000000000,
    .create = clite_create,
    .step = clite_step,
    .destroy = free,
};
