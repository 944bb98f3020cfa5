/* SPDX-License-Identifier: MIT */
/*
 * Which zone is read by which probe, and when: a tick cut into units of one reading.
 *
 * Of 10,000 zones most are idle, and reading what they used is most of the cost. A zone's time is
 * in its parent's. So zones that ran lately are read first; of the others, those are left for the
 * second round whose parent was read: there they are read only if the zones read so far do not
 * account for the parent's growth. A zone that wakes is thus seen in the same tick.
 *
 * Limit: children are read a little later than their parent, so growth of up to SLACK_PPM of the
 * tick may go unnoticed at first. It adds up, and at SLACK_SUM times that all children are read.
 * What a zone that runs used meanwhile may hide more: every zone is read in its idle round anyway.
 * Protected zones and those above them are always read.
 */
#include "probes/internal.h"

#define SLACK_PPM   2000 /* of the time since the previous tick, as CPU time */
#define SLACK_SUM   5
#define IDLE_ROUNDS 6	/* slow rounds between two looks at a zone that does not run */
#define SKIPS_MAX   32u /* units without reading anything between two looks at the clock */

static bool ran_lately(const struct probes *p, const struct probe_zone *z)
{
	return p->tick - z->active_tick < 2;
}

static bool slow_round(const struct probes *p, const struct probe_zone *z)
{
	return (p->tick + (uint32_t)z->id) % p->slow_every == 0;
}

/* A slow reading is due in its round, and at once for a zone that has never had it. */
static bool slow_due(const struct probes *p, const struct probe *probe, const struct probe_zone *z)
{
	return slow_round(p, z) || (probe->metrics && !(z->row.valid & probe->metrics));
}

static bool is_due(const struct probes *p, size_t i, struct probe_zone *z)
{
	const struct probe *probe = probe_list[i];
	bool lately = ran_lately(p, z) || z->interest == PROBE_PROTECTED || !p->instances[0].on;

	if (!p->instances[i].on)
		return false;
	switch (probe->when) {
	case WHEN_ALWAYS:
		return true;
	case WHEN_ACTIVE:
		return lately;
	case WHEN_SLOW:
		return lately && slow_due(p, probe, z);
	case WHEN_PROTECTED:
		return probe_zone_owner(p, z) != NULL;
	case WHEN_HOST:
		break;
	}
	return false;
}

static void hooks(struct probes *p, bool begin)
{
	for (size_t i = 0; i < probe_list_nr; i++) {
		const struct probe *probe = probe_list[i];
		void (*hook)(void *, struct probes *) = begin ? probe->begin : probe->end;

		if (hook && p->instances[i].on)
			hook(p->instances[i].state, p);
	}
}

void probes_tick_begin(struct probes *p, uint64_t now_ns)
{
	if (p->running)
		p->stats.late_ticks_total++;
	p->previous_ns = p->now_ns;
	p->now_ns = now_ns;
	p->tick++;
	/* what an unfinished tick did not reach comes first: at stays, else from the start */
	if (!p->at || p->second_round)
		p->at = p->first;
	p->at_probe = 0;
	p->from_first = p->wrapped = p->at == p->first;
	p->second_round = false;
	p->running = true;
	p->active_now = 0;
	hooks(p, true);
}

/* Left for the second round? Only where parents come first, and this zone's was read or left too.
 */
static bool may_wait(const struct probes *p, const struct probe_zone *z)
{
	const struct probe_zone *up = z->parent;

	if (!up || !p->from_first || !p->instances[0].on || z->protected_below)
		return false;
	if (ran_lately(p, z) || probe_turn(p, z, p->slow_every * IDLE_ROUNDS) ||
	    !(z->row.valid & METRIC_BIT(ZM_CPU_USAGE_NS)))
		return false;
	return up->waiting_tick == p->tick || (up->usage_tick == p->tick && up->row.active);
}

