/* SPDX-License-Identifier: MIT */
/*
 * Which resource a zone lacks, in the manner of Intel's Platform Resource Manager (PRM, eris): its
 * counters against fences that were learned for its own CPU use, in steps of half a CPU. Pure.
 * docs/algorithms/prm.md.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRM_BINS	64 /* zones of up to 31 CPUs */
#define PRM_MIN_SAMPLES 20

enum prm_metric {
	PRM_CPI,       /* cycles an instruction */
	PRM_MPKI,      /* misses of the last-level cache in 1000 instructions */
	PRM_STALLS,    /* cycles stalled on memory in 1000 instructions */
	PRM_BANDWIDTH, /* bytes a second */
	PRM_FREQUENCY, /* Hz */
	PRM_NR
};

/* What may be lacking, as bits. */
enum prm_resource {
	PRM_LLC = 1,
	PRM_MEMORY_BANDWIDTH = 2,
	PRM_POWER = 4,
	PRM_UNKNOWN = 8, /* its CPI is too high, and nothing else shows why */
};

struct prm_sample {
	uint32_t cpu_ppm;     /* of one CPU */
	double value[PRM_NR]; /* NaN: not known */
};

struct prm_level {
	double n, sum, squares, least;
};
struct prm_model {
	uint32_t cpus; /* that it has asked for */
	struct prm_level levels[PRM_BINS][PRM_NR];
};

const char *prm_resource_name(enum prm_resource r); /* one bit: "cache", "memory bandwidth", .. */
/* Not while it is hurt. */
void prm_learn(struct prm_model *m, const struct prm_sample *s);
/* Bits of enum prm_resource; 0: nothing is lacking, or nothing is known of this CPU use. */
uint32_t prm_judge(const struct prm_model *m, const struct prm_sample *s);
/* Beyond it a value is bad: above, of bandwidth and frequency below. NaN: not known. */
double prm_fence(const struct prm_model *m, enum prm_metric metric, uint32_t cpu_ppm);

/* Another zone now, and the mean of its last five periods; NaN: not known. */
struct prm_other {
	double llc_bytes, usual_llc_bytes;
	double bandwidth;
	double frequency, usual_frequency;
};
/* Who takes most of it: index, or SIZE_MAX: nobody, or the resource is not known. One bit. */
size_t prm_contender(enum prm_resource resource, const struct prm_other *others, size_t n);
