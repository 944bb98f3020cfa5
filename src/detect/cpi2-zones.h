/* SPDX-License-Identifier: MIT */
/*
 * CPI2 on the zones of this host: what the probe `counters` counts becomes a sample of each zone a
 * minute, and what CPI2 says of a protected zone stands for the minute after.
 */
#pragma once
#include <stdint.h>
#include "detect/cpi2.h"
#include "model/snapshot.h"

/* threshold_ppm 0: nothing is wrong, or not known to be. */
struct cpi_harm {
	uint32_t cpi_ppm, mean_ppm, threshold_ppm, needed_ppm;
	uint64_t culprit_id; /* 0: nobody is named */
	size_t nr_suspects;
	struct {
		uint64_t zone_id;
		int32_t correlation_ppm;
	} suspects[CPI2_SUSPECTS]; /* the largest first */
};

struct cpi2_zones;
void cpi2_zones_free(struct cpi2_zones *c);
/* Once a snapshot. *c is made as soon as a protected zone's instructions are counted, and goes when
 * memory is short: then it starts over. */
void cpi2_zones_run(struct cpi2_zones **c, const struct snapshot *s);
void cpi2_zones_harm(const struct cpi2_zones *c, uint64_t zone_id, uint64_t now_ns,
		     struct cpi_harm *ret);
