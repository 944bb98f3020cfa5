/* SPDX-License-Identifier: MIT */
/*
 * Log-linear histogram of u64 values: 128 sub-buckets per power of two, so a reported quantile is
 * within 1 % of a recorded value (the bucket's middle). About 58 KiB; heap-allocate it. Counts
 * saturate at 2^64-1.
 */
#pragma once
#include <stdint.h>
#include "base/error.h"

#define HIST_SUB_BITS 7
#define HIST_BUCKETS  ((64 - HIST_SUB_BITS + 1) << HIST_SUB_BITS)
struct hist {
	uint64_t total, sum, min, max; /* min, max exact; min is UINT64_MAX when empty */
	uint64_t count[HIST_BUCKETS];
};
void hist_init(struct hist *h);
void hist_add(struct hist *h, uint64_t value);
void hist_add_n(struct hist *h, uint64_t value, uint64_t n);
void hist_merge(struct hist *into, const struct hist *from);
/* Quantile in ppm (990000 = p99): smallest value v such that >= q of the values are <= v; 0 when
 * empty. */
uint64_t hist_quantile(const struct hist *h, uint32_t q_ppm);
/* The bucket's representative value; for printing. */
uint64_t hist_bucket_value(unsigned int bucket);
unsigned int hist_bucket(uint64_t value);
