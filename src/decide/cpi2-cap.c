/* SPDX-License-Identifier: MIT */
/*
 * What CPI2 (Zhang et al., EuroSys'13) does with whom its detector names (plan->culprit): a hard
 * cap of 0.1 CPU, or 0.01 of best-effort work, for 5 minutes. Then it is lifted; if the victim is
 * still slow, the detector names somebody again. docs/algorithms/cpi2.md has the detector.
 */
#include <stdio.h>
#include <stdlib.h>
#include "decide/controller.h"

#define SECOND_NS  UINT64_C(1000000000)
#define CAP_NS	   (300 * SECOND_NS)
#define CAP_PPM	   100000
#define CAP_BE_PPM 10000

struct cap {
	uint64_t until_ns[CTL_APPS_MAX]; /* 0: not capped */
};

static void *cap_create(const void *options, uint64_t seed)
{
	return calloc(1, sizeof(struct cap));
}

static void cap_step(void *state, const struct ctl_view *v, uint64_t now_ns, struct ctl_plan *plan)
{
	struct cap *s = state;

	for (size_t i = 0; i < v->nr; i++) {
		if (!s->until_ns[i] || now_ns < s->until_ns[i])
			continue;
		s->until_ns[i] = 0;
		plan->alloc[i].cap_ppm = 0;
		snprintf(plan->why, sizeof(plan->why), "app %zu was capped for 5 minutes", i);
	}
	/* Latency-critical work is never capped: the detector's ranking is told, that is all. */
	if (plan->culprit < 0 || (size_t)plan->culprit >= v->nr ||
	    v->apps[plan->culprit].target_ns || s->until_ns[plan->culprit])
		return;
	s->until_ns[plan->culprit] = now_ns + CAP_NS;
	plan->alloc[plan->culprit].cap_ppm = v->apps[plan->culprit].be ? CAP_BE_PPM : CAP_PPM;
	snprintf(plan->why, sizeof(plan->why), "app %d is capped at %.2f CPU for 5 minutes",
		 plan->culprit, plan->alloc[plan->culprit].cap_ppm / 1e6);
}

const struct controller controller_cpi2 = {
    .name = "cpi2",
    .summary = "caps whom the CPI2 detector names, for 5 minutes",
    .period_ns = SECOND_NS,
    .create = cap_create,
    .step = cap_step,
    .destroy = free,
};
