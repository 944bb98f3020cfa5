/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include "channel/channel.h"
#include "fuzz.h"

struct got {
	struct channel *c;
	size_t held[CHANNEL_STREAMS_MAX];
	bool keep;
};

static void on_frame(const struct channel_frame *f, void *arg)
{
	struct got *got = arg;

	FUZZ_ASSERT(channel_up(got->c));
	FUZZ_ASSERT(f->stream < CHANNEL_STREAMS_MAX && f->len <= CHANNEL_MESSAGE_MAX);
	if (got->keep)
		got->held[f->stream] += f->len;
	else
		channel_consumed(got->c, f->stream, f->len);
}

/*
 * The first byte says which port, whether credits are given back, and in what pieces; the nonce is
 * all zero and the own epoch 1 ("\1\0\0\0"), so that the input can contain hellos that are heard.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t nonce[CHANNEL_NONCE] = {0};
	struct got got = {0};
	uint64_t sessions = 0;
	size_t piece, n;

	if (size < 1)
		return 0;
	FUZZ_ASSERT(channel_new(data[0] % CHANNEL_NR, nonce, 0, &got.c) == 0);
	got.keep = data[0] & 64;
	piece = 1 + data[0] / 4;
	for (size_t at = 1; at < size; at += piece) {
		n = size - at < piece ? size - at : piece;
		channel_feed(got.c, data + at, n, on_frame, &got);
		if (channel_counts(got.c)->sessions != sessions)
			memset(got.held, 0, sizeof(got.held));
		sessions = channel_counts(got.c)->sessions;
		for (unsigned int i = 0; i < CHANNEL_STREAMS_MAX; i++)
			FUZZ_ASSERT(got.held[i] <= CHANNEL_WINDOW);
		if (channel_write(got.c, CHANNEL_MESSAGE, 0, data, size) == 0)
			FUZZ_ASSERT(channel_up(got.c));
		channel_pending(got.c, &n);
		FUZZ_ASSERT(n <= CHANNEL_OUT_MAX);
		if (data[0] & 128)
			channel_sent(got.c, n / 2);
	}
	FUZZ_ASSERT(channel_counts(got.c)->bytes_in == size - 1);
	channel_free(got.c);
	return 0;
}
