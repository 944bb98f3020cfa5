/* SPDX-License-Identifier: MIT */
/*
 * The ladder, least drastic first. Idle class and weight decide only among siblings, so they are
 * for the contender (the culprit's side child of the lowest common ancestor); exclusion from CPUs,
 * cap and freeze work at any level, hence also on the culprit alone when its contender is not ours
 * to touch.
 */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "base/parse.h"
#include "base/str.h"
#include "decide/internal.h"

#define CAP_PERIOD_US 100000
#define CAP_MIN_US    1000 /* the kernel takes no smaller quota */

struct rung_desc {
	enum knob knob;
	bool needs_contender;
	bool (*allowed)(const struct guard_config *cfg);
	bool (*value)(const struct decide *d, const struct contest *c, struct action *ret);
	const char *expect;
};

static bool always(const struct guard_config *cfg)
{
	return true;
}

static bool cpuset_allowed(const struct guard_config *cfg)
{
	return cfg->allow_cpuset;
}

static bool cap_allowed(const struct guard_config *cfg)
{
	return cfg->allow_cap;
}

static bool freeze_allowed(const struct guard_config *cfg)
{
	return cfg->allow_freeze;
}

static bool value_one(const struct decide *d, const struct contest *c, struct action *ret)
{
	return str_copy(ret->to, sizeof(ret->to), "1");
}

static void add_with_siblings(struct cpuset *set, const struct cpu_topology *topo, int32_t cpu)
{
	if (cpu < 0 || (uint32_t)cpu >= topo->nr_cpus)
		return;
	cpuset_add(set, (unsigned int)cpu);
	for (uint32_t i = 0; topo->core_of && i < topo->nr_cpus; i++)
		if (topo->core_of[i] == topo->core_of[cpu])
			cpuset_add(set, i);
}

/* The CPUs on which the victim was seen waiting for zones below base, with their SMT siblings. */
static void contested_cpus(const struct contest *c, struct cpuset *ret)
{
	const struct ledger_view *l = snapshot_ledger(c->s, c->victim);

	cpuset_zero(ret);
	if (c->culprit)
		add_with_siblings(ret, &c->s->cpus, c->culprit->cpu);
	for (size_t i = 0; l && i < l->nr_parts; i++)
		if (l->parts[i].cause == CAUSE_NEIGHBOUR &&
		    snapshot_is_below(c->s, l->parts[i].zone, c->base))
			add_with_siblings(ret, &c->s->cpus, l->parts[i].cpu);
	cpuset_and(ret, ret, &c->s->cpus.online);
}

/* At least half of the CPUs remain: a victim that runs everywhere is not helped by exclusion. */
static bool value_cpuset(const struct decide *d, const struct contest *c, struct action *ret)
{
	struct cpuset away, rest;

	contested_cpus(c, &away);
	cpuset_andnot(&rest, &c->s->cpus.online, &away);
	if (!cpuset_count(&away) || !cpuset_count(&rest) ||
	    cpuset_count(&away) > cpuset_count(&rest))
		return false;
	return cpuset_format(&rest, ret->to, sizeof(ret->to)) >= 0;
}

static bool cap_at(const struct contest *c, uint64_t ppm, struct action *ret)
{
	uint64_t quota_us = ppm * CAP_PERIOD_US / PPM;

	if (quota_us < CAP_MIN_US)
		quota_us = CAP_MIN_US;
	return str_printf(ret->to, sizeof(ret->to), "%llu %d", (unsigned long long)quota_us,
			  CAP_PERIOD_US) >= 0;
}

static bool base_use_ppm(const struct contest *c, uint64_t *ret)
{
	const struct zone_view *z = &c->s->zones[c->base];

	if (!(z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS)) || !c->s->window_ns)
		return false;
	*ret = share_ppm(z->delta[ZM_CPU_USAGE_NS], c->s->window_ns);
	return true;
}

