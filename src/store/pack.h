/* SPDX-License-Identifier: MIT */
/* Bytes as history has them: numbers as LEB128, differences as zigzag. Reading is bounded: what a
 * damaged file holds ends in `bad`, never outside the buffer. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packed {
	uint8_t *data;
	size_t len, cap;
	bool failed; /* an allocation failed: content is incomplete */
};
void pack_done(struct packed *p);
void pack_u64(struct packed *p, uint64_t v);
void pack_diff(struct packed *p, uint64_t from, uint64_t to); /* wraps */
void pack_bytes(struct packed *p, const void *data, size_t n);

struct unpack {
	const uint8_t *at, *end;
	bool bad; /* it ended early, or a number was too long: all that follows reads as 0 */
};
uint64_t unpack_u64(struct unpack *u);
uint64_t unpack_diff(struct unpack *u, uint64_t from);
/* The next n bytes, NULL (and bad) when there are fewer. */
const uint8_t *unpack_bytes(struct unpack *u, uint64_t n);
