/* SPDX-License-Identifier: MIT */
/*
 * Did it help? The victim's ledger over whole windows after the write against the one before. What
 * counts is the waiting caused below the target: with several culprits at once each action answers
 * for its own. On the fast path there is no window before (the harm is younger than a millisecond),
 * so the event stands for it and the bar is absolute.
 */
#include <stdlib.h>
#include "base/str.h"
#include "decide/internal.h"

#define GONE_PPM	10000 /* waiting behind the target below 1 % of the time: as good as none */
#define FAST_GONE_PPM	30000
#define WAITS_MIN	10
#define TELLING_PER_SEC (16ull << 20)
#define PATIENCE	20 /* measure_ns: longer without a whole window means not measurable */

/*
 * A limit does not take effect at once: what is queued at the disk has to be served, what was
 * pushed out of memory to be read back, page by page. So measuring begins later, and a window in
 * which it has not helped yet is followed by another one until `until_ns`; while the stall is less
 * than before, or the victim's memory grows back, until `better_ns`.
 */
#define MSEC 1000000ull
static const struct {
	uint64_t settle_ns, until_ns, better_ns;
	uint32_t gone_ppm; /* so much beyond what is usual: as good as none */
} effect[RESOURCE_UNKNOWN + 1] = {
    [RESOURCE_MEMORY] = {2000 * MSEC, 5000 * MSEC, 30000 * MSEC, 30000},
    [RESOURCE_IO] = {1000 * MSEC, 3000 * MSEC, 3000 * MSEC, 30000},
    [RESOURCE_NETWORK] = {1000 * MSEC, 4000 * MSEC, 8000 * MSEC, 5000},
    [RESOURCE_CACHE] = {1000 * MSEC, 60000 * MSEC, 60000 * MSEC, 0},
};

static uint64_t use_of(const struct zone_view *z, bool *known)
{
	if (z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS))
		return z->delta[ZM_CPU_USAGE_NS];
	*known = false;
	return 0;
}

/* A stall can't be split by who caused the rest of it: all of it is judged. */
static void stall_add(struct measure *m, const struct zone_view *z, enum resource resource,
		      uint64_t window_ns)
{
	struct zone_stalls stalled = {0};
	uint32_t resent_ppm = 0;
	uint64_t ns;

	if (resource == RESOURCE_NETWORK) {
		m->blind |= !zone_resent(z, &resent_ppm);
		ns = (uint64_t)((unsigned __int128)window_ns * resent_ppm / PPM);
	} else {
		m->blind |= !zone_stalls(z, &stalled);
		ns = resource == RESOURCE_MEMORY ? stalled.memory_ns : stalled.io_ns;
	}
	m->wait_ns += ns;
	m->foreign_ns += ns;
	m->part_ns += ns;
}

static void cpi_add(struct measure *m, const struct zone_view *z)
{
	m->blind |= !(z->delta_valid & METRIC_BIT(ZM_REF_CYCLES)) ||
		    !(z->delta_valid & METRIC_BIT(ZM_INSTRUCTIONS));
	m->ref_cycles += z->delta[ZM_REF_CYCLES];
	m->instructions += z->delta[ZM_INSTRUCTIONS];
}

/* By which part its CPI is above what is usual for it. */
static uint32_t cpi_excess_ppm(const struct measure *m, uint32_t usual_ppm)
{
	uint32_t cpi_ppm = share_ppm(m->ref_cycles, m->instructions);

	return cpi_ppm > usual_ppm ? share_ppm(cpi_ppm - usual_ppm, usual_ppm) : 0;
}

static void target_add(struct measure *m, const struct zone_view *z, enum resource resource)
{
	m->target_ended = z->valid & METRIC_BIT(ZM_TASKS) && !z->value[ZM_TASKS];
	if (resource == RESOURCE_NETWORK && z->delta_valid & METRIC_BIT(ZM_NET_BYTES))
		m->target_bytes += z->delta[ZM_NET_BYTES];
	if (resource == RESOURCE_IO && z->delta_valid & METRIC_BIT(ZM_IO_READ_BYTES))
		m->target_bytes += z->delta[ZM_IO_READ_BYTES] + z->delta[ZM_IO_WRITE_BYTES];
}

void measure_add(struct measure *m, const struct snapshot *s, const struct ledger_view *l,
		 enum resource resource, uint32_t target)
{
	if (!m->window_ns)
		m->usage_known = true;
	m->window_ns += l->window_ns;
	m->waits += l->waits;
	m->wait_p99_ns = max_u64(m->wait_p99_ns, l->wait_p99_ns);
	m->feed_p99_ns = max_u64(m->feed_p99_ns, l->feed_p99_ns);
	m->victim_use_ns += use_of(&s->zones[l->zone], &m->usage_known);
	m->target_use_ns += use_of(&s->zones[target], &m->usage_known);
	target_add(m, &s->zones[target], resource);
	m->victim_bytes = s->zones[l->zone].value[ZM_MEM_BYTES];
	if (resource == RESOURCE_CACHE) {
		cpi_add(m, &s->zones[l->zone]);
		return;
	}
	if (resource != RESOURCE_CPU) {
		stall_add(m, &s->zones[l->zone], resource, l->window_ns);
		return;
	}
	m->wait_ns += l->wait_ns;
	m->foreign_ns += l->cause_ns[CAUSE_NEIGHBOUR];
	m->blind |= l->estimated;
	for (size_t i = 0; i < l->nr_parts; i++)
		if (l->parts[i].cause == CAUSE_NEIGHBOUR &&
		    snapshot_is_below(s, l->parts[i].zone, target))
			m->part_ns += l->parts[i].ns;
}

