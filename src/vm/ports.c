/* SPDX-License-Identifier: MIT */
#include "vm/ports.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "vm/pump.h"

struct port {
	struct ports *all;
	enum channel_port nr;
	struct channel *channel;
	struct pump pump;
	uint64_t sessions; /* told so far */
};
struct ports {
	struct ports_events events;
	struct port port[CHANNEL_NR];
};

/* A session may begin between two frames of one read: it is told before the frame. */
static void tell_session(struct port *p)
{
	uint64_t sessions = channel_counts(p->channel)->sessions;

	if (sessions == p->sessions)
		return;
	p->sessions = sessions;
	p->all->events.session(p->all->events.arg, p->nr);
}

static void on_frame(const struct channel_frame *f, void *arg)
{
	struct port *p = arg;

	tell_session(p);
	p->all->events.frame(p->all->events.arg, p->nr, f);
}

static int feed(void *arg, const void *data, size_t len)
{
	struct port *p = arg;

	channel_feed(p->channel, data, len, on_frame, p);
	if (channel_up(p->channel))
		tell_session(p);
	p->all->events.room(p->all->events.arg, p->nr);
	return 0;
}

static const void *pending(void *arg, size_t *ret_len)
{
	return channel_pending(((struct port *)arg)->channel, ret_len);
}

static void sent(void *arg, size_t len)
{
	channel_sent(((struct port *)arg)->channel, len);
}

/* QEMU is going; its end is told by its backend. */
static void closed(void *arg, int code)
{
}

static const struct pump_ops pump_ops = {feed, pending, sent, closed};

static int port_init(struct port *p, struct ports *all, sd_event *loop, enum channel_port nr,
		     const uint8_t *nonce, int fd)
{
	uint64_t usec = 0;
	int r;

	p->all = all;
	p->nr = nr;
	sd_event_now(loop, CLOCK_MONOTONIC, &usec);
	r = channel_new(nr, nonce, (uint32_t)usec | 1, &p->channel);
	return r < 0 ? r : pump_init(&p->pump, loop, fd, channel_port_name(nr), &pump_ops, p);
}

int ports_new(sd_event *loop, const char *nonce, const int fds[CHANNEL_NR],
	      const struct ports_events *events, struct ports **ret)
{
	struct ports *all = calloc(1, sizeof(*all));
	uint8_t bytes[CHANNEL_NONCE];
	int r;

	if (!all)
		return -ENOMEM;
	all->events = *events;
	r = channel_nonce_parse(nonce, bytes);
	for (enum channel_port i = 0; r == 0 && i < CHANNEL_NR; i++)
		r = port_init(&all->port[i], all, loop, i, bytes, fds[i]);
	if (r < 0) {
		/* on failure the fds stay the caller's */
		for (size_t i = 0; i < CHANNEL_NR; i++)
			all->port[i].pump.fd = -1;
		ports_free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void ports_free(struct ports *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < CHANNEL_NR; i++) {
		pump_done(&all->port[i].pump);
		channel_free(all->port[i].channel);
	}
	free(all);
}

void ports_restart(struct ports *all, enum channel_port port)
{
	channel_restart(all->port[port].channel);
	pump_kick(&all->port[port].pump);
}

void ports_tick(struct ports *all)
{
	for (size_t i = 0; i < CHANNEL_NR; i++) {
		channel_tick(all->port[i].channel);
		pump_kick(&all->port[i].pump);
	}
}

int ports_write(struct ports *all, enum channel_port port, enum channel_type type,
		unsigned int stream, const void *data, size_t len)
{
	int r = channel_write(all->port[port].channel, type, stream, data, len);

	pump_kick(&all->port[port].pump);
	return r;
}

int ports_say(struct ports *all, json_t *message)
{
	_cleanup_free_ char *text = json_dumps(message, JSON_COMPACT);

	json_decref(message);
	if (!text)
		return -ENOMEM;
	return ports_write(all, CHANNEL_CONTROL, CHANNEL_MESSAGE, 0, text, strlen(text));
}

size_t ports_room(const struct ports *all, enum channel_port port, unsigned int stream)
{
	return channel_room(all->port[port].channel, stream);
}

void ports_consumed(struct ports *all, enum channel_port port, unsigned int stream, size_t bytes)
{
	channel_consumed(all->port[port].channel, stream, bytes);
	pump_kick(&all->port[port].pump);
}

const struct channel_counts *ports_counts(const struct ports *all, enum channel_port port)
{
	return channel_counts(all->port[port].channel);
}