static bool value_cap_half(const struct decide *d, const struct contest *c, struct action *ret)
{
	uint64_t use;

	if (!base_use_ppm(c, &use) || use / 2 <= d->cfg.min_cap_ppm)
		return false;
	return cap_at(c, use / 2, ret);
}

static bool value_cap_floor(const struct decide *d, const struct contest *c, struct action *ret)
{
	uint64_t use;

	if (base_use_ppm(c, &use) && use <= d->cfg.min_cap_ppm)
		return false;
	return cap_at(c, d->cfg.min_cap_ppm, ret);
}

/* CPI2's cap of best-effort work: 0.01 CPU. */
static bool value_cap_cpi2(const struct decide *d, const struct contest *c, struct action *ret)
{
	return cap_at(c, 10000, ret);
}

/* Steps on memory and io go by what the culprit has and does now, in whole MiB: kernels keep pages.
 */
#define MIB (1ull << 20)

static bool memory_allowed(const struct guard_config *cfg)
{
	return cfg->allow_memory;
}

static bool io_allowed(const struct guard_config *cfg)
{
	return cfg->allow_io;
}

static bool network_allowed(const struct guard_config *cfg)
{
	return cfg->allow_network;
}

static bool value_bytes(uint64_t bytes, struct action *ret)
{
	return str_printf(ret->to, sizeof(ret->to), "%llu",
			  (unsigned long long)((bytes + MIB - 1) / MIB * MIB)) >= 0;
}

/* v1 takes no limit below what can't be taken back at once: most of the page cache can. */
static uint64_t memory_least(const struct zone_view *z)
{
	bool v1 = !(z->valid & METRIC_BIT(ZM_MEM_HIGH_EVENTS));
	uint64_t file = z->value[ZM_MEM_FILE_BYTES], all = z->value[ZM_MEM_BYTES];

	if (!v1 || !(z->valid & METRIC_BIT(ZM_MEM_FILE_BYTES)))
		return 0;
	return file < all ? all - file + file / 8 : all / 8;
}

/* Where that leaves little to take back, the first step down is tried all the same: a program that
 * allocates and frees is below the limit now and then. */
static bool memory_at(const struct decide *d, const struct contest *c, unsigned int part,
		      struct action *ret)
{
	const struct zone_view *z = &c->s->zones[c->base];
	uint64_t all = z->value[ZM_MEM_BYTES], bytes = all / part, least = memory_least(z);

	if (!(z->valid & METRIC_BIT(ZM_MEM_BYTES)) || bytes < d->cfg.min_memory_bytes)
		return false;
	if (bytes < least && least < all - all / 8)
		return part <= 2 && value_bytes(least, ret);
	return value_bytes(bytes, ret);
}

static bool value_memory_hold(const struct decide *d, const struct contest *c, struct action *ret)
{
	return memory_at(d, c, 1, ret);
}

static bool value_memory_half(const struct decide *d, const struct contest *c, struct action *ret)
{
	return memory_at(d, c, 2, ret);
}

static bool value_memory_quarter(const struct decide *d, const struct contest *c,
				 struct action *ret)
{
	return memory_at(d, c, 4, ret);
}

static bool io_at(const struct decide *d, const struct contest *c, unsigned int part,
		  struct action *ret)
{
	const struct zone_view *z = &c->s->zones[c->base];
	uint64_t bytes = z->delta[ZM_IO_READ_BYTES] + z->delta[ZM_IO_WRITE_BYTES];
	uint64_t per_sec;

	if (!(z->delta_valid & METRIC_BIT(ZM_IO_READ_BYTES)) || !c->s->window_ns)
		return false;
	per_sec = (uint64_t)((unsigned __int128)bytes * 1000000000 / c->s->window_ns) / part;
	return per_sec > d->cfg.min_io_bytes && value_bytes(per_sec, ret);
}

static bool value_io_half(const struct decide *d, const struct contest *c, struct action *ret)
{
	return io_at(d, c, 2, ret);
}

