/* SPDX-License-Identifier: MIT */
/* When an open-loop generator intends to send: fixed by rate and seed before anything is sent.
 * Pure. */
#pragma once
#include <stdint.h>

enum arrival_kind { ARRIVAL_POISSON, ARRIVAL_FIXED };

struct arrival {
	enum arrival_kind kind;
	double rate_per_sec;
	uint64_t random; /* generator state */
	uint64_t count;	 /* arrivals so far */
	double at_ns;	 /* of the last one, since the start; exact to 1 ns for 100 days */
};

void arrival_init(struct arrival *a, enum arrival_kind kind, double rate_per_sec, uint64_t seed);
/* The next intended start, in ns since the run's start. Never decreases. */
uint64_t arrival_next_ns(struct arrival *a);
