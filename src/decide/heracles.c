/* SPDX-License-Identifier: MIT */
/*
 * Heracles (Lo et al., ISCA'15): one latency-critical app is kept, all others share what it does
 * not need. Four loops: top level (15 s), cores and memory (2 s), power (2 s); the one of the
 * network has no knob here. As printed, `load < 0.80` comes before the slack tests, which are then
 * never reached; here they hold whenever the two safeguards do not. docs/algorithms/heracles.md.
 *
 * With several latency-critical apps, the one with the shortest target is kept and the others are
 * treated as best-effort work, as in the comparison of PARTIES.
 */
#include <stdio.h>
#include <stdlib.h>
#include "decide/controller.h"

#define SECOND_NS	UINT64_C(1000000000)
#define TOP_NS		(15 * SECOND_NS)
#define CORE_NS		(2 * SECOND_NS)
#define POWER_NS	(2 * SECOND_NS)
#define COOLDOWN_NS	(300 * SECOND_NS)
#define DRAM_LIMIT	0.9 /* of the peak */
#define LOAD_DISABLE	850000
#define LOAD_ENABLE	800000
#define SLACK_GROW	0.10
#define SLACK_SHRINK	0.05
#define CORES_LEFT	2
#define POWER_LIMIT_PPM 900000

struct heracles {
	size_t lc; /* who is kept */
	int be;	   /* the owner of the others' partition; -1: there are none */
	bool started, enabled, may_grow, growing_cores;
	int cores, ways, freq;	/* of the others */
	bool grew;		/* the last step of the core loop gave a way; judged now */
	double bw, be_progress; /* when it did */
	uint64_t top_due_ns, core_due_ns, power_due_ns, cool_until_ns;
};

static void *heracles_create(const void *options, uint64_t seed)
{
	return calloc(1, sizeof(struct heracles));
}

static double progress(const struct heracles *s, const struct ctl_view *v)
{
	double sum = 0;

	for (size_t i = 0; i < v->nr; i++)
		if (i != s->lc)
			sum += v->apps[i].progress_ppm;
	return sum;
}

static void enable(struct heracles *s, const struct ctl_view *v)
{
	if (s->enabled)
		return;
	s->enabled = true;
	s->growing_cores = s->grew = false;
	s->cores = 1;
	s->ways = (v->host.total[RES_WAY] + 5) / 10;
}

static void start(struct heracles *s, const struct ctl_view *v, uint64_t now_ns)
{
	s->be = -1;
	for (size_t i = 0; i < v->nr; i++)
		if (!v->apps[i].be &&
		    (v->apps[s->lc].be || v->apps[i].target_ns < v->apps[s->lc].target_ns))
			s->lc = i;
	for (size_t i = 0; i < v->nr && s->be < 0; i++)
		if (i != s->lc)
			s->be = (int)i;
	s->freq = v->host.total[RES_FREQ] ? v->host.start_freq : 0;
	s->top_due_ns = now_ns + TOP_NS;
	s->core_due_ns = now_ns + CORE_NS;
	s->power_due_ns = now_ns + POWER_NS;
	s->may_grow = true;
	s->started = true;
	enable(s, v);
}

static void top_level(struct heracles *s, const struct ctl_view *v, uint64_t now_ns,
		      struct ctl_plan *p)
{
	const struct ctl_app *lc = &v->apps[s->lc];
	double slack = ctl_slack(lc);

	if (slack < 0) {
		s->enabled = false;
		s->cool_until_ns = now_ns + COOLDOWN_NS;
		snprintf(p->why, sizeof(p->why), "slack %.2f: the others pause for 5 minutes",
			 slack);
	} else if (lc->load_ppm > LOAD_DISABLE) {
		s->enabled = false;
		snprintf(p->why, sizeof(p->why), "load %u %%: the others pause",
			 lc->load_ppm / 10000);
	} else if (lc->load_ppm < LOAD_ENABLE && now_ns >= s->cool_until_ns) {
		enable(s, v);
	}
	s->may_grow = slack >= SLACK_GROW;
	if (s->enabled && slack < SLACK_SHRINK && s->cores > CORES_LEFT) {
		s->cores = CORES_LEFT;
		snprintf(p->why, sizeof(p->why), "slack %.2f: the others keep %d cores", slack,
			 CORES_LEFT);
	}
}

/* Did the way that was given last lower the traffic and help those who got it? Else the cores' turn
 */
static void judge_way(struct heracles *s, const struct ctl_view *v)
{
	if (!s->grew)
		return;
	s->grew = false;
	if ((double)v->host.dram_bytes_per_s >= s->bw) {
		s->ways--;
		s->growing_cores = true;
	} else if (progress(s, v) <= s->be_progress) {
		s->growing_cores = true;
	}
}

