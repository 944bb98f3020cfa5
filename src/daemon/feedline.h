/* SPDX-License-Identifier: MIT */
/* One line of an application latency feed: "v1 ZONE latency_ns VALUE [COUNT]". */
#pragma once
#include <stdint.h>
#include "base/error.h"

#define FEED_COUNT_MAX 10000000ull
struct feed_line {
	const char *zone; /* inside the text given */
	uint64_t latency_ns, count;
};
/* Cuts `line` apart in place. -EINVAL: not such a line; -ERANGE: a count above FEED_COUNT_MAX. */
must_check int feed_line_parse(char *line, struct feed_line *ret);
/* "v1 ack TOKEN", the first line of a datagram whose sender wants to know what became of it. */
must_check int feed_ack_parse(const char *line, uint64_t *ret_token);
