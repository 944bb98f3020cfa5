/* SPDX-License-Identifier: MIT */
/*
 * All samples of one tick as a blob: zones in ascending order, each with its samples.
 *   zone (difference to the one before), number of samples, then for each: metric, peer, value
 * Written once a second as it comes; after a slot these are turned into chunks, see chunk.h.
 */
#pragma once
#include "store/pack.h"

struct sample {
	uint32_t zone, metric, peer; /* refs of the store; peer 0: none */
	uint64_t value;
};

/* Samples sorted by zone. */
void tick_pack(struct packed *p, const struct sample *samples, size_t n);

/* Reads a tick zone by zone. */
struct tick_reader {
	struct unpack u;
	uint64_t zone;	     /* of the samples to come */
	uint64_t nr_samples; /* of this zone, not read yet */
	bool done;
};
void tick_open(struct tick_reader *r, const void *blob, size_t size);
/* The next of this zone. False: it has no more. */
bool tick_sample(struct tick_reader *r, struct sample *ret);
/* On to the next zone, past what was not read of this one. False: that was the last, or the blob is
 * bad (r->u.bad). */
bool tick_next_zone(struct tick_reader *r);
