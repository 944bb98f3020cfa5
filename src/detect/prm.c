/* SPDX-License-Identifier: MIT */
#include "detect/prm.h"

#include <math.h>

#define SIGMAS	      4.0
#define TDP_SIGMAS    3.0
#define STEP_PPM      500000u
#define TDP_BUSY_PART 0.95 /* of the CPUs that it asked for */

/* From half a CPU to one more than it asked for; else PRM_BINS. */
static size_t bin_of(const struct prm_model *m, uint32_t cpu_ppm)
{
	size_t bin = cpu_ppm / STEP_PPM;

	if (bin == 0 || cpu_ppm > (m->cpus + 1ull) * 1000000 || bin > PRM_BINS)
		return PRM_BINS;
	return bin - 1;
}

void prm_learn(struct prm_model *m, const struct prm_sample *s)
{
	size_t bin = bin_of(m, s->cpu_ppm);

	for (size_t i = 0; i < PRM_NR && bin < PRM_BINS; i++) {
		struct prm_level *l = &m->levels[bin][i];
		double x = s->value[i];

		if (!isfinite(x))
			continue;
		l->least = l->n > 0 && l->least < x ? l->least : x;
		l->n += 1;
		l->sum += x;
		l->squares += x * x;
	}
}

double prm_fence(const struct prm_model *m, enum prm_metric metric, uint32_t cpu_ppm)
{
	size_t bin = bin_of(m, cpu_ppm);
	const struct prm_level *l = bin < PRM_BINS ? &m->levels[bin][metric] : NULL;
	double mean, variance, deviation, low;

	if (!l || l->n < PRM_MIN_SAMPLES)
		return NAN;
	mean = l->sum / l->n;
	variance = l->squares / l->n - mean * mean;
	deviation = variance > 0 ? sqrt(variance) : 0;
	if (metric == PRM_BANDWIDTH)
		return mean - SIGMAS * deviation;
	low = mean - TDP_SIGMAS * deviation;
	if (metric == PRM_FREQUENCY)
		return l->least < low ? l->least : low;
	return mean + SIGMAS * deviation;
}

/* Comparisons with NaN are false: what is not known accuses nobody. */
static bool is_above(const struct prm_model *m, const struct prm_sample *s, enum prm_metric metric)
{
	return s->value[metric] > prm_fence(m, metric, s->cpu_ppm);
}

static bool is_below(const struct prm_model *m, const struct prm_sample *s, enum prm_metric metric)
{
	return s->value[metric] < prm_fence(m, metric, s->cpu_ppm);
}

uint32_t prm_judge(const struct prm_model *m, const struct prm_sample *s)
{
	bool busy = s->cpu_ppm >= TDP_BUSY_PART * m->cpus * 1e6;
	uint32_t lacking = busy && is_below(m, s, PRM_FREQUENCY) ? PRM_POWER : 0;

	if (!is_above(m, s, PRM_CPI))
		return lacking;
	if (is_above(m, s, PRM_MPKI))
		lacking |= PRM_LLC;
	if (is_below(m, s, PRM_BANDWIDTH) || is_above(m, s, PRM_STALLS))
		lacking |= PRM_MEMORY_BANDWIDTH;
	return lacking ? lacking : PRM_UNKNOWN;
}

const char *prm_resource_name(enum prm_resource r)
{
	return r == PRM_LLC		   ? "cache"
	       : r == PRM_MEMORY_BANDWIDTH ? "memory bandwidth"
	       : r == PRM_POWER		   ? "power"
					   : "unknown";
}

static double taken(enum prm_resource resource, const struct prm_other *o)
{
	return resource == PRM_LLC		  ? o->llc_bytes - o->usual_llc_bytes
	       : resource == PRM_MEMORY_BANDWIDTH ? o->bandwidth
	       : resource == PRM_POWER		  ? o->frequency - o->usual_frequency
						  : NAN;
}

size_t prm_contender(enum prm_resource resource, const struct prm_other *others, size_t n)
{
	size_t most = SIZE_MAX;
	double least = 0;

	for (size_t i = 0; i < n; i++) {
		double x = taken(resource, &others[i]);

		if (x > least) {
			least = x;
			most = i;
		}
	}
	return most;
}
