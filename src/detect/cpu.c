/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a CPU: harm by the zone's goals (or by its baseline when it has none), then triage:
 * the cause is where the *excess* over the zone's normal waiting went. Only what the ledger
 * attributed to neighbours can blame one.
 */
#include <stdio.h>
#include "base/parse.h"
#include "detect/internal.h"

bool wait_p99(const struct watch *w, uint64_t *ret_ns)
{
	uint64_t waits = 0, worst = 0;

	for (size_t i = 0; i < w->nr; i++) {
		const struct window *win = watch_window(w, i);

		waits += win->waits;
		if (win->waits && win->wait_p99_ns > worst)
			worst = win->wait_p99_ns;
		if (waits >= WAITS_JUDGEABLE) {
			*ret_ns = worst;
			return true;
		}
	}
	return false;
}

bool latency_has_wait_evidence(const struct window *w, const struct slo *slo)
{
	uint64_t late_ns = w->feed_p99_ns - slo->latency_p99_ns;
	uint32_t contended = share_ppm(window_contended_ns(w), w->window_ns);

	if (contended < MATERIAL_PPM)
		return false;
	return contended >= 50000 || (w->waits && w->wait_p99_ns >= late_ns / 5);
}

/* Keep the worst of the goals: it is the one to tell. */
static char *worse(struct verdict *v, uint64_t ratio, bool solid)
{
	if (ratio <= v->ratio_ppm)
		return NULL;
	v->ratio_ppm = ratio;
	v->solid = solid;
	return v->why;
}

/* Starved to a few endless waits, a zone has no percentile; its mean wait says enough. */
static void judge_starved(const struct window *cur, const struct slo *slo, struct verdict *v)
{
	uint64_t mean_ns = window_contended_ns(cur) / (cur->waits + 1);
	char a[32], b[32], *why;

	if (cur->waits >= WAITS_JUDGEABLE || mean_ns <= slo->wait_p99_ns)
		return;
	why = worse(v, ratio_ppm(mean_ns, slo->wait_p99_ns),
		    share_ppm(cur->cpu.wait_ns, cur->window_ns) >= 50000);
	if (why)
		snprintf(why, sizeof(v->why),
			 "waits last %s on average, its goal for wait p99 is %s",
			 format_duration(mean_ns, a, sizeof(a)),
			 format_duration(slo->wait_p99_ns, b, sizeof(b)));
}

static void judge_p99(const struct watch *w, const struct zone_view *z, struct verdict *v)
{
	const struct window *cur = watch_window(w, 0);
	uint32_t contended = share_ppm(cur->cpu.wait_ns, cur->window_ns);
	char a[32], b[32], *why;
	uint64_t p99;

	if (!z->slo.wait_p99_ns || cur->estimated || contended < MATERIAL_PPM)
		return;
	judge_starved(cur, &z->slo, v);
	if (!cur->waits || cur->wait_p99_ns <= z->slo.wait_p99_ns || !wait_p99(w, &p99))
		return;
	why = worse(v, ratio_ppm(cur->wait_p99_ns, z->slo.wait_p99_ns),
		    (cur->waits >= 100 && contended >= 30000) || contended >= 50000);
	if (why)
		snprintf(why, sizeof(v->why), "wait p99 %s, its goal is %s",
			 format_duration(cur->wait_p99_ns, a, sizeof(a)),
			 format_duration(z->slo.wait_p99_ns, b, sizeof(b)));
}

static void judge_share(const struct watch *w, const struct zone_view *z, struct verdict *v)
{
	const struct window *cur = watch_window(w, 0);
	uint64_t ns = window_foreign_ns(cur);
	uint32_t share = share_ppm(ns, cur->window_ns);
	char a[64], b[32], *why;

	if (!z->slo.wait_share_ppm)
		return;
	why = worse(v, ratio_ppm(share, z->slo.wait_share_ppm), true);
	if (why)
		snprintf(why, sizeof(v->why), "waited %s %s, its goal is %s",
			 cur->estimated ? "for a CPU" : "for others",
			 format_share(share, a, sizeof(a)),
			 format_ppm(z->slo.wait_share_ppm, b, sizeof(b)));
}

static void judge_feed(const struct watch *w, const struct zone_view *z, struct verdict *v)
{
	const struct window *cur = watch_window(w, 0);
	char a[32], b[32], c[64], *why;

	if (!z->slo.latency_p99_ns || cur->feed_count < FEED_JUDGEABLE ||
	    cur->feed_p99_ns <= z->slo.latency_p99_ns || !latency_has_wait_evidence(cur, &z->slo))
		return;
	why = worse(v, ratio_ppm(cur->feed_p99_ns, z->slo.latency_p99_ns), cur->feed_count >= 100);
	if (why)
		snprintf(why, sizeof(v->why),
			 "latency p99 %s, its goal is %s, and it waited %s for a CPU",
			 format_duration(cur->feed_p99_ns, a, sizeof(a)),
			 format_duration(z->slo.latency_p99_ns, b, sizeof(b)),
			 format_share(share_ppm(cur->cpu.wait_ns, cur->window_ns), c, sizeof(c)));
}

