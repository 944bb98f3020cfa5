/* SPDX-License-Identifier: MIT */
/*
 * Runs the detectors over every protected zone: keeps the last windows, applies hysteresis, numbers
 * findings. Raised by one extreme window or by two of three; closed after five quiet ones.
 * A window much longer than a tick (suspend, a stalled daemon) mixes too much to be judged: it
 * counts neither for nor against.
 */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "detect/internal.h"
#include "detect/stall.h"

#define EXTREME_PPM	  (4 * PPM)
#define CRITICAL_PPM	  (5 * PPM)
#define CLOSE_WINDOWS	  5
#define LONG_WINDOW_TICKS 5
#define LONG_WINDOW_NS	  10000000000ull

struct detect {
	uint64_t tick_ns, last_seq, runs;
	size_t nr;
	struct watch *watches[WATCHES_MAX];
	struct stalls stalls;
	struct cpi2_zones *cpi2;
};

int detect_new(const struct config *cfg, struct detect **ret)
{
	struct detect *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->tick_ns = cfg->tick_ns;
	*ret = d;
	return 0;
}

static void watch_free(struct watch *w)
{
	for (size_t i = 0; i < DETECTORS_MAX; i++)
		free(w->tracks[i].named);
	free(w);
}

void detect_free(struct detect *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->nr; i++)
		watch_free(d->watches[i]);
	stalls_done(&d->stalls);
	cpi2_zones_free(d->cpi2);
	free(d);
}

uint64_t detect_last_seq(const struct detect *d)
{
	return d->last_seq;
}

void detect_set_last_seq(struct detect *d, uint64_t seq)
{
	d->last_seq = seq;
}

const struct window *watch_window(const struct watch *w, size_t i)
{
	if (i >= w->nr)
		return NULL;
	return &w->ring[(w->head + RING_WINDOWS - i) % RING_WINDOWS];
}

static struct watch *watch_get(struct detect *d, uint64_t zone_id)
{
	struct watch *w;

	for (size_t i = 0; i < d->nr; i++)
		if (d->watches[i]->zone_id == zone_id)
			return d->watches[i];
	if (d->nr == WATCHES_MAX)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->zone_id = zone_id;
	d->watches[d->nr++] = w;
	return w;
}

_Static_assert(offsetof(struct watch, tracks) ==
		   offsetof(struct watch, learned) + sizeof(((struct learned *)0)->numbers),
	       "all that is learned is told");

size_t detect_learned(const struct detect *d, struct learned *ret, size_t max)
{
	size_t nr = 0;

	for (; nr < d->nr && nr < max; nr++) {
		ret[nr].zone_id = d->watches[nr]->zone_id;
		memcpy(ret[nr].numbers, d->watches[nr]->learned, sizeof(ret[nr].numbers));
	}
	return nr;
}

void detect_learn(struct detect *d, const struct learned *l)
{
	struct watch *w = watch_get(d, l->zone_id);

	if (w)
		memcpy(w->learned, l->numbers, sizeof(w->learned));
}

static void window_parts(struct watch *w, struct window *win, const struct snapshot *s,
			 const struct ledger_view *l)
{
	for (size_t i = 0; i < l->nr_parts && win->cpu.nr_parts < PARTS_KEPT; i++) {
		const struct ledger_part *p = &l->parts[i];
		struct window_part *kept = &win->cpu.parts[win->cpu.nr_parts];

		if (p->cause != CAUSE_NEIGHBOUR || !p->ns)
			continue;
		*kept = (struct window_part){
		    .zone_id = p->culprit_id, .ns = p->ns, .pid = p->pid, .cpu = p->cpu};
		str_copy(kept->comm, sizeof(kept->comm), p->comm);
		win->cpu.nr_parts++;
		if (p->zone < s->nr_zones && share_ppm(p->ns, l->wait_ns) >= NAMED_MIN_PPM)
			names_remember(w, &s->zones[p->zone]);
	}
}

static struct window *watch_push(struct watch *w, const struct snapshot *s,
				 const struct ledger_view *l)
{
	const struct zone_view *z = &s->zones[l->zone];
	uint32_t disk = w->nr ? watch_window(w, 0)->disk : 0;
	struct window *win;

	w->head = w->nr ? (w->head + 1) % RING_WINDOWS : 0;
	if (w->nr < RING_WINDOWS)
		w->nr++;
	win = &w->ring[w->head];
	*win = (struct window){
	    .now_ns = s->now_ns,
	    .window_ns = l->window_ns,
	    .cpu.wait_ns = l->wait_ns,
	    .waits = l->waits,
	    .wait_p99_ns = l->wait_p99_ns,
	    .feed_count = l->feed_count,
	    .feed_p99_ns = l->feed_p99_ns,
	    .usage_known = z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS),
	    .usage_ns = z->delta[ZM_CPU_USAGE_NS],
	    .estimated = l->estimated,
	    .disk = disk,
	};
	memcpy(win->cpu.cause_ns, l->cause_ns, sizeof(win->cpu.cause_ns));
	if (l->estimated) { /* nothing was attributed, whatever the fields say */
		memset(win->cpu.cause_ns, 0, sizeof(win->cpu.cause_ns));
		win->cpu.cause_ns[CAUSE_UNKNOWN] = l->wait_ns;
	}
	window_parts(w, win, s, l);
	return win;
}

