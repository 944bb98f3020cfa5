/* SPDX-License-Identifier: MIT */
/*
 * In LIBRA's manner (HPCA'21): response time = k CPI + l is fitted per app and load, so that CPI
 * tells of a violation before latency does; then best-effort apps get less memory bandwidth (MBA),
 * with ways of the cache as the steps between two of its levels. The control law is ours:
 * docs/algorithms/libra.md.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "decide/controller.h"

#define GUARD	    0.05
#define EXPLAINS    0.9 /* R^2 from which the line counts */
#define CALM	    3	/* steps below the looser bound before something is given back */
#define BINS	    10	/* of load: k and l hold for one only */
#define SAMPLES_MIN 8
#define FORGET	    0.995 /* weight of a sample after each newer one */
#define WAYS_LEAST  2
#define BETWEEN	    3 /* steps of a way each between two of MBA */

struct line {
	double n, x, y, xx, xy, yy; /* weighted sums of CPI (x) and response time (y) */
};

struct libra {
	bool started;
	struct line lines[CTL_APPS_MAX][BINS];
	unsigned int level, calm;
	uint16_t ways[CTL_APPS_MAX]; /* at level 0 */
};

static void *libra_create(const void *options, uint64_t seed)
{
	return calloc(1, sizeof(struct libra));
}

static struct line *line_of(struct libra *s, const struct ctl_view *v, size_t i)
{
	unsigned int bin = v->apps[i].load_ppm / (1000000 / BINS);

	return &s->lines[i][bin < BINS ? bin : BINS - 1];
}

static void learn(struct line *l, double cpi, double ns)
{
	l->n = l->n * FORGET + 1;
	l->x = l->x * FORGET + cpi;
	l->y = l->y * FORGET + ns;
	l->xx = l->xx * FORGET + cpi * cpi;
	l->xy = l->xy * FORGET + cpi * ns;
	l->yy = l->yy * FORGET + ns * ns;
}

/* The CPI at which the response time is the target; 0: not known yet, or CPI does not explain it.
 */
static double highest_cpi(const struct line *l, double target_ns)
{
	double spread = l->n * l->xx - l->x * l->x, joint = l->n * l->xy - l->x * l->y, k;

	if (l->n < SAMPLES_MIN * 0.9 || spread <= 1e-9 * l->xx * l->n)
		return 0;
	if (joint * joint < EXPLAINS * spread * (l->n * l->yy - l->y * l->y))
		return 0;
	k = joint / spread;
	return k > 0 ? (target_ns - (l->y - k * l->x) / l->n) / k : 0;
}

/* How near its bound the nearest app is: 1 is there. By latency itself until the line is known. */
static double nearness(struct libra *s, const struct ctl_view *v)
{
	double most = 0;

	for (size_t i = 0; i < v->nr; i++) {
		const struct ctl_app *a = &v->apps[i];
		double cpi = a->cpi_ppm / 1e6, bound;
		struct line *l = line_of(s, v, i);

		if (a->be || !a->latency_ns || !a->target_ns)
			continue;
		bound = cpi > 0 ? highest_cpi(l, (double)a->target_ns) : 0;
		most = fmax(most, bound > 0 ? cpi / bound : 1 - ctl_slack(a));
		/* Far beyond the target it is a queue that takes the time, which CPI does not
		 * explain. */
		if (cpi > 0 && a->latency_ns < 2 * a->target_ns)
			learn(l, cpi, (double)a->latency_ns);
	}
	return most;
}

/* Levels: BETWEEN ways, then a step of MBA with the ways back, and so on; at the floor of MBA, ways
 * alone. */
static void level_as(const struct ctl_view *v, unsigned int level, unsigned int *ret_bw,
		     unsigned int *ret_ways)
{
	unsigned int floor =
	    v->host.total[RES_BW] ? v->host.total[RES_BW] - v->host.min[RES_BW] : 0;

	*ret_bw = level / (BETWEEN + 1);
	*ret_bw = *ret_bw < floor ? *ret_bw : floor;
	*ret_ways = level - *ret_bw * (BETWEEN + 1);
}

static unsigned int last_level(const struct libra *s, const struct ctl_view *v)
{
	unsigned int spare = 0;

	for (size_t i = 0; i < v->nr; i++)
		if (v->apps[i].be && s->ways[i] > WAYS_LEAST &&
		    s->ways[i] - WAYS_LEAST > (int)spare)
			spare = s->ways[i] - WAYS_LEAST;
	return (v->host.total[RES_BW] ? v->host.total[RES_BW] - v->host.min[RES_BW] : 0) *
		   (BETWEEN + 1) +
	       spare;
}

static void apply(const struct libra *s, const struct ctl_view *v, struct ctl_plan *p)
{
	unsigned int bw, ways, taken = 0, nr_lc = 0, turn = 0;

	level_as(v, s->level, &bw, &ways);
	for (size_t i = 0; i < v->nr; i++) {
		unsigned int most = s->ways[i] > WAYS_LEAST ? s->ways[i] - WAYS_LEAST : 0;
		unsigned int fewer = ways < most ? ways : most;

		nr_lc += !v->apps[i].be;
		if (!v->apps[i].be)
			continue;
		p->alloc[i].units[RES_WAY] = (uint16_t)(s->ways[i] - fewer);
		p->alloc[i].units[RES_BW] = (uint16_t)(v->host.total[RES_BW] - bw);
		taken += fewer;
	}
	for (size_t i = 0; i < v->nr; i++) {
		if (v->apps[i].be)
			continue;
		p->alloc[i].units[RES_WAY] =
		    (uint16_t)(s->ways[i] + taken / nr_lc + (turn < taken % nr_lc));
		turn++;
	}
}

static void libra_step(void *state, const struct ctl_view *v, uint64_t now_ns, struct ctl_plan *p)
{
	struct libra *s = state;
	unsigned int before = s->level;
	double near;

	if (!s->started) {
		ctl_equal_share(v, p);
		for (size_t i = 0; i < v->nr; i++)
			s->ways[i] = p->alloc[i].units[RES_WAY];
		s->started = true;
		snprintf(p->why, sizeof(p->why), "an equal share of everything to begin with");
		return;
	}
	near = nearness(s, v);
	s->calm = near < 1 - 2 * GUARD ? s->calm + 1 : 0;
	if (near > 1 - GUARD && s->level < last_level(s, v)) {
		s->level++;
	} else if (s->calm >= CALM && s->level) {
		s->level--;
		s->calm = 0;
	}
	if (s->level == before)
		return;
	apply(s, v, p);
	snprintf(p->why, sizeof(p->why), "%.2f of the highest CPI: best-effort work at step %u",
		 near, s->level);
}

const struct controller controller_libra = {
    .name = "libra",
    .summary = "memory bandwidth and ways of best-effort work, by the CPI that a target allows",
    .period_ns = 1000000000,
    .create = libra_create,
    .step = libra_step,
    .destroy = free,
};
