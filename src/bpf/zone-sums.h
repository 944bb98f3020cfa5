/* SPDX-License-Identifier: MIT */
/* Sums per zone that BPF programs keep and their probes read: shared by both sides. */
#pragma once

#define ZONE_SUMS_MAX 16384 /* zones; those beyond are counted as lost */

struct zone_sums {
	unsigned long long count, ns;
};
