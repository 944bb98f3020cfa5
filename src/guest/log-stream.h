/* SPDX-License-Identifier: MIT */
/*
 * What an app writes, to the log port: whole lines where these fit, each app a stream. While the
 * host takes nothing the app waits for LOG_PATIENCE_NS; then what it writes is dropped and counted.
 * More than LOG_RATE bytes a second wait: an app that floods slows itself, not the machine.
 */
#pragma once
#include "guest/guest.h"

#define LOG_LINE_MAX	4096
#define LOG_PATIENCE_NS 1000000000ULL
#define LOG_RATE	(4u << 20)

struct log_stream;
struct log_side {
	struct log_stream *stream;
	enum channel_type type;
	int in, out; /* a pipe: we read `in`, the app has `out` */
	struct source source;
	size_t len; /* of a line that has no end yet */
	char line[LOG_LINE_MAX];
};
struct log_stream {
	struct guest *guest;
	unsigned int slot;
	const char *name; /* the app's */
	struct log_side sides[2];
	bool named;		/* the host knows whose stream this is */
	uint64_t full_since_ns; /* no room since; 0: there is */
	uint64_t lost;		/* not told yet */
	uint64_t lost_total;
	uint32_t budget;
};

must_check int log_open(struct log_stream *s, struct guest *g, unsigned int slot, const char *name);
void log_close(struct log_stream *s);
/* The host may have made room; also once a second, which refills what may be written. */
void log_wake(struct log_stream *s, bool second);
/* A new session: names are to be said again. */
void log_session(void *guest);
void log_frame(const struct channel_frame *f, void *guest);
