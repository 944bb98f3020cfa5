/* SPDX-License-Identifier: MIT */
#include "vm/pump.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"

#define DRAIN_TURNS 64

static void set_events(struct pump *p, uint32_t set, uint32_t clear)
{
	uint32_t events = 0;

	if (p->source && sd_event_source_get_io_events(p->source, &events) >= 0)
		sd_event_source_set_io_events(p->source, (events | set) & ~clear);
}

static int write_pending(struct pump *p)
{
	size_t len;
	const void *data;

	while ((data = p->ops->pending(p->arg, &len)), len > 0) {
		ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			set_events(p, EPOLLOUT, 0);
			return 0;
		}
		if (n < 0)
			return -errno;
		p->ops->sent(p->arg, (size_t)n);
	}
	set_events(p, 0, EPOLLOUT);
	return 0;
}

/* How much, or -Exxx. */
static ssize_t read_some(struct pump *p)
{
	char buf[PUMP_TURN_BYTES];
	ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	r = p->ops->feed(p->arg, buf, (size_t)n);
	return r < 0 ? r : n;
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct pump *p = arg;
	ssize_t r = 0;

	if (events & EPOLLIN)
		r = read_some(p);
	else if (events & (EPOLLHUP | EPOLLERR))
		r = -ENODATA;
	/* The owner may be gone after the end was told: nothing is touched then. */
	if (r >= 0)
		r = write_pending(p);
	if (r < 0) {
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
		p->ops->closed(p->arg, r == -ENODATA ? 0 : (int)r);
	}
	return 0;
}

int pump_init(struct pump *p, sd_event *loop, int fd, const char *name, const struct pump_ops *ops,
	      void *arg)
{
	int r;

	*p = (struct pump){.ops = ops, .arg = arg, .fd = fd};
	r = sd_event_add_io(loop, &p->source, fd, EPOLLIN, on_ready, p);
	if (r < 0)
		return r;
	sd_event_source_set_description(p->source, name);
	return 0;
}

void pump_done(struct pump *p)
{
	if (!p->source)
		return;
	p->source = sd_event_source_disable_unref(p->source);
	close_fd(&p->fd);
}

void pump_drain(struct pump *p)
{
	for (int i = 0; p->source && i < DRAIN_TURNS && read_some(p) > 0; i++)
		;
}

void pump_kick(struct pump *p)
{
	set_events(p, EPOLLOUT, 0);
}

void pump_hold(struct pump *p, bool hold)
{
	set_events(p, hold ? 0 : EPOLLIN, hold ? EPOLLIN : 0);
}
