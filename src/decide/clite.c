/* SPDX-License-Identifier: MIT */
/*
 * CLITE (Patel, Tiwari, HPCA'20): Bayesian optimisation of one score over all divisions of cores,
 * ways and memory bandwidth; 2 s a sample, less than 30 of them. Then it keeps the best, until a
 * load changes. docs/algorithms/clite.md.
 *
 * `clite` is the paper's. `clite-jobs` has a process for each job over that job's own units, and
 * expects improvement where all targets are likely met: the score is a cliff, which one smooth
 * process over all units does not predict.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "decide/clite-jobs.h"

#define SAMPLES_MAX    29
#define ZETA	       0.01
#define STOP_BY_JOB    0.002 /* what is expected is sharper there */
#define STOP	       0.01  /* expected improvement; for two jobs, more for more */
#define STARTS	       4
#define FALLS	       0.9 /* a queue that drains: late by so much less each second */
#define DRAIN_MAX_S    6   /* then a sample counts all the same */
#define CLIMB_MAX      24
#define LOAD_CHANGED   100000 /* ppm of the load alone */
#define LEAST_SEARCHED 4      /* samples after the bootstrap, before it may stop */

const enum res clite_divided[NR_DIVIDED] = {RES_CORE, RES_WAY, RES_BW};

struct sample {
	struct clite_point point;
	double performance[CTL_APPS_MAX], met[CTL_APPS_MAX]; /* met: target / latency, 1 at most */
};

struct variant {
	bool by_job; /* a process for each job instead of one for the score */
};

struct clite {
	const struct variant *variant;
	struct sample samples[SAMPLES_MAX];
	uint64_t random;
	bool sampling; /* now[] is being measured */
	bool settled;
	unsigned int seconds;	   /* of this sample so far */
	double late[CTL_APPS_MAX]; /* in the last of them */
	struct clite_point now, best;
	double best_score;
	size_t best_job; /* which does best there: it keeps what it has in the next search */
	double
	    alone[CTL_APPS_MAX]; /* best performance of each job, seen with the most it can have */
	uint32_t load_ppm[CTL_APPS_MAX];
	size_t nr;
	struct gauss gauss;
	struct clite_jobs jobs; /* by_job */
};

static void *clite_create(const void *options, uint64_t seed)
{
	struct clite *s = calloc(1, sizeof(*s));

	if (s) {
		s->variant = options;
		s->random = seed;
	}
	return s;
}

static void divide_equally(const struct ctl_view *v, struct clite_point *p)
{
	for (size_t k = 0; k < NR_DIVIDED; k++)
		for (size_t i = 0; i < v->nr; i++) {
			size_t total = v->host.total[clite_divided[k]];

			p->units[i][k] = (uint16_t)(total / v->nr + (i < total % v->nr));
		}
}

static void most_for(const struct ctl_view *v, size_t job, struct clite_point *p)
{
	for (size_t k = 0; k < NR_DIVIDED; k++) {
		uint16_t total = v->host.total[clite_divided[k]];

		for (size_t i = 0; i < v->nr; i++)
			p->units[i][k] = i != job
					     ? total > 0
					     : (uint16_t)(total > v->nr ? total - v->nr + 1 : 1);
	}
}

static void divide_at_random(struct clite *s, const struct ctl_view *v, struct clite_point *p)
{
	for (size_t k = 0; k < NR_DIVIDED; k++) {
		uint16_t total = v->host.total[clite_divided[k]];

		for (size_t i = 0; i < v->nr; i++)
			p->units[i][k] = total > 0;
		for (size_t left = total > v->nr ? total - v->nr : 0; left > 0; left--)
			p->units[random_next(&s->random) % v->nr][k]++;
	}
}

