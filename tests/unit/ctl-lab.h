/* SPDX-License-Identifier: MIT */
/* A host and apps as a controller sees them, and a step of it. */
#pragma once
#include "decide/controller.h"
#include "test.h"

#define SECOND_NS UINT64_C(1000000000)

struct ctl_lab {
	const struct controller *c;
	void *state;
	struct ctl_view v;
	struct ctl_plan plan; /* of the last step */
	uint64_t now_ns;
};

/* 8 cores, 8 ways, frequency 12 to 23, nothing else. */
static inline void lab_init(struct ctl_lab *l, const struct controller *c, uint64_t seed)
{
	*l = (struct ctl_lab){
	    .c = c, .state = c->create(c->options, seed), .now_ns = 100 * SECOND_NS};
	l->v.host = (struct ctl_host){.total = {8, 8, 23},
				      .min = {1, 1, 12},
				      .start_freq = 22,
				      .dram_peak_bytes_per_s = 60000000000};
	assert_non_null(l->state);
}

static inline void lab_add(struct ctl_lab *l, bool be, uint64_t target_us)
{
	size_t i = l->v.nr++;

	l->v.apps[i] = (struct ctl_app){.be = be, .target_ns = target_us * 1000};
	l->v.apps[i].alloc.owner = (uint8_t)i;
}

/* Of its target, in percent. */
static inline void lab_slack(struct ctl_lab *l, size_t app, int percent)
{
	l->v.apps[app].latency_ns = l->v.apps[app].target_ns * (uint64_t)(100 - percent) / 100;
}

static inline void lab_step(struct ctl_lab *l)
{
	l->plan = (struct ctl_plan){.migrate = -1, .culprit = l->plan.culprit};
	for (size_t i = 0; i < l->v.nr; i++)
		l->plan.alloc[i] = l->v.apps[i].alloc;
	l->c->step(l->state, &l->v, l->now_ns, &l->plan);
	for (size_t i = 0; i < l->v.nr; i++)
		l->v.apps[i].alloc = l->plan.alloc[i];
	l->now_ns += l->c->period_ns;
}

static inline unsigned int lab_units(const struct ctl_lab *l, size_t app, enum res r)
{
	return l->plan.alloc[app].units[r];
}

static inline unsigned int lab_sum(const struct ctl_lab *l, enum res r)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < l->v.nr; i++)
		sum += l->plan.alloc[i].owner == i ? l->plan.alloc[i].units[r] : 0;
	return sum;
}
