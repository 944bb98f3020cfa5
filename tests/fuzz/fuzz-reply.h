/* SPDX-License-Identifier: MIT */
/* However the bytes are cut, a parser must come to the same replies and the same verdict. */
#pragma once
#include "bench/reply.h"
#include "fuzz.h"

struct verdict {
	size_t replies, used;
	int r;
};

static struct verdict feed_pieces(const struct reply_protocol *proto, const uint8_t *data,
				  size_t size, size_t piece)
{
	struct reply_parser *p = calloc(1, sizeof(*p));
	struct verdict v = {0};
	struct error err = {0};
	struct reply reply;

	FUZZ_ASSERT(p);
	while (v.used < size) {
		size_t n = size - v.used < piece ? size - v.used : piece, used = SIZE_MAX;
		int r = proto->feed(p, (const char *)data + v.used, n, &used, &reply, &err);

		FUZZ_ASSERT(used <= n && r <= 1);
		v.used += used;
		if (r < 0) {
			FUZZ_ASSERT(r == -EBADMSG && err.msg[0]);
			v.r = r;
			break;
		}
		v.replies += r == 1;
		FUZZ_ASSERT(r == 1 || used == n);
	}
	free(p);
	return v;
}

static inline void fuzz_reply(const struct reply_protocol *proto, const uint8_t *data, size_t size)
{
	struct verdict whole = feed_pieces(proto, data, size, SIZE_MAX);
	struct verdict bytes = feed_pieces(proto, data, size, 1);

	FUZZ_ASSERT(whole.replies == bytes.replies && whole.used == bytes.used &&
		    whole.r == bytes.r);
}