static void as_vector(const struct ctl_view *v, const struct clite_point *p, double *x)
{
	size_t d = 0;

	for (size_t i = 0; i < v->nr; i++)
		for (size_t k = 0; k < NR_DIVIDED; k++) {
			uint16_t total = v->host.total[clite_divided[k]];

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
	return met >= 1 ? CLITE_MET + 0.5 * pow(done, 1.0 / (double)(nr_be ? nr_be : nr_lc))
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
	if (s->variant->by_job)
		clite_jobs_learn(&s->jobs, v, &s->now);
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

static double worth(const struct clite *s, const struct ctl_view *v, const struct clite_point *p)
{
	double x[GAUSS_DIMS_MAX];

	if (s->variant->by_job)
		return clite_jobs_worth(&s->jobs, v, p, s->best_score);
	as_vector(v, p, x);
	return gauss_improvement(&s->gauss, x, s->best_score, ZETA);
}

/* The move of one unit between two jobs that is worth most; `frozen`: a job left out, or -1. */
static bool climb(const struct clite *s, const struct ctl_view *v, struct clite_point *p,
		  double *value, int frozen)
{
	struct clite_point best = *p;
	bool better = false;

	for (size_t k = 0; k < NR_DIVIDED; k++)
		for (size_t from = 0; from < v->nr; from++)
			for (size_t to = 0; to < v->nr; to++) {
				struct clite_point q = *p;
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

static int fit(struct clite *s, const struct ctl_view *v)
{
	return s->variant->by_job ? clite_jobs_fit(&s->jobs, v)
				  : gauss_fit_lengths(&s->gauss, NR_DIVIDED);
}

/* Where improvement is expected most; returns how much. */
static double search(struct clite *s, const struct ctl_view *v)
{
	double most = -1;

	for (int start = 0; start < STARTS; start++) {
		int frozen = start == 0 && v->nr > 2 ? (int)s->best_job : -1;
		struct clite_point p = s->best;
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
	uint64_t random = s->random;
	const struct variant *variant = s->variant;

	memset(s, 0, sizeof(*s));
	s->variant = variant;
	s->random = random;
	s->nr = v->nr;
	s->sampling = true;
	s->best_score = -1;
	s->gauss.dims = v->nr * NR_DIVIDED;
	s->gauss.noise = 4e-4;
	clite_jobs_init(&s->jobs, v);
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

/* Of noisy samples the luckiest looks best: of those that the processes, too, expect to meet all
 * targets, the one with the best score is kept. */
static void choose_likely(struct clite *s, const struct ctl_view *v)
{
	double best = -1;

	for (size_t k = 0; k < s->gauss.nr; k++) {
		if (s->gauss.y[k] <= best || !clite_jobs_likely(&s->jobs, v, k))
			continue;
		best = s->gauss.y[k];
		s->best_score = best;
		s->best = s->samples[k].point;
	}
}

static void settle(struct clite *s, const struct ctl_view *v, struct ctl_plan *plan)
{
	s->settled = true;
	s->sampling = false;
	if (s->variant->by_job)
		choose_likely(s, v);
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
	if (taken >= SAMPLES_MAX || fit(s, v) < 0) {
		settle(s, v, plan);
		return;
	}
	expected = search(s, v);
	if (s->best_score > CLITE_MET && taken >= v->nr + 1 + LEAST_SEARCHED &&
	    expected < (s->variant->by_job ? STOP_BY_JOB : STOP) * (double)v->nr / 2)
		settle(s, v, plan);
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

/* The first second of a sample is never looked at, and those after it are not while a queue that
 * the sample before left behind still gets shorter: what is late gets less so. */
static bool drains(struct clite *s, const struct ctl_view *v)
{
	bool falls = false;

	for (size_t i = 0; i < v->nr; i++) {
		double late = v->apps[i].be ? 0 : -ctl_slack(&v->apps[i]);

		falls |= late > 0 && late < FALLS * s->late[i];
		s->late[i] = late;
	}
	return ++s->seconds < 2 || (falls && s->seconds < DRAIN_MAX_S);
}

/* An equal share of what is divided, of memory and of the disk. It has no rule for the frequency:
 * that stays as it was found. */
static void begin(const struct ctl_view *v, struct ctl_plan *plan)
{
	uint16_t freq[CTL_APPS_MAX];

	for (size_t i = 0; i < v->nr; i++)
		freq[i] = plan->alloc[i].units[RES_FREQ];
	ctl_equal_share(v, plan);
	for (size_t i = 0; i < v->nr; i++)
		plan->alloc[i].units[RES_FREQ] = freq[i];
}

static void clite_step(void *state, const struct ctl_view *v, uint64_t now_ns,
		       struct ctl_plan *plan)
{
	struct clite *s = state;

	if (!v->nr || v->nr * NR_DIVIDED > GAUSS_DIMS_MAX)
		return;
	if (changed(s, v)) {
		begin(v, plan);
		restart(s, v);
		snprintf(plan->why, sizeof(plan->why), "sample 1: an equal share of everything");
	} else if (s->sampling && drains(s, v)) {
		return;
	} else if (s->sampling) {
		s->seconds = 0;
		learn(s, v);
		reject(s, v, plan);
		go_on(s, v, plan);
	}
	plan->samples = s->settled ? (unsigned int)s->gauss.nr : 0;
	for (size_t i = 0; i < v->nr; i++)
		for (size_t k = 0; k < NR_DIVIDED; k++)
			plan->alloc[i].units[clite_divided[k]] = s->now.units[i][k];
}

static const struct variant paper = {0};
static const struct variant by_job = {.by_job = true};

const struct controller controller_clite = {
    .name = "clite",
    .summary = "Bayesian optimisation over all divisions",
    .period_ns = 1000000000,
    .create = clite_create,
    .step = clite_step,
    .destroy = free,
    .options = &paper,
};
const struct controller controller_clite_jobs = {
    .name = "clite-jobs",
    .summary = "Bayesian optimisation with a process for each job",
    .period_ns = 1000000000,
    .create = clite_create,
    .step = clite_step,
    .destroy = free,
    .options = &by_job,
};