static uint64_t unexplained_ns(const struct probe_zone *z)
{
	uint64_t all_ns = z->unexplained_ns + z->grown_ns;

	return all_ns > z->children_ns ? all_ns - z->children_ns : 0;
}

/* Do those of its children that were read leave so much open that the others are read too? */
static bool must_search(const struct probes *p, const struct probe_zone *z)
{
	uint64_t slack_ns = (p->now_ns - p->previous_ns) / 1000000 * SLACK_PPM;

	return z->grown_ns > z->children_ns + slack_ns || unexplained_ns(z) > SLACK_SUM * slack_ns;
}

uint64_t probe_unexplained_ns(const struct probes *p, const struct probe_zone *z)
{
	return must_search(p, z) ? 0 : unexplained_ns(z);
}

/* In the second round: did this zone's parent use more than the zones read so far? */
static bool may_have_run(const struct probes *p, const struct probe_zone *z)
{
	const struct probe_zone *up = z->parent;

	if (!up || up->usage_tick != p->tick)
		return true;
	return up->row.active && must_search(p, up);
}

static void done_with(struct probes *p, struct probe_zone *z)
{
	z->tick = p->tick;
	p->active_now += z->row.active;
	p->at = z->next;
	p->at_probe = 0;
}

/* One reading of one probe. */
static void visit(struct probes *p, struct probe_zone *z)
{
	int r = 0;

	while (p->at_probe < probe_list_nr && !is_due(p, p->at_probe, z))
		p->at_probe++;
	if (p->at_probe < probe_list_nr) {
		r = probe_list[p->at_probe]->read(p->instances[p->at_probe].state, p, z);
		if (r == -ENOENT && probe_list[p->at_probe]->when == WHEN_ALWAYS)
			p->stats.vanished_total++;
		else if (r < 0 && r != -ENOENT && r != -EMFILE && r != -ENFILE)
			p->stats.errors_total++;
		if (r != 1)
			p->at_probe++;
	}
	while (p->at_probe < probe_list_nr && !is_due(p, p->at_probe, z))
		p->at_probe++;
	if (p->at_probe == probe_list_nr)
		done_with(p, z);
}

/* One unit of the first round. */
static void first_round(struct probes *p, struct probe_zone *z)
{
	if (p->at_probe == 0 && may_wait(p, z)) {
		z->waiting_tick = p->tick;
		p->at = z->next;
		return;
	}
	visit(p, z);
}

static void second_round(struct probes *p, struct probe_zone *z)
{
	if (z->tick == p->tick) {
		p->at = z->next;
	} else if (p->at_probe == 0 && !may_have_run(p, z)) {
		z->usage_tick = p->tick;
		z->row.active = false;
		done_with(p, z);
	} else {
		visit(p, z);
	}
}

/* One unit. False: all zones were seen to. */
static bool unit(struct probes *p)
{
	if (!p->at && !p->wrapped) {
		p->wrapped = true;
		p->at = p->first;
	}
	if (!p->second_round && p->at && p->at->tick != p->tick) {
		first_round(p, p->at);
	} else if (!p->second_round) {
		p->second_round = true;
		p->at = p->first;
	} else if (p->at) {
		second_round(p, p->at);
	} else {
		return false;
	}
	return true;
}

/* Asking for the time costs as much as passing by a zone. */
static bool is_over(const struct probes *p, const struct slice *slice, uint64_t *last_work,
		    unsigned int *skips)
{
	uint64_t work = p->stats.reads_total + p->stats.opens_total;

	if (work == *last_work && ++*skips % SKIPS_MAX)
		return false;
	*last_work = work;
	return slice_over(slice);
}

bool probes_tick_step(struct probes *p, const struct slice *slice)
{
	uint64_t last_work = 0;
	unsigned int skips = 0;

	if (!p->running)
		return false;
	while (unit(p))
		if (is_over(p, slice, &last_work, &skips))
			return true;
	hooks(p, false);
	p->running = p->second_round = false;
	p->at = NULL;
	p->stats.active = p->active_now;
	return false;
}
