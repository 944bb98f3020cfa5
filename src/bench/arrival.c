/* SPDX-License-Identifier: MIT */
#include "bench/arrival.h"

#include <math.h>
#include "base/hash.h"

void arrival_init(struct arrival *a, enum arrival_kind kind, double rate_per_sec, uint64_t seed)
{
	*a = (struct arrival){.kind = kind, .rate_per_sec = rate_per_sec, .random = seed};
}

/* In (0, 1]: its logarithm is finite. */
static double random_unit(uint64_t *state)
{
	return ((double)(random_next(state) >> 11) + 1) / 9007199254740992.0;
}

uint64_t arrival_next_ns(struct arrival *a)
{
	a->count++;
	if (a->kind == ARRIVAL_FIXED)
		a->at_ns = (double)a->count * 1e9 / a->rate_per_sec;
	else
		a->at_ns += -log(random_unit(&a->random)) * 1e9 / a->rate_per_sec;
	return (uint64_t)a->at_ns;
}
