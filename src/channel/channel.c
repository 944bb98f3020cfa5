/* SPDX-License-Identifier: MIT */
#include "channel/channel.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

#define HEAD	  8
#define HELLO_LEN (CHANNEL_NONCE + 8)
#define HELLO_ALL (HEAD + HELLO_LEN)
/* Kept free for hellos and credits, so that data never starves them. */
#define RESERVE (HELLO_ALL + CHANNEL_STREAMS_MAX * (HEAD + 4))

static const struct {
	const char *name;
	unsigned int streams;
	size_t frame_max;
	uint32_t types; /* bit: this type may be sent here, in one direction at least */
} ports[] = {
    [CHANNEL_CONTROL] = {"cz.control", 1, CHANNEL_MESSAGE_MAX, 1u << CHANNEL_MESSAGE},
    [CHANNEL_LOG] = {"cz.log", CHANNEL_STREAMS_MAX, CHANNEL_DATA_MAX,
		     1u << CHANNEL_NAME | 1u << CHANNEL_LOST | 1u << CHANNEL_DATA |
			 1u << CHANNEL_STDERR},
    [CHANNEL_TERM] = {"cz.term", CHANNEL_TERMS, CHANNEL_DATA_MAX,
		      1u << CHANNEL_DATA | 1u << CHANNEL_STDERR | 1u << CHANNEL_SIZE |
			  1u << CHANNEL_END | 1u << CHANNEL_CLOSED | 1u << CHANNEL_OPEN |
			  1u << CHANNEL_OPENED},
};

struct channel {
	enum channel_port port;
	uint8_t nonce[CHANNEL_NONCE];
	uint32_t epoch, peer; /* peer: the other side's, 0 before its first hello */
	bool synced;	      /* in[] begins with a frame, not with anything */
	bool up;
	bool hello_owed;
	struct {
		uint32_t may_send, may_get; /* payload bytes */
		uint32_t owed;		    /* consumed, the other side does not know yet */
	} streams[CHANNEL_STREAMS_MAX];
	struct channel_counts counts;
	size_t in_len;
	size_t out_start, out_len;
	size_t out_left; /* of the frame that is written in part */
	uint8_t *in;
	uint8_t out[CHANNEL_OUT_MAX];
};

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