static uint64_t per_sec(uint64_t bytes, uint64_t window_ns)
{
	return window_ns ? (uint64_t)((unsigned __int128)bytes * 1000000000 / window_ns) : 0;
}

/* Stalls come in bursts: one window says little, those of the finding together say more. */
static void stall_of_finding(struct measure *m, const struct finding *f)
{
	m->window_ns = f->window_ns;
	m->wait_ns = m->foreign_ns = m->part_ns = f->wait_ns;
}

void outcome_before(struct action *a, struct trial *t, const struct contest *c, uint32_t target)
{
	const struct ledger_view *l = snapshot_ledger(c->s, c->victim);

	t->before = (struct measure){0};
	if (l)
		measure_add(&t->before, c->s, l, c->resource, target);
	t->target_per_sec = per_sec(t->before.target_bytes, t->before.window_ns);
	if (c->resource == RESOURCE_CACHE) {
		a->before_share_ppm = a->before_behind_ppm =
		    cpi_excess_ppm(&t->before, t->usual_stall_ppm);
		a->before_wait_p99_ns = t->before.wait_p99_ns;
		return;
	}
	if (c->resource != RESOURCE_CPU && c->finding->window_ns)
		stall_of_finding(&t->before, c->finding);
	a->before_wait_p99_ns = t->before.wait_p99_ns;
	a->before_share_ppm = share_ppm(t->before.foreign_ns, t->before.window_ns);
	a->before_behind_ppm = share_ppm(t->before.part_ns, t->before.window_ns);
	if (c->event) {
		a->before_wait_p99_ns = 0; /* one wait is no p99 */
		a->before_share_ppm =
		    share_ppm(c->event->foreign_ns, since_ns(c->event->now_ns, c->event->since_ns));
		if (a->before_share_ppm > PPM)
			a->before_share_ppm = PPM;
		a->before_behind_ppm = a->before_share_ppm;
	}
}

/* Without work of the victim there is nothing to compare. */
static bool victim_worked(const struct measure *before, const struct measure *after)
{
	uint32_t use = share_ppm(after->victim_use_ns, after->window_ns);

	if (after->waits >= WAITS_MIN || share_ppm(after->wait_ns, after->window_ns) >= GONE_PPM)
		return true;
	return after->usage_known && use >= 1000 &&
	       use >= share_ppm(before->victim_use_ns, before->window_ns) / 10;
}

/* Far from what it did before, and from what the limit leaves it. Where that is little, large
 * requests come seldom enough to miss a window. */
static bool sending_stopped(const struct action *a, const struct trial *t)
{
	uint64_t now = per_sec(t->after.target_bytes, t->after.window_ns);
	uint64_t limit = strtoull(a->to, NULL, 10);

	return (a->knob == KNOB_IO_MAX || a->knob == KNOB_NET_MAX) && limit >= TELLING_PER_SEC &&
	       now < t->target_per_sec / 8 && now < limit / 4;
}

/* The target stopped by itself: it is gone, or idle though the victim left it CPU, or did no io,
 * or sent nothing, though it might. That proves nothing. */
static bool target_stopped(const struct action *a, const struct trial *t)
{
	const struct measure *after = &t->after;

	if (after->target_ended || sending_stopped(a, t))
		return true;
	if (!after->usage_known || a->knob == KNOB_FREEZE || a->resource != RESOURCE_CPU)
		return false;
	return share_ppm(after->target_use_ns, after->window_ns) < 1000 &&
	       share_ppm(after->victim_use_ns, after->window_ns) < 900000;
}

static bool goals_met(const struct slo *slo, const struct measure *m)
{
	if (!slo->wait_p99_ns && !slo->wait_share_ppm)
		return false;
	if (slo->wait_p99_ns && (m->waits < WAITS_MIN || m->wait_p99_ns > slo->wait_p99_ns))
		return false;
	if (slo->latency_p99_ns && m->feed_p99_ns > slo->latency_p99_ns)
		return false;
	return !slo->wait_share_ppm ||
	       share_ppm(m->foreign_ns, m->window_ns) <= slo->wait_share_ppm;
}

/* A limit can't be set twice: less than a quarter of the harm gone is too little. What is usual for
 * the victim is no harm, and varies. */