/* The first instant of harm is the start of the oldest harmful window that raised it. */
static uint64_t harm_since(const struct watch *w, uint32_t bit)
{
	uint64_t since = 0;

	for (size_t i = 0; i < 3 && i < w->nr; i++) {
		const struct window *win = watch_window(w, i);

		if (win->harm & bit)
			since = win->now_ns - win->window_ns;
	}
	return since;
}

static enum severity severity_of(const struct verdict *v, enum cause cause)
{
	if (cause == CAUSE_IDLE)
		return SEVERITY_INFO;
	if (v->capped || cause == CAUSE_SELF || v->ratio_ppm < CRITICAL_PPM)
		return SEVERITY_WARNING;
	return SEVERITY_CRITICAL;
}

static void track_open(struct detect *d, struct track *t, const struct watch *w, uint32_t bit)
{
	t->raised = true;
	t->finding = (struct finding){
	    .seq = ++d->last_seq,
	    .victim_id = w->zone_id,
	    .since_ns = harm_since(w, bit),
	    .open = true,
	};
}

/* Culprits leave, and what they began goes on for a while: an end without a cause would hide them.
 */
static void note_culprits(struct track *t)
{
	const struct finding *f = &t->finding;

	t->nr_unknown += f->cause == CAUSE_UNKNOWN;
	if (!f->nr_culprits)
		return;
	t->nr_named++;
	if (!t->named)
		t->named = malloc(sizeof(*t->named));
	if (t->named)
		*t->named = *f;
}

static void track_confirm(struct track *t, const struct detector *det, uint32_t bit,
			  const struct watch *w, const struct snapshot *s, uint32_t zone,
			  const struct verdict *v)
{
	const struct zone_view *z = &s->zones[zone];
	struct finding *f = &t->finding;

	str_copy(f->victim_name, sizeof(f->victim_name), z->name);
	f->last_ns = s->now_ns;
	f->goal_wait_p99_ns = z->slo.wait_p99_ns;
	f->goal_latency_p99_ns = z->slo.latency_p99_ns;
	str_copy(f->why, sizeof(f->why), v->why);
	det->explain(w, bit, s, zone, f);
	note_culprits(t);
	f->severity = severity_of(v, f->cause);
}

static bool track_judge(struct detect *d, struct watch *w, size_t nr, const struct detector *det,
			const struct snapshot *s, uint32_t zone)
{
	struct track *t = &w->tracks[nr];
	uint32_t bit = 1u << nr;
	struct verdict v;
	bool harm;

	det->judge(w, &s->zones[zone], &v);
	harm = v.ratio_ppm > PPM;
	t->history = (uint8_t)(t->history << 1 | harm);
	t->quiet = harm ? 0 : t->quiet + 1;
	if (harm)
		w->ring[w->head].harm |= bit;
	if (!t->raised && harm &&
	    ((v.solid && v.ratio_ppm >= EXTREME_PPM) || __builtin_popcount(t->history & 7) >= 2))
		track_open(d, t, w, bit);
	if (t->raised && harm)
		track_confirm(t, det, bit, w, s, zone, &v);
	return harm;
}

static void track_close(struct track *t)
{
	uint64_t last_ns = t->finding.last_ns;

	if (t->named && t->finding.cause == CAUSE_UNKNOWN && t->nr_named >= t->nr_unknown) {
		t->finding = *t->named;
		t->finding.last_ns = last_ns;
	}
	t->finding.open = false;
	free(TAKE_PTR(t->named));
	t->nr_named = t->nr_unknown = 0;
}

static void emit(struct track *t, struct finding_set *ret)
{
	if (t->raised && ret->nr < FINDINGS_MAX)
		ret->items[ret->nr++] = t->finding;
}

static void track_report(struct track *t, struct finding_set *ret)
{
	if (t->raised && t->quiet >= CLOSE_WINDOWS)
		track_close(t);
	emit(t, ret);
	t->raised = t->raised && t->finding.open;
}