const char *channel_port_name(enum channel_port port)
{
	return ports[port].name;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int channel_nonce_parse(const char *hex, uint8_t ret[CHANNEL_NONCE])
{
	uint8_t nonce[CHANNEL_NONCE];

	if (strlen(hex) != 2 * sizeof(nonce))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(nonce); i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		nonce[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, nonce, sizeof(nonce));
	return 0;
}

int channel_new(enum channel_port port, const uint8_t nonce[CHANNEL_NONCE], uint32_t epoch,
		struct channel **ret)
{
	struct channel *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->in = malloc(HEAD + ports[port].frame_max);
	if (!c->in) {
		free(c);
		return -ENOMEM;
	}
	c->port = port;
	c->epoch = epoch;
	memcpy(c->nonce, nonce, CHANNEL_NONCE);
	channel_restart(c);
	*ret = c;
	return 0;
}

void channel_free(struct channel *c)
{
	if (c)
		free(c->in);
	free(c);
}

/* Drops what waits to be sent, but a frame that was begun is finished: the other side may be in
 * the midst of it. */
static void begin_session(struct channel *c, bool up)
{
	c->out_len = c->out_left;
	for (size_t i = 0; i < CHANNEL_STREAMS_MAX; i++) {
		c->streams[i].may_send = c->streams[i].may_get = CHANNEL_WINDOW;
		c->streams[i].owed = 0;
	}
	c->up = up;
	c->counts.sessions += up;
	c->hello_owed = true;
}

static void lose_session(struct channel *c)
{
	c->synced = false;
	c->peer = 0;
	if (++c->epoch == 0)
		c->epoch = 1; /* 0 is "none heard" */
	begin_session(c, false);
}

void channel_restart(struct channel *c)
{
	c->in_len = c->out_len = c->out_start = c->out_left = 0;
	lose_session(c);
}

void channel_tick(struct channel *c)
{
	if (!c->up)
		c->hello_owed = true;
}

bool channel_up(const struct channel *c)
{
	return c->up;
}

const struct channel_counts *channel_counts(const struct channel *c)
{
	return &c->counts;
}

/* ---- out ---- */

static size_t out_room(const struct channel *c)
{
	return sizeof(c->out) - c->out_len;
}

static void out_frame(struct channel *c, enum channel_type type, unsigned int stream,
		      const void *data, size_t len)
{
	uint8_t *p;

	if (c->out_start + c->out_len + HEAD + len > sizeof(c->out)) {
		memmove(c->out, c->out + c->out_start, c->out_len);
		c->out_start = 0;
	}
	p = c->out + c->out_start + c->out_len;
	p[0] = 'C';
	p[1] = 'Z';
	p[2] = (uint8_t)type;
	p[3] = (uint8_t)stream;
	put_u32(p + 4, (uint32_t)len);
	if (len)
		memcpy(p + HEAD, data, len);
	c->out_len += HEAD + len;
}

static void say_hello(struct channel *c)
{
	uint8_t hello[HELLO_LEN];

	if (!c->hello_owed || out_room(c) < HELLO_ALL)
		return;
	memcpy(hello, c->nonce, CHANNEL_NONCE);
	put_u32(hello + CHANNEL_NONCE, c->epoch);
	put_u32(hello + CHANNEL_NONCE + 4, c->peer);
	out_frame(c, CHANNEL_HELLO, 0, hello, sizeof(hello));
	c->hello_owed = false;
}

size_t channel_room(const struct channel *c, unsigned int stream)
{
	size_t room = out_room(c), max = ports[c->port].frame_max;

	if (!c->up || stream >= ports[c->port].streams || room <= RESERVE + HEAD)
		return 0;
	room -= RESERVE + HEAD;
	if (room > c->streams[stream].may_send)
		room = c->streams[stream].may_send;
	return room < max ? room : max;
}

int channel_write(struct channel *c, enum channel_type type, unsigned int stream, const void *data,
		  size_t len)
{
	if (stream >= ports[c->port].streams || !(ports[c->port].types & 1u << type))
		return -EINVAL;
	if (len > ports[c->port].frame_max)
		return -EMSGSIZE;
	if (!c->up)
		return -ENOTCONN;
	if (len > channel_room(c, stream) || out_room(c) <= RESERVE + HEAD)
		return -EAGAIN;
	say_hello(c); /* the other side takes nothing before it */
	c->streams[stream].may_send -= (uint32_t)len;
	out_frame(c, type, stream, data, len);
	return 0;
}

static void say_credits(struct channel *c)
{
	uint8_t bytes[4];

	for (unsigned int i = 0; c->up && i < ports[c->port].streams; i++) {
		uint32_t owed = c->streams[i].owed;

		if (owed < CHANNEL_WINDOW / 4 || out_room(c) < HEAD + sizeof(bytes))
			continue;
		put_u32(bytes, owed);
		out_frame(c, CHANNEL_CREDIT, i, bytes, sizeof(bytes));
		c->streams[i].owed = 0;
		c->streams[i].may_get += owed;
	}
}

const void *channel_pending(struct channel *c, size_t *ret_len)
{
	say_hello(c);
	say_credits(c);
	*ret_len = c->out_len;
	return c->out + c->out_start;
}

void channel_sent(struct channel *c, size_t len)
{
	while (len && c->out_len) {
		size_t n;

		if (!c->out_left)
			c->out_left = HEAD + get_u32(c->out + c->out_start + 4);
		n = len < c->out_left ? len : c->out_left;
		c->out_start += n;
		c->out_len -= n;
		c->out_left -= n;
		len -= n;
	}
	if (!c->out_len)
		c->out_start = 0;
}

/* ---- in ---- */

void channel_consumed(struct channel *c, unsigned int stream, size_t bytes)
{
	uint32_t out;

	if (stream >= ports[c->port].streams)
		return;
	/* What an earlier session's frames held does not count in this one. */
	out = CHANNEL_WINDOW - c->streams[stream].may_get - c->streams[stream].owed;
	c->streams[stream].owed += bytes < out ? (uint32_t)bytes : out;
}

/* Where both know each other, the session is up; a new epoch begins another. */
static void got_hello(struct channel *c, const uint8_t *hello)
{
	uint32_t epoch = get_u32(hello + CHANNEL_NONCE), echo = get_u32(hello + CHANNEL_NONCE + 4);

	if (epoch != c->peer) {
		c->peer = epoch;
		begin_session(c, echo == c->epoch);
	} else if (echo != c->epoch) {
		c->hello_owed = true; /* it has not heard ours */
	} else if (!c->up) {
		begin_session(c, true);
	}
}

static void got_credit(struct channel *c, unsigned int stream, const uint8_t *data)
{
	uint32_t bytes = get_u32(data), missing;

	missing = CHANNEL_WINDOW - c->streams[stream].may_send;
	c->streams[stream].may_send += bytes < missing ? bytes : missing;
}

static void got_frame(struct channel *c, enum channel_type type, unsigned int stream, size_t len,
		      channel_handler h, void *arg)
{
	const uint8_t *data = c->in + HEAD;
	struct channel_frame f = {type, stream, (const char *)data, len};

	if (type == CHANNEL_HELLO && len == HELLO_LEN && !memcmp(data, c->nonce, CHANNEL_NONCE)) {
		got_hello(c, data);
		return;
	}
	if (!c->up || stream >= ports[c->port].streams) {
		c->counts.refused_frames++;
		return;
	}
	if (type == CHANNEL_CREDIT && len == 4) {
		got_credit(c, stream, data);
		return;
	}
	if (!(ports[c->port].types & 1u << type) || len > c->streams[stream].may_get) {
		c->counts.refused_frames++;
		return;
	}
	c->counts.frames++;
	c->streams[stream].may_get -= (uint32_t)len;
	h(&f, arg);
}

/* Does in[], as far as it goes, look like a hello with our nonce? */
static bool like_hello(const struct channel *c)
{
	uint8_t want[HEAD + CHANNEL_NONCE] = {'C', 'Z', CHANNEL_HELLO, 0, HELLO_LEN};

	memcpy(want + HEAD, c->nonce, CHANNEL_NONCE);
	return !memcmp(c->in, want, c->in_len < sizeof(want) ? c->in_len : sizeof(want));
}

static void skip(struct channel *c)
{
	while (c->in_len && !like_hello(c)) {
		memmove(c->in, c->in + 1, --c->in_len);
		c->counts.junk_bytes++;
	}
	c->synced = c->in_len >= HEAD + CHANNEL_NONCE;
}

static bool head_valid(const struct channel *c)
{
	return !memcmp(c->in, "CZ", 2) && c->in[2] > 0 && c->in[2] < CHANNEL_TYPE_NR &&
	       c->in[3] < CHANNEL_STREAMS_MAX && get_u32(c->in + 4) <= ports[c->port].frame_max;
}

/* How many more bytes in[] needs before it can be looked at again. */
static size_t wanted(const struct channel *c)
{
	if (!c->synced)
		return 1;
	return (c->in_len < HEAD ? HEAD : HEAD + get_u32(c->in + 4)) - c->in_len;
}

static void look(struct channel *c, channel_handler h, void *arg)
{
	if (!c->synced) {
		skip(c);
		return;
	}
	if (c->in_len == HEAD && !head_valid(c)) {
		lose_session(c);
		skip(c);
	} else if (c->in_len >= HEAD && c->in_len == HEAD + get_u32(c->in + 4)) {
		/* A handler that restarts the channel finds no frame to take twice. */
		size_t len = c->in_len - HEAD;

		c->in_len = 0;
		got_frame(c, c->in[2], c->in[3], len, h, arg);
	}
}

void channel_feed(struct channel *c, const void *data, size_t len, channel_handler h, void *arg)
{
	const uint8_t *p = data;

	c->counts.bytes_in += len;
	while (len) {
		size_t n = wanted(c);

		n = n < len ? n : len;
		memcpy(c->in + c->in_len, p, n);
		c->in_len += n;
		p += n;
		len -= n;
		look(c, h, arg);
	}
}
