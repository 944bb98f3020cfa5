/* SPDX-License-Identifier: MIT */
/*
 * One zone's samples over one slot of time, as columns: what differs little from second to second
 * takes a byte or two a value, and what stays the same takes none.
 *   version, number of times, times (first one since the slot's begin, then differences of
 *   differences), number of columns, then for each column: metric, peer, number of values, which
 *   times have one (bits, unless all), bytes, values (differences; equal ones as a run)
 * A blob may hold several chunks, one after the other: the clock went back, or the writer died.
 */
#pragma once
#include "store/tick.h"

#define SLOT_MS	      64000ull
#define SLOT_TICKS    256  /* at most so many times in one chunk */
#define CHUNK_COLUMNS 1024 /* of one zone: its metrics, and whom it waited for */

struct column {
	uint32_t metric, peer;
	uint32_t nr;
	uint8_t has[SLOT_TICKS / 8];
	uint64_t value[SLOT_TICKS]; /* nr of them, dense */
};
/* Built up value by value: times in order, each column in order of times. */
struct chunk {
	uint32_t nr_times, nr_columns;
	uint32_t hint;	  /* where the next column is likely to be */
	uint64_t dropped; /* samples beyond CHUNK_COLUMNS */
	uint64_t times_ms[SLOT_TICKS];
	struct column *columns[CHUNK_COLUMNS]; /* kept over chunk_reset() */
};
void chunk_done(struct chunk *c);
void chunk_reset(struct chunk *c);
/* Values for the latest time. -ENOSPC: too many times or columns; -ENOMEM. */
int chunk_time(struct chunk *c, uint64_t t_ms);
int chunk_add(struct chunk *c, uint32_t metric, uint32_t peer, uint64_t value);
void chunk_pack(const struct chunk *c, uint64_t slot_ms, struct packed *p);

/* Called for each value; series by series, times in order within one chunk. */
typedef void (*chunk_visit)(uint32_t metric, uint32_t peer, uint64_t t_ms, uint64_t value,
			    void *arg);
/* Visit the values of one metric with one peer; CHUNK_ANY: of all. -EBADMSG: damaged. */
#define CHUNK_ANY UINT32_MAX
int chunk_walk(const void *blob, size_t size, uint64_t slot_ms, uint32_t metric, uint32_t peer,
	       chunk_visit visit, void *arg);
