/* SPDX-License-Identifier: MIT */
/*
 * Stalls on memory and on io (PSI): harm when clearly more than usual. Whose doing it is, is told
 * by stall.c. The zone's own io is no harm: it would stall alone as well, be it by its part of all
 * io, be it as long as usual; its own memory limit is told, because nobody else would. And packets
 * that TCP had to send again, more than usual: what was lost, somebody had no room for.
 */
#include <stdio.h>
#include "base/parse.h"
#include "base/str.h"
#include "detect/internal.h"

static void judge(const struct stall *now, const struct baseline *b, uint32_t floor_ppm,
		  uint64_t ns, uint64_t window_ns, const char *what, struct verdict *ret)
{
	uint32_t share = share_ppm(ns, window_ns);
	char x[64], y[32];

	*ret = (struct verdict){.capped = true};
	if (!now->known)
		return;
	ret->ratio_ppm = ratio_ppm(share, baseline_limit_ppm(b, floor_ppm));
	snprintf(ret->why, sizeof(ret->why), "stalled %s %s, usually %s",
		 format_share(share, x, sizeof(x)), what,
		 format_ppm(baseline_mean_ppm(b), y, sizeof(y)));
}

static void judge_memory(const struct watch *w, const struct zone_view *z, struct verdict *ret)
{
	const struct window *cur = watch_window(w, 0);

	judge(&cur->memory, &w->memory, MEMORY_FLOOR_PPM, cur->memory.blame.wait_ns, cur->window_ns,
	      "for memory", ret);
}

uint64_t io_harm_ns(const struct watch *w, const struct window *win)
{
	uint64_t usual = level_ns(&w->io_usual, win->window_ns), all = win->io.blame.wait_ns;
	uint64_t more = all > usual ? all - usual : 0, others = stall_by_others_ns(&win->io);

	return others < more ? others : more;
}

static void judge_io(const struct watch *w, const struct zone_view *z, struct verdict *ret)
{
	const struct window *cur = watch_window(w, 0);

	judge(&cur->io, &w->io, IO_FLOOR_PPM, io_harm_ns(w, cur), cur->window_ns, "for io", ret);
}

static const struct blame *blame_memory(const struct window *win)
{
	return &win->memory.blame;
}

static const struct blame *blame_io(const struct window *win)
{
	return &win->io.blame;
}

static enum cause largest(const struct evidence *e)
{
	enum cause cause = CAUSE_UNKNOWN;

	for (int c = 0; c < CAUSE_NR; c++)
		if (e->cause_ns[c] > e->cause_ns[cause])
			cause = (enum cause)c;
	return cause;
}

static void explain(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t zone,
		    blame_fn of, const struct baseline *b, const char *told, struct finding *f)
{
	struct evidence e;

	evidence_sum(w, bit, of, &e);
	f->cause = largest(&e);
	evidence_shares(&e, f->cause_ppm);
	f->window_ns = e.window_ns;
	f->wait_ns = e.wait_ns;
	f->wait_share_ppm = share_ppm(e.wait_ns, e.window_ns);
	f->baseline_share_ppm = baseline_mean_ppm(b);
	str_copy(f->told, sizeof(f->told), told);
	f->nr_culprits = 0;
	if (f->cause == CAUSE_NEIGHBOUR)
		culprits_name(w, bit, s, zone, &e, f);
}

static void explain_memory(const struct watch *w, uint32_t bit, const struct snapshot *s,
			   uint32_t zone, struct finding *f)
{
	f->resource = RESOURCE_MEMORY;
	f->usual_stall_ppm = baseline_mean_ppm(&w->memory);
	explain(w, bit, s, zone, blame_memory, &w->memory, watch_window(w, 0)->memory.told, f);
}

static void explain_io(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t zone,
		       struct finding *f)
{
	f->resource = RESOURCE_IO;
	f->usual_stall_ppm = level_ppm(&w->io_usual);
	explain(w, bit, s, zone, blame_io, &w->io, watch_window(w, 0)->io.told, f);
}

static void judge_network(const struct watch *w, const struct zone_view *z, struct verdict *ret)
{
	const struct window *cur = watch_window(w, 0);
	uint32_t share = share_ppm(cur->network.blame.wait_ns, cur->window_ns);
	char x[32], y[32];

	*ret = (struct verdict){.capped = true};
	if (!cur->network.known)
		return;
	ret->ratio_ppm = ratio_ppm(share, baseline_limit_ppm(&w->network, NETWORK_FLOOR_PPM));
	snprintf(ret->why, sizeof(ret->why), "had to send %s of its packets again, usually %s",
		 format_ppm(share, x, sizeof(x)),
		 format_ppm(baseline_mean_ppm(&w->network), y, sizeof(y)));
}

static const struct blame *blame_network(const struct window *win)
{
	return &win->network.blame;
}

static void explain_network(const struct watch *w, uint32_t bit, const struct snapshot *s,
			    uint32_t zone, struct finding *f)
{
	f->resource = RESOURCE_NETWORK;
	f->usual_stall_ppm = baseline_mean_ppm(&w->network);
	explain(w, bit, s, zone, blame_network, &w->network, watch_window(w, 0)->network.told, f);
}

const struct detector detector_memory = {
    .name = "memory-stall",
    .summary = "tasks stalled on memory (reclaim, refaults, swap) beyond the zone's habit",
    .judge = judge_memory,
    .explain = explain_memory,
};

const struct detector detector_io = {
    .name = "io-stall",
    .summary = "tasks stalled on io beyond the zone's habit while others use the disks",
    .judge = judge_io,
    .explain = explain_io,
};

const struct detector detector_network = {
    .name = "network-loss",
    .summary = "packets that TCP had to send again, beyond the zone's habit",
    .judge = judge_network,
    .explain = explain_network,
};
