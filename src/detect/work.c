/* SPDX-License-Identifier: MIT */
#include "detect/work.h"

#include <string.h>

#define MIN_UNITS     20
#define WARM_NS	      10000000000ull
#define CHANGED_NS    600000000000ull
#define STEP_PPM      250000 /* of the mean: less is no harm */
#define NEAR_STEP_PPM 500000 /* the same against another load's level */
#define DEVIATIONS    4
#define NEAR_LOADS    2	   /* half octaves */
#define SCALE	      1024 /* of struct level */

/* Levels hold 32 bits: steps of 2^-4 ns up to 268 ms a unit; dearer units are not told apart. */
#define STEPS_PER_NS 16.0

static uint32_t steps_of(double cost_ns)
{
	double steps = cost_ns * STEPS_PER_NS;

	return steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
}

static double mean_ns(const struct level *l)
{
	return (double)l->mean / SCALE / STEPS_PER_NS;
}

static double deviation_ns(const struct level *l)
{
	return (double)l->dev / SCALE / STEPS_PER_NS;
}

/* log2 in halves: the power of two, and whether it is beyond its square root of two. */
static size_t load_of(const struct work_sample *s)
{
	unsigned __int128 scaled = (unsigned __int128)s->units * 1000000000u;
	uint64_t per_s = (uint64_t)(scaled / s->window_ns);
	size_t octave, half;

	if (per_s < 1)
		return 0;
	octave = 63u - (size_t)__builtin_clzll(per_s);
	half = (double)per_s >= 1.4142135623730951 * (double)(1ull << octave);
	octave = octave * 2 + half;
	return octave < WORK_LOADS ? octave : WORK_LOADS - 1;
}

static const struct level *warm_level(const struct work *w, size_t load)
{
	const struct level *l = load < WORK_LOADS ? &w->loads[load] : NULL;

	return l && l->learned_ns >= WARM_NS ? l : NULL;
}

/* The nearest that is warm; of two the one with the higher load, where a unit costs less. */
static const struct level *level_near(const struct work *w, size_t load, bool *ret_nearby)
{
	const struct level *l = warm_level(w, load);

	*ret_nearby = !l;
	for (size_t off = 1; off <= NEAR_LOADS && !l; off++) {
		l = warm_level(w, load + off);
		if (!l && load >= off)
			l = warm_level(w, load - off);
	}
	return l;
}

void work_judge(const struct work *w, const struct work_sample *s, struct work_verdict *ret)
{
	const struct level *l;
	double step;

	*ret = (struct work_verdict){0};
	if (s->units < MIN_UNITS || !s->window_ns)
		return;
	ret->cost_ns = (double)s->cpu_ns / (double)s->units;
	l = level_near(w, load_of(s), &ret->nearby);
	if (!l)
		return;
	ret->known = true;
	ret->usual_ns = mean_ns(l);
	step = ret->usual_ns * (ret->nearby ? NEAR_STEP_PPM : STEP_PPM) / PPM;
	if (step < DEVIATIONS * deviation_ns(l))
		step = DEVIATIONS * deviation_ns(l);
	ret->limit_ns = ret->usual_ns + step;
	if (ret->cost_ns > ret->usual_ns)
		ret->extra_ns = (uint64_t)((ret->cost_ns - ret->usual_ns) * (double)s->units);
}

void work_learn(struct work *w, const struct work_sample *s, const struct work_verdict *v)
{
	bool dear = v->known && v->cost_ns > v->limit_ns;

	if (s->units < MIN_UNITS || !s->window_ns)
		return;
	w->harm_ns = dear ? w->harm_ns + s->window_ns : 0;
	if (w->harm_ns >= CHANGED_NS) {
		memset(w, 0, sizeof(*w));
		dear = false;
	}
	if (!dear)
		level_learn(&w->loads[load_of(s)], steps_of(v->cost_ns), UINT32_MAX, s->window_ns);
}
