/* SPDX-License-Identifier: MIT */
/* Sums per zone, and pairs of zones, that BPF programs keep and their probes read: shared by both
 * sides. Zones are cgroups by kernfs id. */
#pragma once

#define ZONE_SUMS_MAX 16384 /* zones; those beyond are counted as lost */

/* So much of what `holder` did was at the cost of `owner`. */
#define ZONE_PAIRS_MAX	 4096
#define ZONE_PAIR_KERNEL (~0ull) /* holder: the kernel's own threads */
struct zone_pair {
	unsigned long long owner, holder;
};
