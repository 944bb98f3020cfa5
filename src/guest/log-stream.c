/* SPDX-License-Identifier: MIT */
#include "guest/log-stream.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "guest/apps.h"

static struct channel *log_channel(const struct log_stream *s)
{
	return s->guest->ports[CHANNEL_LOG].channel;
}

static bool say(struct log_stream *s, enum channel_type type, const void *data, size_t len)
{
	return channel_write(log_channel(s), type, s->slot, data, len) == 0;
}

/* Name and losses go before more of the log. */
static bool introduce(struct log_stream *s)
{
	uint8_t lost[8];

	if (!s->named)
		s->named = say(s, CHANNEL_NAME, s->name, strlen(s->name));
	if (s->named && s->lost) {
		for (int i = 0; i < 8; i++)
			lost[i] = (uint8_t)(s->lost >> (8 * i));
		if (say(s, CHANNEL_LOST, lost, sizeof(lost)))
			s->lost = 0;
	}
	return s->named && !s->lost;
}

static void lose(struct log_stream *s, size_t bytes)
{
	s->lost += bytes;
	s->lost_total += bytes;
}

/* Sends the first `len` bytes of the line buffer. */
static void send_head(struct log_side *side, size_t len)
{
	struct log_stream *s = side->stream;

	if (!introduce(s) || !say(s, side->type, side->line, len))
		lose(s, len);
	side->len -= len;
	memmove(side->line, side->line + len, side->len);
}

static void send_lines(struct log_side *side)
{
	char *end = memrchr(side->line, '\n', side->len);

	if (end)
		send_head(side, (size_t)(end - side->line) + 1);
	else if (side->len == sizeof(side->line))
		send_head(side, side->len);
}

/* May we read now? When the host takes nothing for long, yes: to drop it. */
static bool may_read(struct log_stream *s)
{
	uint64_t now = s->guest->loop.now_ns;

	if (!s->budget)
		return false;
	if (channel_room(log_channel(s), s->slot) > LOG_LINE_MAX + 64) {
		s->full_since_ns = 0;
		return true;
	}
	if (!s->full_since_ns)
		s->full_since_ns = now;
	return now - s->full_since_ns >= LOG_PATIENCE_NS;
}

static void listen_if(struct log_stream *s, bool listen)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->sides); i++)
		loop_events(&s->guest->loop, &s->sides[i].source, listen ? EPOLLIN : 0);
}

static void on_output(void *arg, uint32_t events)
{
	struct log_side *side = arg;
	struct log_stream *s = side->stream;
	ssize_t n;

	if (!may_read(s)) {
		listen_if(s, false);
		return;
	}
	n = read(side->in, side->line + side->len, sizeof(side->line) - side->len);
	if (n <= 0)
		return;
	side->len += (size_t)n;
	s->budget -= (uint32_t)n < s->budget ? (uint32_t)n : s->budget;
	send_lines(side);
}

static int open_side(struct log_side *side, struct log_stream *s, enum channel_type type)
{
	int fds[2];

	side->stream = s;
	side->type = type;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	side->in = fds[0];
	side->out = fds[1];
	/* only our end: the app expects writes that wait */
	fcntl(side->in, F_SETFL, O_NONBLOCK);
	return loop_add(&s->guest->loop, &side->source, side->in, EPOLLIN, on_output, side);
}

int log_open(struct log_stream *s, struct guest *g, unsigned int slot, const char *name)
{
	int r;

	*s = (struct log_stream){.guest = g,
				 .slot = slot,
				 .name = name,
				 .budget = LOG_RATE,
				 .sides = {{.in = -1, .out = -1}, {.in = -1, .out = -1}}};
	r = open_side(&s->sides[0], s, CHANNEL_DATA);
	if (r == 0)
		r = open_side(&s->sides[1], s, CHANNEL_STDERR);
	if (r < 0)
		log_close(s);
	return r;
}

void log_close(struct log_stream *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->sides); i++) {
		struct log_side *side = &s->sides[i];

		if (!s->guest)
			continue;
		while (side->in >= 0 && side->len < sizeof(side->line)) {
			ssize_t n =
			    read(side->in, side->line + side->len, sizeof(side->line) - side->len);

			if (n <= 0)
				break;
			side->len += (size_t)n;
			send_lines(side);
		}
		if (side->len)
			send_head(side, side->len);
		loop_del(&s->guest->loop, &side->source);
		close_fd(&side->in);
		close_fd(&side->out);
	}
}

void log_wake(struct log_stream *s, bool second)
{
	if (second) {
		s->budget = LOG_RATE;
		introduce(s);
		/* a prompt, a progress bar: no line end to wait for */
		for (size_t i = 0; i < ARRAY_SIZE(s->sides); i++)
			if (s->sides[i].len)
				send_head(&s->sides[i], s->sides[i].len);
	}
	listen_if(s, may_read(s));
}

void log_session(void *guest)
{
	struct guest *g = guest;

	apps_each(g, a)
	{
		a->log.named = false;
		log_wake(&a->log, false);
	}
}

void log_frame(const struct channel_frame *f, void *guest)
{
	struct guest *g = guest;

	/* The host has nothing to say here. */
	channel_consumed(g->ports[CHANNEL_LOG].channel, f->stream, f->len);
}
