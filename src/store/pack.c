/* SPDX-License-Identifier: MIT */
#include "store/pack.h"

#include <stdlib.h>
#include <string.h>

void pack_done(struct packed *p)
{
	free(p->data);
	*p = (struct packed){0};
}

static bool reserve(struct packed *p, size_t n)
{
	size_t cap = p->cap ? p->cap : 256;
	uint8_t *grown;

	if (p->len + n <= p->cap)
		return true;
	while (cap < p->len + n)
		cap *= 2;
	grown = realloc(p->data, cap);
	p->failed |= !grown;
	if (!grown)
		return false;
	p->data = grown;
	p->cap = cap;
	return true;
}

void pack_u64(struct packed *p, uint64_t v)
{
	if (!reserve(p, 10))
		return;
	for (; v >= 0x80; v >>= 7)
		p->data[p->len++] = (uint8_t)v | 0x80;
	p->data[p->len++] = (uint8_t)v;
}

void pack_diff(struct packed *p, uint64_t from, uint64_t to)
{
	int64_t diff = (int64_t)(to - from);

	pack_u64(p, ((uint64_t)diff << 1) ^ (uint64_t)(diff >> 63));
}

void pack_bytes(struct packed *p, const void *data, size_t n)
{
	if (!n || !reserve(p, n))
		return;
	memcpy(p->data + p->len, data, n);
	p->len += n;
}

uint64_t unpack_u64(struct unpack *u)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && u->at < u->end && !u->bad; shift += 7) {
		uint8_t byte = *u->at++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	u->bad = true;
	return 0;
}

uint64_t unpack_diff(struct unpack *u, uint64_t from)
{
	uint64_t zigzag = unpack_u64(u);

	return from + ((zigzag >> 1) ^ -(zigzag & 1));
}

const uint8_t *unpack_bytes(struct unpack *u, uint64_t n)
{
	const uint8_t *at = u->at;

	if (u->bad || n > (uint64_t)(u->end - u->at)) {
		u->bad = true;
		return NULL;
	}
	u->at += n;
	return at;
}