/* A window without any io says nothing about how long the zone's io takes. */
static void learn_io(struct watch *w, const struct window *win, uint32_t use)
{
	uint32_t harm = share_ppm(io_harm_ns(w, win), win->window_ns);
	uint64_t stall_ns = win->io.blame.wait_ns;

	if (stall_ns && harm <= baseline_limit_ppm(&w->io, IO_FLOOR_PPM))
		level_learn(&w->io_usual, share_ppm(stall_ns, win->window_ns), use, win->window_ns);
	baseline_learn(&w->io, IO_FLOOR_PPM, harm, use, win->window_ns);
}

static void learn(struct watch *w, bool harm)
{
	const struct window *win = watch_window(w, 0);
	uint64_t robbed = window_robbed_ns(win);
	uint64_t foreign = window_foreign_ns(win);
	uint32_t use = win->usage_known ? share_ppm(win->usage_ns, win->window_ns) : UINT32_MAX;

	baseline_learn(&w->foreign, FOREIGN_FLOOR_PPM, share_ppm(foreign, win->window_ns), use,
		       win->window_ns);
	if (win->memory.known)
		baseline_learn(&w->memory, MEMORY_FLOOR_PPM,
			       share_ppm(win->memory.blame.wait_ns, win->window_ns), use,
			       win->window_ns);
	if (win->io.known)
		learn_io(w, win, use);
	if (win->network.known)
		baseline_learn(&w->network, NETWORK_FLOOR_PPM,
			       share_ppm(win->network.blame.wait_ns, win->window_ns), use,
			       win->window_ns);
	baseline_learn(&w->robbed, ROBBED_FLOOR_PPM, share_ppm(robbed, win->window_ns), use,
		       win->window_ns);
	for (int c = 0; c < CAUSE_NR && !harm; c++)
		level_learn(&w->normal[c], share_ppm(win->cpu.cause_ns[c], win->window_ns), use,
			    win->window_ns);
}

/* What was learned blind (or seeing) is no measure for the other. */
static void forget_if_sight_changed(struct watch *w)
{
	const struct window *now = watch_window(w, 0), *before = watch_window(w, 1);

	if (!before || before->estimated == now->estimated)
		return;
	w->foreign = w->robbed = (struct baseline){0};
	memset(w->normal, 0, sizeof(w->normal));
}

static bool too_long(const struct detect *d, uint64_t window_ns)
{
	uint64_t limit = LONG_WINDOW_TICKS * d->tick_ns;

	return window_ns > (limit > LONG_WINDOW_NS ? limit : LONG_WINDOW_NS);
}

static void watch_run(struct detect *d, struct watch *w, const struct snapshot *s,
		      const struct ledger_view *l, struct finding_set *ret)
{
	size_t nr;
	const struct detector *const *list = detectors(&nr);
	bool harm = false;

	w->seen_seq = d->runs;
	if (too_long(d, l->window_ns)) {
		w->nr = 0;
	} else if (l->window_ns) {
		struct window *win = watch_push(w, s, l);

		stalls_measure(&d->stalls, s, l->zone, win);
		cpi2_zones_harm(d->cpi2, w->zone_id, s->now_ns, &win->cpi);
		forget_if_sight_changed(w);
		for (size_t i = 0; i < nr; i++)
			harm |= track_judge(d, w, i, list[i], s, l->zone);
		learn(w, harm);
	}
	for (size_t i = 0; i < nr; i++)
		track_report(&w->tracks[i], ret);
}

/* No longer protected, or gone: what was open is closed, once. */
static void watch_end(struct watch *w, struct finding_set *ret)
{
	for (size_t i = 0; i < DETECTORS_MAX; i++) {
		track_close(&w->tracks[i]);
		emit(&w->tracks[i], ret);
	}
	watch_free(w);
}

void detect_run(struct detect *d, const struct snapshot *s, struct finding_set *ret)
{
	size_t kept = 0;

	ret->nr = 0;
	d->runs++;
	if (s->nr_ledgers && stalls_update(&d->stalls, s) < 0)
		stalls_done(&d->stalls); /* no memory: nobody is blamed for stalls in this run */
	d->stalls.frozen = false;
	cpi2_zones_run(&d->cpi2, s);
	for (size_t i = 0; i < s->nr_ledgers; i++) {
		const struct ledger_view *l = &s->ledgers[i];
		struct watch *w = l->zone < s->nr_zones ? watch_get(d, s->zones[l->zone].id) : NULL;

		if (w)
			watch_run(d, w, s, l, ret);
		d->stalls.frozen |= w && stalls_may_have_culprit(watch_window(w, 0));
	}
	for (size_t i = 0; i < d->nr; i++) {
		if (d->watches[i]->seen_seq == d->runs)
			d->watches[kept++] = d->watches[i];
		else
			watch_end(d->watches[i], ret);
	}
	d->nr = kept;
}
