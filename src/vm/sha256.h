/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), for the digests of images. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};
void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, char ret_hex[65]);
