/* SPDX-License-Identifier: MIT */
/*
 * The learned baseline of a protected zone without an SLO: moving mean and mean deviation of a
 * share of waiting. Windows above the limit do not pollute it, but they are not thrown away
 * either: they teach a candidate, which takes over when the zone itself does more work than before
 * (a phase change) and has stayed so for a minute, or when the new level has simply lasted ten.
 * A zone that does *less* work while it waits more is being starved: that is never a phase change.
 */
#include "detect/internal.h"

#define NSEC_PER_SEC   1000000000ull
#define TAU_NS	       (60 * NSEC_PER_SEC)
#define WARM_NS	       (30 * NSEC_PER_SEC)
#define PHASE_NS       (60 * NSEC_PER_SEC)
#define NEW_NORMAL_NS  (600 * NSEC_PER_SEC)
#define COLD_FLOOR_PPM 50000
#define SCALE	       1024

static uint64_t approach(uint64_t old, uint64_t x, uint64_t weight_ppm)
{
	return x >= old ? old + (x - old) * weight_ppm / PPM : old - (old - x) * weight_ppm / PPM;
}

/* A plain mean while there is little history, exponential with TAU_NS afterwards. */
void level_learn(struct level *l, uint32_t share, uint32_t use_ppm, uint64_t window_ns)
{
	uint64_t past = l->learned_ns < TAU_NS ? l->learned_ns : TAU_NS;
	uint64_t weight = share_ppm(window_ns, past + window_ns);
	uint64_t x = (uint64_t)share * SCALE;
	uint64_t off = x > l->mean ? x - l->mean : l->mean - x;

	if (l->learned_ns)
		l->dev = approach(l->dev, off, weight);
	l->mean = approach(l->mean, x, weight);
	if (use_ppm != UINT32_MAX)
		l->use = approach(l->use, (uint64_t)use_ppm * SCALE, weight);
	l->learned_ns += window_ns;
}

uint64_t level_ns(const struct level *l, uint64_t window_ns)
{
	return (uint64_t)((unsigned __int128)window_ns * l->mean / SCALE / PPM);
}

uint32_t level_ppm(const struct level *l)
{
	return (uint32_t)(l->mean / SCALE);
}

uint32_t baseline_mean_ppm(const struct baseline *b)
{
	return level_ppm(&b->now);
}

uint32_t baseline_limit_ppm(const struct baseline *b, uint32_t floor_ppm)
{
	uint64_t mean = b->now.mean / SCALE, dev = b->now.dev / SCALE;
	uint64_t step = floor_ppm, limit;

	if (b->now.learned_ns < WARM_NS && step < COLD_FLOOR_PPM)
		step = COLD_FLOOR_PPM;
	if (step < 4 * dev)
		step = 4 * dev;
	if (step < mean / 2)
		step = mean / 2;
	limit = mean + step;
	return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

static bool does_more_work(const struct level *before, const struct level *after)
{
	return before->use && after->use > before->use + before->use / 2;
}

void baseline_learn(struct baseline *b, uint32_t floor_ppm, uint32_t share, uint32_t use_ppm,
		    uint64_t window_ns)
{
	if (share <= baseline_limit_ppm(b, floor_ppm)) {
		level_learn(&b->now, share, use_ppm, window_ns);
		if (b->next.learned_ns > 2 * window_ns)
			b->next.learned_ns -= 2 * window_ns;
		else
			b->next = (struct level){0};
		return;
	}
	level_learn(&b->next, share, use_ppm, window_ns);
	if (b->next.learned_ns >= NEW_NORMAL_NS ||
	    (b->next.learned_ns >= PHASE_NS && does_more_work(&b->now, &b->next))) {
		b->now = b->next;
		b->next = (struct level){0};
	}
}
