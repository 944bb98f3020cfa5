/* SPDX-License-Identifier: MIT */
/* What the kernel writes for an open perf event, and the stacks in it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/perf_event.h>
#include "base/error.h"

#define PERF_RECORD_WORDS 160 /* of a record's body; more is cut off */

struct perf_ring {
	int fd;
	struct perf_event_mmap_page *page; /* data follows after one page */
	size_t data_bytes;
};

/* pages: a power of two. Takes the fd over, also when it fails. */
must_check int perf_ring_open(struct perf_ring *ret, int fd, size_t pages);
void perf_ring_close(struct perf_ring *r);
/* Each record that is there by now: its type and its body. */
typedef void perf_record_fn(void *arg, uint32_t type, const uint64_t *words, size_t nr_words);
void perf_ring_drain(const struct perf_ring *r, perf_record_fn *record, void *arg);

/*
 * The body of PERF_SAMPLE_CALLCHAIN: innermost address first, at most max of them; the kernel's
 * come first. Callers are addresses within the call, not those behind it.
 */
uint32_t perf_callchain(const uint64_t *words, size_t nr_words, uint64_t *ret_addrs, uint32_t max,
			uint32_t *ret_nr_kernel);
