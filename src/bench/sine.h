/* SPDX-License-Identifier: MIT */
/* The maths of the sine workload: pure, no clock. Shares are of one CPU. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sine {
	uint64_t period_ns;
	uint32_t min_ppm, max_ppm;
};

/* What one report interval asked for and got. */
struct sine_point {
	uint64_t start_ns, length_ns;	   /* since the workload's start */
	uint64_t demanded_ns, achieved_ns; /* CPU time */
	uint64_t units;			   /* counted work */
};

/* How what was achieved follows what was demanded. NaN: cannot be known from these points. */
struct sine_fit {
	double correlation; /* Pearson's, over the points */
	double
	    demanded_amplitude; /* of a sine of the known period, least squares; share of a CPU */
	double achieved_amplitude;
	double amplitude_ratio;
	double max_share;   /* largest achieved share */
	double unmet_ratio; /* demanded but not achieved / demanded */
};

/* CPU time demanded in [at_ns, at_ns + slot_ns): starts at the minimum, peaks at half a period. */
uint64_t sine_demand_ns(const struct sine *s, uint64_t at_ns, uint64_t slot_ns);
void sine_fit(const struct sine *s, const struct sine_point *points, size_t nr,
	      struct sine_fit *ret);
