/* SPDX-License-Identifier: MIT */
/*
 * The application says it is slow, and the scheduler shows that it hardly waited: not for lack of
 * CPU. Worth telling, and worth blaming nobody for.
 */
#include <stdio.h>
#include "base/parse.h"
#include "detect/internal.h"

static void judge(const struct watch *w, const struct zone_view *z, struct verdict *ret)
{
	const struct window *cur = watch_window(w, 0);
	char a[32], b[32];

	*ret = (struct verdict){0};
	if (!z->slo.latency_p99_ns || cur->feed_count < FEED_JUDGEABLE ||
	    cur->feed_p99_ns <= z->slo.latency_p99_ns || latency_has_wait_evidence(cur, &z->slo))
		return;
	ret->ratio_ppm = ratio_ppm(cur->feed_p99_ns, z->slo.latency_p99_ns);
	ret->solid = false; /* applications hiccup: two windows of three, always */
	snprintf(ret->why, sizeof(ret->why),
		 "latency p99 %s, its goal is %s, but not for lack of CPU",
		 format_duration(cur->feed_p99_ns, a, sizeof(a)),
		 format_duration(z->slo.latency_p99_ns, b, sizeof(b)));
}

static void explain(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t zone,
		    struct finding *f)
{
	const struct window *cur = watch_window(w, 0);
	struct evidence e;

	evidence_sum(w, bit, blame_cpu, &e);
	f->resource = RESOURCE_UNKNOWN;
	f->cause = CAUSE_UNKNOWN;
	evidence_shares(&e, f->cause_ppm);
	f->window_ns = e.window_ns;
	f->wait_ns = e.wait_ns;
	f->wait_share_ppm = share_ppm(e.wait_ns, e.window_ns);
	f->wait_p99_ns = cur->wait_p99_ns;
	f->feed_p99_ns = cur->feed_p99_ns;
	f->nr_culprits = 0;
}

const struct detector detector_latency = {
    .name = "latency",
    .summary = "the application reports latency beyond its goal though it hardly waited for a CPU",
    .judge = judge,
    .explain = explain,
};
