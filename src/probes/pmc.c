/* SPDX-License-Identifier: MIT */
#include "probes/pmc.h"

#include <string.h>

#define PPM 1000000u

static const uint32_t first_of[PMC_GROUPS + 1] = {0, PMC_FIRST_OF_LLC, PMC_NR};

int pmc_reading_parse(const void *bytes, size_t size, struct pmc_reading *ret)
{
	uint64_t head[3]; /* nr, time enabled, time running; then nr values */

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(head, bytes, sizeof(head));
	if (head[0] < 1 || head[0] > PMC_NR || size != sizeof(head) + head[0] * sizeof(uint64_t) ||
	    head[2] > head[1])
		return -EBADMSG;
	*ret = (struct pmc_reading){.nr = head[0], .enabled_ns = head[1], .running_ns = head[2]};
	memcpy(ret->value, (const char *)bytes + sizeof(head), head[0] * sizeof(uint64_t));
	return 0;
}

static uint64_t scaled(uint64_t count, uint64_t enabled_ns, uint64_t running_ns)
{
	unsigned __int128 all = (unsigned __int128)count * enabled_ns;

	return running_ns < enabled_ns ? (uint64_t)(all / running_ns) : count;
}

bool pmc_grown(const struct pmc_sums *now, struct pmc_sums *last, enum pmc_group_nr group,
	       uint64_t ret[PMC_NR], uint64_t *ret_enabled_ns, uint64_t *ret_running_ns)
{
	uint32_t e = PMC_FIELD_ENABLED + group, r = PMC_FIELD_RUNNING + group;
	uint64_t enabled_ns = now->v[e] - last->v[e], running_ns = now->v[r] - last->v[r];

	if (!running_ns)
		return false;
	for (uint32_t i = first_of[group]; i < first_of[group + 1]; i++) {
		ret[i] = scaled(now->v[i] - last->v[i], enabled_ns, running_ns);
		last->v[i] = now->v[i];
	}
	last->v[e] = now->v[e];
	last->v[r] = now->v[r];
	*ret_enabled_ns = enabled_ns;
	*ret_running_ns = running_ns < enabled_ns ? running_ns : enabled_ns;
	return true;
}

static uint64_t quotient_ppm(const uint64_t counts[PMC_NR], uint32_t present, enum pmc a,
			     enum pmc b, uint32_t times)
{
	uint32_t both = 1u << a | 1u << b;
	unsigned __int128 q;

	if ((present & both) != both || !counts[b])
		return UINT64_MAX;
	q = (unsigned __int128)counts[a] * PPM * times / counts[b];
	return q < UINT64_MAX ? (uint64_t)q : UINT64_MAX;
}

void pmc_rates(const uint64_t counts[PMC_NR], uint32_t present, struct pmc_rates *ret)
{
	*ret = (struct pmc_rates){
	    .cpi_ppm = quotient_ppm(counts, present, PMC_REF_CYCLES, PMC_INSTRUCTIONS, 1),
	    .ipc_ppm = quotient_ppm(counts, present, PMC_INSTRUCTIONS, PMC_CYCLES, 1),
	    .mpki_ppm = quotient_ppm(counts, present, PMC_LLC_MISSES, PMC_INSTRUCTIONS, 1000),
	    .miss_ppm = quotient_ppm(counts, present, PMC_LLC_MISSES, PMC_LLC_REFERENCES, 1),
	};
}

uint32_t pmc_leader(uint32_t present, enum pmc_group_nr group)
{
	for (uint32_t i = first_of[group]; i < first_of[group + 1]; i++)
		if (present & (1u << i))
			return i;
	return PMC_NR;
}