static void grow(struct heracles *s, const struct ctl_view *v, struct ctl_plan *p, double limit,
		 double per_core)
{
	double bw = (double)v->host.dram_bytes_per_s;

	if (!s->growing_cores) {
		if (s->ways + 1 > v->host.total[RES_WAY] - v->host.min[RES_WAY]) {
			s->growing_cores = true;
			return;
		}
		s->ways++;
		s->grew = true;
		s->bw = bw;
		s->be_progress = progress(s, v);
		snprintf(p->why, sizeof(p->why), "the others get a way of cache more: %d", s->ways);
	} else if (bw + per_core > limit) {
		s->growing_cores = false;
	} else if (ctl_slack(&v->apps[s->lc]) > SLACK_GROW &&
		   s->cores + 1 <= v->host.total[RES_CORE] - v->host.min[RES_CORE]) {
		s->cores++;
		snprintf(p->why, sizeof(p->why), "slack %.2f: the others get a core more: %d",
			 ctl_slack(&v->apps[s->lc]), s->cores);
	}
}

static void cores_and_memory(struct heracles *s, const struct ctl_view *v, struct ctl_plan *p)
{
	double limit = DRAM_LIMIT * (double)v->host.dram_peak_bytes_per_s, be_bw, over, per_core;

	be_bw = (double)v->host.dram_bytes_per_s - (double)v->apps[s->lc].dram_bytes_per_s;
	over = (double)v->host.dram_bytes_per_s - limit;
	per_core = s->cores && be_bw > 0 ? be_bw / s->cores : 0;
	judge_way(s, v);
	if (over > 0 && per_core > 0) {
		int fewer = (int)(over / per_core) + 1;

		s->cores = fewer < s->cores ? s->cores - fewer : 1;
		snprintf(p->why, sizeof(p->why), "memory traffic is over 90 %%: the others keep %d",
			 s->cores);
	} else if (s->may_grow && ctl_slack(&v->apps[s->lc]) >= SLACK_GROW) {
		grow(s, v, p, limit, per_core);
	}
}

static void power(struct heracles *s, const struct ctl_view *v, const struct ctl_plan *p)
{
	bool slow = p->alloc[s->lc].units[RES_FREQ] < v->host.start_freq;

	if (!v->host.power_ppm || !v->host.total[RES_FREQ])
		return;
	if (v->host.power_ppm > POWER_LIMIT_PPM && slow && s->freq > v->host.min[RES_FREQ])
		s->freq--;
	else if (v->host.power_ppm <= POWER_LIMIT_PPM && !slow && s->freq < v->host.total[RES_FREQ])
		s->freq++;
}

static void apply(const struct heracles *s, const struct ctl_view *v, struct ctl_plan *p)
{
	int cores = s->enabled ? s->cores : 0, ways = s->enabled ? s->ways : 0;

	for (size_t i = 0; i < v->nr; i++) {
		struct ctl_alloc *a = &p->alloc[i];

		a->owner = (uint8_t)(i == s->lc ? s->lc : (size_t)s->be);
		for (int r = 0; r < RES_NR; r++)
			a->units[r] =
			    (uint16_t)(res_is_shared(r) ? v->host.total[r] / 2 : v->host.total[r]);
		if (!v->apps[s->lc].uses_disk)
			a->units[RES_DISK] = i == s->lc ? 0 : v->host.total[RES_DISK];
		a->units[RES_CORE] =
		    (uint16_t)(i == s->lc ? v->host.total[RES_CORE] - cores : cores);
		a->units[RES_WAY] = (uint16_t)(i == s->lc ? v->host.total[RES_WAY] - ways : ways);
		if (i != s->lc)
			a->units[RES_FREQ] = (uint16_t)s->freq;
	}
}

static bool due(uint64_t *due_ns, uint64_t every_ns, uint64_t now_ns)
{
	if (now_ns < *due_ns)
		return false;
	*due_ns = now_ns + every_ns;
	return true;
}

static void heracles_step(void *state, const struct ctl_view *v, uint64_t now_ns,
			  struct ctl_plan *p)
{
	struct heracles *s = state;

	if (!s->started) {
		start(s, v, now_ns);
		snprintf(p->why, sizeof(p->why),
			 "the others begin with one core, 10 %% of the cache");
	}
	if (s->be < 0)
		return;
	if (due(&s->top_due_ns, TOP_NS, now_ns))
		top_level(s, v, now_ns, p);
	if (due(&s->core_due_ns, CORE_NS, now_ns) && s->enabled)
		cores_and_memory(s, v, p);
	if (due(&s->power_due_ns, POWER_NS, now_ns))
		power(s, v, p);
	apply(s, v, p);
}

const struct controller controller_heracles = {
    .name = "heracles",
    .summary = "one app is kept, the others share what it does not need",
    .period_ns = SECOND_NS,
    .create = heracles_create,
    .step = heracles_step,
    .destroy = free,
};
