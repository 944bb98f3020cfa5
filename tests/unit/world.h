/* SPDX-License-Identifier: MIT */
/* A small host in literals, for tests of detect and decide: zones, ledgers, one snapshot a tick. */
#pragma once
#include <string.h>
#include "model/config.h"
#include "model/finding.h"
#include "model/snapshot.h"

#define SEC	    1000000000ull
#define MSEC	    1000000ull
#define WORLD_ZONES 64
#define WORLD_PARTS 48

struct world {
	struct snapshot s;
	struct zone_view zones[WORLD_ZONES];
	struct ledger_view ledgers[4];
	struct ledger_part parts[4][WORLD_PARTS];
	struct config cfg;
};

/* Of all causes: a whole, whatever the finding. */
static inline uint32_t finding_sum_ppm(const struct finding *f)
{
	uint32_t sum = 0;

	for (int c = 0; c < CAUSE_NR; c++)
		sum += f->cause_ppm[c];
	return sum;
}

static inline uint64_t world_id(uint32_t zone)
{
	return 100 + zone;
}

static inline uint32_t world_add(struct world *w, uint32_t parent, const char *name,
				 enum zone_class class)
{
	uint32_t i = (uint32_t)w->s.nr_zones++;

	w->zones[i] = (struct zone_view){
	    .id = world_id(i),
	    .parent = parent,
	    .depth = parent == NO_ZONE ? 0 : w->zones[parent].depth + 1,
	    .name = name,
	    .path = name,
	    .class = class,
	    .delta_valid = METRIC_BIT(ZM_CPU_USAGE_NS),
	};
	return i;
}

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	config_defaults(&w->cfg);
	w->s.zones = w->zones;
	w->s.ledgers = w->ledgers;
	w->s.now_ns = 1000 * SEC;
	w->s.cpus.nr_cpus = 2;
	cpuset_add(&w->s.cpus.online, 0);
	cpuset_add(&w->s.cpus.online, 1);
	world_add(w, NO_ZONE, "/", CLASS_NORMAL);
	w->zones[0].off_limits = true;
}

/* The next tick begins: nothing has waited, nothing has run. */
static inline void world_tick(struct world *w, uint64_t window_ns)
{
	w->s.seq++;
	w->s.now_ns += window_ns;
	w->s.window_ns = window_ns;
	w->s.nr_ledgers = 0;
	for (size_t i = 0; i < w->s.nr_zones; i++)
		w->zones[i].delta[ZM_CPU_USAGE_NS] = 0;
}

static inline struct ledger_view *world_ledger(struct world *w, uint32_t victim, uint64_t waits,
					       uint64_t p99_ns)
{
	size_t i = w->s.nr_ledgers++;

	w->ledgers[i] = (struct ledger_view){.zone = victim,
					     .window_ns = w->s.window_ns,
					     .waits = waits,
					     .wait_p99_ns = p99_ns,
					     .parts = w->parts[i]};
	return &w->ledgers[i];
}

static inline void world_part(struct world *w, struct ledger_view *l, enum cause cause,
			      uint32_t zone, uint64_t ns)
{
	struct ledger_part *p = &w->parts[l - w->ledgers][l->nr_parts++];

	*p = (struct ledger_part){
	    .cause = cause, .zone = NO_ZONE, .ns = ns, .cpu = 1, .pid = 4000, .comm = "stress-ng"};
	if (cause == CAUSE_NEIGHBOUR) {
		p->zone = zone;
		p->culprit_id = world_id(zone);
	}
	l->wait_ns += ns;
	l->cause_ns[cause] += ns;
}

static inline void world_use(struct world *w, uint32_t zone, uint64_t ns)
{
	for (; zone != NO_ZONE; zone = w->zones[zone].parent)
		w->zones[zone].delta[ZM_CPU_USAGE_NS] += ns;
}