static enum outcome judge_stall(enum resource resource, uint32_t before_ppm, uint32_t after_ppm,
				uint32_t usual_ppm)
{
	uint32_t before = before_ppm > usual_ppm ? before_ppm - usual_ppm : 0;
	uint32_t after = after_ppm > usual_ppm ? after_ppm - usual_ppm : 0;
	uint64_t good = max_u64(before / 4, min_u64(usual_ppm / 2, before / 2));

	return after <= max_u64(effect[resource].gone_ppm, good) ? OUTCOME_HELPED : OUTCOME_NO_HELP;
}

static enum outcome judge(const struct action *a, const struct trial *t, const struct slo *slo)
{
	uint32_t before = share_ppm(t->before.part_ns, t->before.window_ns);
	uint32_t after = share_ppm(t->after.part_ns, t->after.window_ns);

	if (t->after.blind || !victim_worked(&t->before, &t->after) || target_stopped(a, t))
		return OUTCOME_UNMEASURED;
	if (a->resource == RESOURCE_CACHE)
		return cpi_excess_ppm(&t->after, t->usual_stall_ppm) <= a->before_share_ppm / 2
			   ? OUTCOME_HELPED
			   : OUTCOME_NO_HELP;
	if (a->resource != RESOURCE_CPU)
		return judge_stall(a->resource, before, after, t->usual_stall_ppm);
	if (goals_met(slo, &t->after))
		return OUTCOME_HELPED;
	if (after <= (a->fast ? FAST_GONE_PPM : GONE_PPM) || after <= before / 2)
		return OUTCOME_HELPED;
	return OUTCOME_NO_HELP;
}

static void conclude(struct decide *d, size_t i, enum outcome outcome)
{
	struct action *a = &d->actions[i];
	struct trial *t = &d->trials[i];

	a->outcome = outcome;
	a->after_wait_p99_ns = t->after.wait_p99_ns;
	a->after_share_ppm = share_ppm(t->after.foreign_ns, t->after.window_ns);
	a->after_behind_ppm = share_ppm(t->after.part_ns, t->after.window_ns);
	if (a->resource == RESOURCE_CACHE)
		a->after_share_ppm = a->after_behind_ppm =
		    cpi_excess_ppm(&t->after, t->usual_stall_ppm);
	if (outcome == OUTCOME_NO_HELP && a->resource != RESOURCE_CACHE) {
		action_want_undo(d, i, "did not help");
		return;
	}
	a->state = ACTION_KEPT;
	a->settled_ns = d->now_ns;
}

/* It gets back what was taken, which it has to read: until then it stalls on. */
static bool memory_comes_back(struct trial *t, const struct action *a)
{
	bool more = t->after.victim_bytes > t->victim_bytes + t->victim_bytes / 64;

	t->victim_bytes = max_u64(t->victim_bytes, t->after.victim_bytes);
	return more && a->resource == RESOURCE_MEMORY;
}

/* Not yet, but it may still. */
static bool look_again(struct trial *t, const struct action *a, enum outcome o, uint64_t now_ns)
{
	uint64_t before = share_ppm(t->before.part_ns, t->before.window_ns);
	bool better = memory_comes_back(t, a) ||
		      share_ppm(t->after.part_ns, t->after.window_ns) < before * 3 / 4;

	return o == OUTCOME_NO_HELP &&
	       since_ns(now_ns, t->measure_from_ns) <
		   (better ? effect[a->resource].better_ns : effect[a->resource].until_ns);
}

static void outcome_run(struct decide *d, const struct snapshot *s, size_t i)
{
	struct action *a = &d->actions[i];
	struct trial *t = &d->trials[i];
	uint32_t victim = tree_find(&d->tree, a->victim_id),
		 target = tree_find(&d->tree, a->target_id);
	const struct ledger_view *l = victim == NO_ZONE ? NULL : snapshot_ledger(s, victim);

	if (target == NO_ZONE || victim == NO_ZONE)
		return;
	if (l && l->window_ns &&
	    s->now_ns >= t->measure_from_ns + l->window_ns + effect[a->resource].settle_ns)
		measure_add(&t->after, s, l, a->resource, target);
	if (t->after.window_ns && t->after.window_ns >= d->cfg.measure_ns) {
		enum outcome o = judge(a, t, &s->zones[victim].slo);

		if (look_again(t, a, o, d->now_ns))
			t->after = (struct measure){0};
		else
			conclude(d, i, o);
	} else if (since_ns(d->now_ns, t->measure_from_ns) >
		   PATIENCE * d->cfg.measure_ns + effect[a->resource].better_ns)
		conclude(d, i, OUTCOME_UNMEASURED);
}

void outcomes_run(struct decide *d, const struct snapshot *s)
{
	for (size_t i = 0; i < d->nr_actions; i++)
		if (d->actions[i].state == ACTION_APPLIED && d->trials[i].phase == PHASE_RESTING &&
		    !d->trials[i].want_undo)
			outcome_run(d, s, i);
}