static bool value_io_eighth(const struct decide *d, const struct contest *c, struct action *ret)
{
	return io_at(d, c, 8, ret);
}

static bool value_io_floor(const struct decide *d, const struct contest *c, struct action *ret)
{
	return value_bytes(d->cfg.min_io_bytes, ret);
}

/* Bytes a second, where the victim sends as well. */
static bool network_to(const struct contest *c, uint64_t per_sec, struct action *ret)
{
	const struct zone_view *z = &c->s->zones[c->base];

	if (!z->interface[0] || strcmp(z->interface, c->s->zones[c->victim].interface))
		return false;
	return str_printf(ret->to, sizeof(ret->to), "%llu %s", (unsigned long long)per_sec,
			  z->interface) >= 0;
}

static bool network_at(const struct decide *d, const struct contest *c, unsigned int part,
		       struct action *ret)
{
	const struct zone_view *z = &c->s->zones[c->base];
	uint64_t per_sec;

	if (!(z->delta_valid & METRIC_BIT(ZM_NET_BYTES)) || !c->s->window_ns)
		return false;
	per_sec =
	    (uint64_t)((unsigned __int128)z->delta[ZM_NET_BYTES] * 1000000000 / c->s->window_ns) /
	    part;
	return per_sec > d->cfg.min_network_bytes && network_to(c, per_sec, ret);
}

static bool value_network_half(const struct decide *d, const struct contest *c, struct action *ret)
{
	return network_at(d, c, 2, ret);
}

static bool value_network_eighth(const struct decide *d, const struct contest *c,
				 struct action *ret)
{
	return network_at(d, c, 8, ret);
}

static bool value_network_floor(const struct decide *d, const struct contest *c, struct action *ret)
{
	return network_to(c, d->cfg.min_network_bytes, ret);
}

static const struct rung_desc rungs[RUNG_NR] = {
    [RUNG_IDLE] = {KNOB_CPU_IDLE, true, always, value_one,
		   "hardly any waiting behind it; it keeps all CPU the victim leaves"},
    [RUNG_WEIGHT] = {KNOB_CPU_WEIGHT, true, always, value_one,
		     "little waiting behind it; it keeps nearly all CPU the victim leaves"},
    [RUNG_CPUSET] = {KNOB_CPUSET, false, cpuset_allowed, value_cpuset,
		     "no waiting behind it on the CPUs taken away; it keeps the others"},
    [RUNG_CAP] = {KNOB_CPU_MAX, false, cap_allowed, value_cap_half,
		  "about half of the waiting behind it; it keeps half of its CPU"},
    [RUNG_CAP_FLOOR] = {KNOB_CPU_MAX, false, cap_allowed, value_cap_floor,
			"less waiting behind it; it keeps the least share configured"},
    [RUNG_FREEZE] = {KNOB_FREEZE, false, freeze_allowed, value_one,
		     "no waiting behind it; it stands still"},
    [RUNG_MEM_HOLD] = {KNOB_MEMORY_HIGH, false, memory_allowed, value_memory_hold,
		       "no further growth: what it takes, it takes from itself"},
    [RUNG_MEM_HALF] = {KNOB_MEMORY_HIGH, false, memory_allowed, value_memory_half,
		       "half of its memory is free for others; it slows down"},
    [RUNG_MEM_QUARTER] = {KNOB_MEMORY_HIGH, false, memory_allowed, value_memory_quarter,
			  "most of its memory is free for others; it crawls"},
    [RUNG_MEM_CAP] = {KNOB_CPU_MAX, false, cap_allowed, value_cap_floor,
		      "it takes memory more slowly than the victim gets it back"},
    [RUNG_MEM_FREEZE] = {KNOB_FREEZE, false, freeze_allowed, value_one,
			 "no further growth; it stands still"},
    [RUNG_IO_HALF] = {KNOB_IO_MAX, false, io_allowed, value_io_half,
		      "less stalling; it keeps half of its io"},
    [RUNG_IO_EIGHTH] = {KNOB_IO_MAX, false, io_allowed, value_io_eighth,
			"little stalling; it keeps an eighth of its io"},
    [RUNG_IO_FLOOR] = {KNOB_IO_MAX, false, io_allowed, value_io_floor,
		       "hardly any stalling; it keeps the least io configured"},
    [RUNG_IO_FREEZE] = {KNOB_FREEZE, false, freeze_allowed, value_one,
			"no stalling behind it; it stands still"},
    [RUNG_NET_HALF] = {KNOB_NET_MAX, false, network_allowed, value_network_half,
		       "fewer packets lost; it sends half as much"},
    [RUNG_NET_EIGHTH] = {KNOB_NET_MAX, false, network_allowed, value_network_eighth,
			 "few packets lost; it sends an eighth"},
    [RUNG_NET_FLOOR] = {KNOB_NET_MAX, false, network_allowed, value_network_floor,
			"hardly any packets lost; it sends the least configured"},
    [RUNG_NET_FREEZE] = {KNOB_FREEZE, false, freeze_allowed, value_one,
			 "no packets lost for it; it stands still"},
    [RUNG_CPI2_CAP] = {KNOB_CPU_MAX, false, cap_allowed, value_cap_cpi2,
		       "fewer cycles an instruction; it stands nearly still for 5 minutes"},
};

