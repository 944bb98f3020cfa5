/* SPDX-License-Identifier: MIT */
#include "model/snapshot.h"

const struct zone_view *snapshot_zone(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; i < s->nr_zones; i++) {
		if (s->zones[i].id == id)
			return &s->zones[i];
	}
	return NULL;
}

const struct ledger_view *snapshot_ledger(const struct snapshot *s, uint32_t zone)
{
	for (size_t i = 0; i < s->nr_ledgers; i++) {
		if (s->ledgers[i].zone == zone)
			return &s->ledgers[i];
	}
	return NULL;
}

/* The ancestor of `zone` at `depth`, or NO_ZONE if it lies above or a parent is missing. */
static uint32_t ancestor_at(const struct snapshot *s, uint32_t zone, uint32_t depth)
{
	if (zone >= s->nr_zones || s->zones[zone].depth < depth)
		return NO_ZONE;
	while (zone < s->nr_zones && s->zones[zone].depth > depth)
		zone = s->zones[zone].parent;
	return zone < s->nr_zones ? zone : NO_ZONE;
}

bool snapshot_is_below(const struct snapshot *s, uint32_t zone, uint32_t ancestor)
{
	return ancestor < s->nr_zones && ancestor_at(s, zone, s->zones[ancestor].depth) == ancestor;
}

uint32_t snapshot_contender(const struct snapshot *s, uint32_t victim, uint32_t culprit)
{
	uint32_t depth, v, c;

	if (victim >= s->nr_zones || culprit >= s->nr_zones)
		return NO_ZONE;
	depth = s->zones[victim].depth < s->zones[culprit].depth ? s->zones[victim].depth
								 : s->zones[culprit].depth;
	v = ancestor_at(s, victim, depth);
	c = ancestor_at(s, culprit, depth);
	if (v == c)
		return NO_ZONE; /* one contains the other */
	while (v < s->nr_zones && c < s->nr_zones) {
		if (s->zones[v].parent == s->zones[c].parent)
			return s->zones[v].parent < s->nr_zones ? c : NO_ZONE;
		v = s->zones[v].parent;
		c = s->zones[c].parent;
	}
	return NO_ZONE;
}

#define REFAULT_BYTES 4096ull

static uint64_t delta_of(const struct zone_view *z, enum zone_metric m)
{
	return z->delta_valid & METRIC_BIT(m) ? z->delta[m] : 0;
}

bool zone_stalls(const struct zone_view *z, struct zone_stalls *ret)
{
	uint64_t both = METRIC_BIT(ZM_PSI_MEM_SOME_NS) | METRIC_BIT(ZM_PSI_IO_SOME_NS);
	uint64_t memory = delta_of(z, ZM_PSI_MEM_SOME_NS), io = delta_of(z, ZM_PSI_IO_SOME_NS);
	uint64_t again = delta_of(z, ZM_MEM_REFAULT_PAGES) * REFAULT_BYTES;
	uint64_t read = delta_of(z, ZM_IO_READ_BYTES);

	if ((z->delta_valid & both) != both)
		return false;
	io = io > memory ? io - memory : 0; /* a task that stalls on both is in both */
	if (again > read)
		read = again;
	ret->memory_ns = memory;
	ret->io_ns = io;
	if (again) {
		uint64_t part = (uint64_t)((unsigned __int128)io * again / read);

		ret->memory_ns += part;
		ret->io_ns -= part;
	}
	return true;
}

#define PACKETS_MIN 10
#define RESENT_MIN  3

bool zone_resent(const struct zone_view *z, uint32_t *ret_ppm)
{
	uint64_t both = METRIC_BIT(ZM_NET_PACKETS) | METRIC_BIT(ZM_NET_RETRANSMITS);
	uint64_t packets = z->delta[ZM_NET_PACKETS], again = z->delta[ZM_NET_RETRANSMITS];

	if ((z->delta_valid & both) != both || (packets < PACKETS_MIN && again < RESENT_MIN))
		return false;
	*ret_ppm = again >= packets ? 1000000 : (uint32_t)(again * 1000000 / packets);
	return true;
}
