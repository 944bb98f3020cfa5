/* SPDX-License-Identifier: MIT */
/*
 * The bytes between cz-vm and cz-guest on one virtio-serial port: frames, sessions, flow control.
 * Both sides use this code. No I/O, no clock: what was read goes into channel_feed(), what is to be
 * written comes out of channel_pending(). The other side is hostile: nothing it sends makes this
 * allocate, or hold more than one frame.
 *
 * Frame: "CZ", u8 type, u8 stream, u32 length (little endian), then that many bytes.
 *
 * Session: each side says CHANNEL_HELLO {nonce, its epoch, the epoch last heard from the other
 * side}, again every second (channel_tick) until it hears its own epoch back; from then on it is
 * up. What comes before a hello with the right nonce is skipped and counted. A hello with a new
 * epoch, or bytes that are no frame, begin a new session: what waited to be sent is dropped.
 *
 * Credits: a stream may have CHANNEL_WINDOW payload bytes on the way, no more, until the receiver
 * says that it is done with some (channel_consumed). A sender that has none gets -EAGAIN: it waits,
 * or drops and says how much (CHANNEL_LOST). Frames beyond the credits are dropped and counted.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum channel_port { CHANNEL_CONTROL, CHANNEL_LOG, CHANNEL_TERM, CHANNEL_NR };

#define CHANNEL_NONCE	    16
#define CHANNEL_MESSAGE_MAX 65536  /* one JSON message: CHANNEL_MESSAGE */
#define CHANNEL_DATA_MAX    16384  /* one frame of any other kind; CHANNEL_OPEN too */
#define CHANNEL_WINDOW	    131072 /* unacknowledged payload bytes of a stream */
#define CHANNEL_OUT_MAX	    262144 /* bytes that wait to be written, all streams of a port */
#define CHANNEL_STREAMS_MAX 32
#define CHANNEL_TERMS	    8 /* streams of the term port */

/* Which of them a port knows is a table in channel.c; g: guest says it, h: host. */
enum channel_type {
	CHANNEL_HELLO = 1, /* within channel.c only */
	CHANNEL_CREDIT,	   /* within channel.c only */
	CHANNEL_MESSAGE,   /* control, g h: one JSON object, not terminated */
	CHANNEL_NAME,	   /* log, g: this stream is app NAME from now on */
	CHANNEL_LOST,	   /* log, g: u64, bytes of this stream dropped here */
	CHANNEL_DATA,	   /* log g; term g h: output, input */
	CHANNEL_STDERR,	   /* term, g; log, g */
	CHANNEL_SIZE,	   /* term, h: u16 rows, u16 columns */
	CHANNEL_END,	   /* term, g: i32 exit code, the stream is free; h (empty): hang up */
	CHANNEL_CLOSED,	   /* term, h: end of input */
	CHANNEL_OPEN,	   /* term, h: JSON as the first line on term.sock */
	CHANNEL_OPENED,	   /* term, g: the JSON answer */
	CHANNEL_TYPE_NR
};

struct channel_frame {
	enum channel_type type;
	unsigned int stream;
	const char *data; /* valid during the call only */
	size_t len;
};

struct channel_counts { /* totals */
	uint64_t frames, bytes_in, sessions;
	uint64_t junk_bytes;	 /* outside of a session, or no frame */
	uint64_t refused_frames; /* beyond the credits, or not of this port */
};

struct channel;
/* epoch: any number that differs from the one before on this side (the clock will do). */
must_check int channel_new(enum channel_port port, const uint8_t nonce[CHANNEL_NONCE],
			   uint32_t epoch, struct channel **ret);
void channel_free(struct channel *c);
/* "0123..ef", 32 digits. -EINVAL. */
must_check int channel_nonce_parse(const char *hex, uint8_t ret[CHANNEL_NONCE]);
const char *channel_port_name(enum channel_port port); /* "cz.control", ... */

/* The port was closed and opened: whatever was on the way is lost. */
void channel_restart(struct channel *c);
/* Once a second: says hello again where nobody answered. */
void channel_tick(struct channel *c);
bool channel_up(const struct channel *c);
const struct channel_counts *channel_counts(const struct channel *c);

typedef void (*channel_handler)(const struct channel_frame *f, void *arg);
/* Takes all of it. A new session shows in counts.sessions, also in the midst of one call. */
void channel_feed(struct channel *c, const void *data, size_t len, channel_handler h, void *arg);
/* The receiver no longer holds `bytes` of that stream's payload. Every payload byte that a handler
 * got is to be given back, at once or later. */
void channel_consumed(struct channel *c, unsigned int stream, size_t bytes);

/* -EAGAIN: no credit or no room, try after more was fed or sent; -ENOTCONN: not up; -EMSGSIZE;
 * -EINVAL: no such type or stream on this port. */
must_check int channel_write(struct channel *c, enum channel_type type, unsigned int stream,
			     const void *data, size_t len);
/* How much payload channel_write() would take now in one frame. */
size_t channel_room(const struct channel *c, unsigned int stream);
/* What to write to the port next (len 0: nothing), and that so many bytes of it were written. */
const void *channel_pending(struct channel *c, size_t *ret_len);
void channel_sent(struct channel *c, size_t len);