/* From the first rung on, up to the next ladder's. */
static const struct {
	enum rung first, end;
} ladders[] = {
    [RESOURCE_CPU] = {RUNG_IDLE, RUNG_MEM_HOLD},
    [RESOURCE_MEMORY] = {RUNG_MEM_HOLD, RUNG_IO_HALF},
    [RESOURCE_IO] = {RUNG_IO_HALF, RUNG_NET_HALF},
    [RESOURCE_NETWORK] = {RUNG_NET_HALF, RUNG_CPI2_CAP},
    [RESOURCE_CACHE] = {RUNG_CPI2_CAP, RUNG_NR},
};

enum rung ladder_first(enum resource resource)
{
	return resource < ARRAY_SIZE(ladders) ? ladders[resource].first : RUNG_NR;
}

/* Neither is beside the other. */
static const char *why_no_contender(const struct contest *c)
{
	if (c->s->zones[c->zone].parent == NO_ZONE)
		return c->culprit && !strcmp(c->culprit->comm, "czd")
			   ? "that is all that runs in no zone, czd among it: it cannot be "
			     "restrained"
			   : "that is all that runs in no zone (the process named is one of it): "
			     "it "
			     "cannot be restrained as one; start what may with czctl run --class "
			     "be";
	if (snapshot_is_below(c->s, c->victim, c->zone))
		return "it contains the zone that is hurt; start what hurts with czctl run --class "
		       "be";
	return "it is part of the zone that is hurt";
}

const char *contest_init(struct contest *c, const struct decide *d, const struct snapshot *s,
			 enum resource resource, uint64_t victim_id, uint64_t culprit_id,
			 const struct culprit *culprit)
{
	uint32_t contender;
	const char *why;

	*c = (struct contest){.s = s, .resource = resource, .culprit = culprit};
	c->victim = tree_find(&d->tree, victim_id);
	c->zone = tree_find(&d->tree, culprit_id);
	if (c->victim == NO_ZONE || c->zone == NO_ZONE)
		return "it is gone";
	contender = snapshot_contender(s, c->victim, c->zone);
	if (contender == NO_ZONE)
		return why_no_contender(c);
	why = tree_why_not(&d->tree, c->zone);
	if (why)
		return why;
	/* Limits work at any level: they go to the culprit itself. */
	c->base_contends = resource == RESOURCE_CPU && !tree_why_not(&d->tree, contender);
	c->base = c->base_contends ? contender : c->zone;
	return NULL;
}