static void judge_level(const struct window *cur, const struct baseline *b, uint32_t floor_ppm,
			uint64_t ns, const char *what, struct verdict *v)
{
	uint32_t share = share_ppm(ns, cur->window_ns);
	char x[64], y[32], *why;

	why = worse(v, ratio_ppm(share, baseline_limit_ppm(b, floor_ppm)), true);
	if (!why)
		return;
	v->capped = true;
	snprintf(why, sizeof(v->why), "%s %s, usually %s", what, format_share(share, x, sizeof(x)),
		 format_ppm(baseline_mean_ppm(b), y, sizeof(y)));
}

/* Without a goal, own load is nobody's harm: only what others, the kernel, the hypervisor or the
 * quota took is compared with what is usual. */
static void judge_baseline(const struct watch *w, struct verdict *v)
{
	const struct window *cur = watch_window(w, 0);

	if (cur->estimated) {
		judge_level(cur, &w->foreign, FOREIGN_FLOOR_PPM, cur->cpu.wait_ns,
			    "waited for a CPU", v);
		return;
	}
	judge_level(cur, &w->foreign, FOREIGN_FLOOR_PPM, cur->cpu.cause_ns[CAUSE_NEIGHBOUR],
		    "waited for others", v);
	judge_level(cur, &w->robbed, ROBBED_FLOOR_PPM, window_robbed_ns(cur),
		    "was kept off the CPU by quota, kernel or host", v);
}

static void judge(const struct watch *w, const struct zone_view *z, struct verdict *ret)
{
	bool blind = watch_window(w, 0)->estimated && !z->slo.wait_share_ppm;

	*ret = (struct verdict){0};
	judge_p99(w, z, ret);
	judge_share(w, z, ret);
	judge_feed(w, z, ret);
	if (!slo_is_set(&z->slo) || blind)
		judge_baseline(w, ret);
}

bool is_evidence(const struct watch *w, uint32_t bit, const struct window *win)
{
	return (win->harm & bit) && win->now_ns > w->tracks[__builtin_ctz(bit)].finding.since_ns;
}

const struct blame *blame_cpu(const struct window *win)
{
	return &win->cpu;
}

void evidence_sum(const struct watch *w, uint32_t bit, blame_fn of, struct evidence *ret)
{
	*ret = (struct evidence){.of = of};
	for (size_t i = 0; i < w->nr; i++) {
		const struct window *win = watch_window(w, i);

		if (!is_evidence(w, bit, win))
			continue;
		ret->window_ns += win->window_ns;
		ret->wait_ns += of(win)->wait_ns;
		ret->estimated |= win->estimated;
		for (int c = 0; c < CAUSE_NR; c++)
			ret->cause_ns[c] += of(win)->cause_ns[c];
	}
}

/* Rounded down, the remainder given to the largest: the sum is exact. */
void evidence_shares(const struct evidence *e, uint32_t ret_ppm[CAUSE_NR])
{
	uint32_t sum = 0;
	int largest = 0;

	for (int c = 0; c < CAUSE_NR; c++) {
		ret_ppm[c] = share_ppm(e->cause_ns[c], e->wait_ns);
		sum += ret_ppm[c];
		if (e->cause_ns[c] > e->cause_ns[largest])
			largest = c;
	}
	if (e->wait_ns)
		ret_ppm[largest] += PPM - sum;
}

static enum cause cause_of_excess(const struct watch *w, const struct evidence *e)
{
	enum cause cause = CAUSE_UNKNOWN;
	uint64_t most = 0;

	if (e->estimated)
		return CAUSE_UNKNOWN;
	for (int c = 0; c < CAUSE_NR; c++) {
		uint64_t usual = level_ns(&w->normal[c], e->window_ns);

		if (e->cause_ns[c] > usual && e->cause_ns[c] - usual > most) {
			most = e->cause_ns[c] - usual;
			cause = (enum cause)c;
		}
	}
	return cause;
}

static void explain(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t zone,
		    struct finding *f)
{
	const struct window *cur = watch_window(w, 0);
	struct evidence e;

	evidence_sum(w, bit, blame_cpu, &e);
	f->resource = RESOURCE_CPU;
	f->cause = cause_of_excess(w, &e);
	evidence_shares(&e, f->cause_ppm);
	f->window_ns = e.window_ns;
	f->wait_ns = e.wait_ns;
	f->wait_share_ppm = share_ppm(e.wait_ns, e.window_ns);
	f->wait_p99_ns = cur->wait_p99_ns;
	f->feed_p99_ns = cur->feed_p99_ns;
	f->baseline_share_ppm = baseline_mean_ppm(&w->foreign);
	f->nr_culprits = 0;
	if (f->cause == CAUSE_NEIGHBOUR)
		culprits_name(w, bit, s, zone, &e, f);
}

const struct detector detector_cpu = {
    .name = "cpu-wait",
    .summary = "runnable tasks kept waiting for a CPU beyond the zone's goal or habit",
    .judge = judge,
    .explain = explain,
};
