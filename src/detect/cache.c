/* SPDX-License-Identifier: MIT */
/*
 * The zone needs more cycles for its instructions than is usual for it: caches, memory bandwidth or
 * the other thread of its cores are somebody else's. Nobody waits for a CPU meanwhile, so nothing
 * else sees it. The rules are CPI2's (cpi2-zones.c).
 */
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "detect/internal.h"

static void judge(const struct watch *w, const struct zone_view *z, struct verdict *ret)
{
	const struct cpi_harm *h = &watch_window(w, 0)->cpi;

	*ret = (struct verdict){0};
	if (!h->threshold_ppm)
		return;
	ret->ratio_ppm = ratio_ppm(h->cpi_ppm, h->threshold_ppm);
	if (ret->ratio_ppm <= PPM)
		ret->ratio_ppm = PPM + 1; /* the alarm stands, though this minute was better */
	ret->capped = true;
	snprintf(ret->why, sizeof(ret->why),
		 "%.2f cycles an instruction in the last minute, %.2f are usual; above %.2f three "
		 "times in 5 minutes",
		 h->cpi_ppm / 1e6, h->mean_ppm / 1e6, h->threshold_ppm / 1e6);
}

static void name_culprit(const struct cpi_harm *h, const struct snapshot *s, struct finding *f)
{
	struct culprit *c = &f->culprits[0];
	const struct zone_view *z = snapshot_zone(s, h->culprit_id);

	if (!z)
		return;
	*c = (struct culprit){.zone_id = z->id, .class = z->class, .share_ppm = PPM, .cpu = -1};
	for (size_t i = 0; i < h->nr_suspects; i++)
		if (h->suspects[i].zone_id == z->id && h->suspects[i].correlation_ppm > 0)
			c->share_ppm = (uint32_t)h->suspects[i].correlation_ppm;
	str_copy(c->name, sizeof(c->name), z->name);
	f->nr_culprits = 1;
	f->cause = CAUSE_NEIGHBOUR;
}

static void tell(const struct cpi_harm *h, const struct snapshot *s, struct finding *f)
{
	const struct zone_view *z =
	    h->nr_suspects ? snapshot_zone(s, h->suspects[0].zone_id) : NULL;

	f->told[0] = '\0';
	if (z)
		snprintf(f->told, sizeof(f->told),
			 "of all zones the CPU use of %.64s goes with it most: correlation %.2f; "
			 "named from %.2f on",
			 z->name, h->suspects[0].correlation_ppm / 1e6, h->needed_ppm / 1e6);
}

static void explain(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t zone,
		    struct finding *f)
{
	const struct window *cur = watch_window(w, 0);

	f->resource = RESOURCE_CACHE;
	f->cause = CAUSE_UNKNOWN;
	f->nr_culprits = 0;
	if (cur->cpi.culprit_id)
		name_culprit(&cur->cpi, s, f);
	tell(&cur->cpi, s, f);
	memset(f->cause_ppm, 0, sizeof(f->cause_ppm));
	f->cause_ppm[f->cause] = PPM;
	f->window_ns = cur->window_ns;
	f->wait_p99_ns = cur->wait_p99_ns;
	f->feed_p99_ns = cur->feed_p99_ns;
	f->usual_stall_ppm = cur->cpi.mean_ppm;
}

const struct detector detector_cache = {
    .name = "cache",
    .summary = "it needs more cycles an instruction than is usual for it (CPI2)",
    .judge = judge,
    .explain = explain,
};
