/* SPDX-License-Identifier: MIT */
#include "base/hist.h"

#include <string.h>

#define SUB (1u << HIST_SUB_BITS)

void hist_init(struct hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

/* Values below SUB have a bucket each; above, SUB buckets a power of two. */
unsigned int hist_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < SUB)
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - HIST_SUB_BITS;
	return ((shift + 1) << HIST_SUB_BITS) + (unsigned int)((value >> shift) & (SUB - 1));
}

uint64_t hist_bucket_value(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> HIST_SUB_BITS) - 1;
	return ((uint64_t)(SUB + (bucket & (SUB - 1))) << shift) + ((1ull << shift) >> 1);
}

static void saturating_add(uint64_t *to, uint64_t n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = UINT64_MAX;
}

void hist_add_n(struct hist *h, uint64_t value, uint64_t n)
{
	uint64_t sum;

	if (n == 0)
		return;
	saturating_add(&h->count[hist_bucket(value)], n);
	saturating_add(&h->total, n);
	saturating_add(&h->sum, __builtin_mul_overflow(value, n, &sum) ? UINT64_MAX : sum);
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

void hist_add(struct hist *h, uint64_t value)
{
	hist_add_n(h, value, 1);
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		saturating_add(&into->count[i], from->count[i]);
	saturating_add(&into->total, from->total);
	saturating_add(&into->sum, from->sum);
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
}

static uint64_t clamp(const struct hist *h, uint64_t v)
{
	return v < h->min ? h->min : v > h->max ? h->max : v;
}

uint64_t hist_quantile(const struct hist *h, uint32_t q_ppm)
{
	unsigned __int128 need;
	uint64_t seen = 0;

	if (h->total == 0)
		return 0;
	if (q_ppm >= 1000000)
		return h->max;
	need = ((unsigned __int128)h->total * q_ppm + 999999) / 1000000;
	if (need == 0)
		return h->min;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		saturating_add(&seen, h->count[i]);
		if (seen >= need)
			return clamp(h, hist_bucket_value(i));
	}
	return h->max;
}
