/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include "store/chunk.h"
#include "fuzz.h"

static void count(uint32_t metric, uint32_t peer, uint64_t t_ms, uint64_t value, void *arg)
{
	(*(uint64_t *)arg)++;
}

/* What a damaged history file may hold: chunks and ticks. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t seen = 0, only = 0;
	struct tick_reader reader;
	struct sample sample;
	int whole = chunk_walk(data, size, 64000, CHUNK_ANY, CHUNK_ANY, count, &seen);
	int r = chunk_walk(data, size, 64000, 1, CHUNK_ANY, count, &only);

	/* Who asks for one metric does not see the damage within another's values. */
	FUZZ_ASSERT(whole == 0 || whole == -EBADMSG);
	FUZZ_ASSERT((r == 0 || r == -EBADMSG) && (whole < 0 || only <= seen));
	tick_open(&reader, data, size);
	while (tick_next_zone(&reader)) {
		while (tick_sample(&reader, &sample))
			FUZZ_ASSERT(sample.zone == reader.zone && ++seen);
	}
	FUZZ_ASSERT(reader.u.at <= reader.u.end);
	return 0;
}