static void describe(const struct contest *c, struct action *a)
{
	const struct zone_view *victim = &c->s->zones[c->victim], *zone = &c->s->zones[c->zone];
	char x[32];

	if (c->event)
		snprintf(a->reason, sizeof(a->reason), "%.80s ran %s on CPU %d while %.80s waited",
			 zone->name, format_duration(c->event->foreign_ns, x, sizeof(x)),
			 c->event->cpu, victim->name);
	else if (c->resource == RESOURCE_CACHE)
		snprintf(
		    a->reason, sizeof(a->reason),
		    "the CPU use of %.40s goes with the CPI of %.40s, correlation 0.%02u: %.90s",
		    zone->name, victim->name, c->culprit->share_ppm / 10000 % 100, c->finding->why);
	else
		snprintf(a->reason, sizeof(a->reason), "%.48s is %s of the %s of %.48s: %.90s",
			 zone->name, format_ppm(c->culprit->share_ppm, x, sizeof(x)),
			 c->resource == RESOURCE_CPU	   ? "waiting"
			 : c->resource == RESOURCE_NETWORK ? "lost packets"
							   : "stalling",
			 victim->name, c->finding->why);
}

/* It can be taken here, if nobody holds its knob. */
static bool rung_fits(const struct decide *d, const struct contest *c, enum rung r,
		      struct action *ret)
{
	const struct rung_desc *desc = &rungs[r];
	const struct zone_view *base = &c->s->zones[c->base];

	if ((desc->needs_contender && !c->base_contends) || !desc->allowed(&d->cfg))
		return false;
	if ((d->knob_missing & (1u << desc->knob)) || hands_off_has(d, base->id, desc->knob))
		return false;
	/* in the idle class a group has no weight to turn */
	if (desc->knob == KNOB_CPU_WEIGHT && action_holding(d, base->id, KNOB_CPU_IDLE) >= 0)
		return false;
	*ret = (struct action){
	    .victim_id = c->s->zones[c->victim].id,
	    .culprit_id = c->s->zones[c->zone].id,
	    .target_id = base->id,
	    .resource = c->resource,
	    .knob = desc->knob,
	};
	return desc->value(d, c, ret);
}

static int rung_holder(const struct decide *d, const struct contest *c, enum rung r)
{
	return action_holding(d, c->s->zones[c->base].id, rungs[r].knob);
}

bool is_capped_already(const struct decide *d, const struct contest *c)
{
	return c->resource == RESOURCE_CACHE && rung_holder(d, c, RUNG_CPI2_CAP) >= 0;
}

bool rung_build(const struct decide *d, const struct contest *c, enum rung r, struct action *ret)
{
	if (rung_holder(d, c, r) >= 0 || !rung_fits(d, c, r, ret))
		return false;
	str_copy(ret->victim_name, sizeof(ret->victim_name), c->s->zones[c->victim].name);
	str_copy(ret->target_name, sizeof(ret->target_name), c->s->zones[c->base].name);
	str_copy(ret->expect, sizeof(ret->expect), rungs[r].expect);
	describe(c, ret);
	return true;
}

enum rung ladder_next(const struct decide *d, const struct contest *c, enum rung from,
		      struct action *ret)
{
	enum rung end = ladders[c->resource].end, r = from;

	while (r < end && !rung_build(d, c, r, ret))
		r++;
	return r < end ? r : RUNG_NR;
}

int ladder_in_the_way(const struct decide *d, const struct contest *c, const struct pair *p)
{
	enum rung end = ladders[c->resource].end, r = p->rung;
	struct action next;
	int i;

	while (r < end && !rung_fits(d, c, r, &next))
		r++;
	i = r < end ? rung_holder(d, c, r) : -1;
	if (i < 0 || !pair_has(p, &d->actions[i], &d->trials[i]))
		return -1;
	return d->actions[i].state == ACTION_KEPT ? i : -1;
}
