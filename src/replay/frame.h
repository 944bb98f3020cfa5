/* SPDX-License-Identifier: MIT */
/* Shared by the two sides of file.h. */
#pragma once
#include <stdint.h>
#include <zlib.h>

#define FRAME_MAGIC	"czrec 1\n"
#define FRAME_MAGIC_LEN 8
#define FRAME_HEAD_LEN	8

static inline void frame_put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline uint32_t frame_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Of a frame whose payload follows its head. */
static inline uint32_t frame_crc(const uint8_t *frame, uint32_t len)
{
	uLong crc = crc32(0, frame, 4);

	return (uint32_t)crc32(crc, frame + FRAME_HEAD_LEN, len);
}

static inline void frame_put_head(uint8_t *frame, uint32_t len)
{
	frame_put_u32(frame, len);
	frame_put_u32(frame + 4, frame_crc(frame, len));
}
