/* SPDX-License-Identifier: MIT */
#include "guest/loop.h"

#include <sys/epoll.h>
#include <stddef.h>
#include "base/clock.h"

int loop_init(struct loop *l)
{
	*l = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .now_ns = clock_mono_ns()};
	return l->epoll_fd < 0 ? -errno : 0;
}

int loop_add(struct loop *l, struct source *s, int fd, uint32_t events,
	     void (*ready)(void *arg, uint32_t events), void *arg)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	*s = (struct source){fd, events, ready, arg};
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
		s->fd = -1;
		return -errno;
	}
	return 0;
}

void loop_events(struct loop *l, struct source *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	if (!s->ready || s->fd < 0 || s->events == events)
		return;
	s->events = events;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
}

void loop_del(struct loop *l, struct source *s)
{
	if (s->ready && s->fd >= 0)
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->fd = -1;
	for (int i = 0; i < LOOP_EVENTS; i++)
		if (l->batch[i] == s)
			l->batch[i] = NULL;
}

void loop_cancel(struct loop *l, struct timer *t)
{
	for (struct timer **p = &l->timers; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	t->at_ns = 0;
}

void loop_timer(struct loop *l, struct timer *t, uint64_t at_ns, void (*due)(void *arg), void *arg)
{
	loop_cancel(l, t);
	*t = (struct timer){at_ns ? at_ns : 1, due, arg, l->timers};
	l->timers = t;
}

static struct timer *first_timer(const struct loop *l)
{
	struct timer *first = l->timers;

	for (struct timer *t = l->timers; t; t = t->next)
		if (t->at_ns < first->at_ns)
			first = t;
	return first;
}

static int wait_ms(const struct loop *l)
{
	const struct timer *first = first_timer(l);
	uint64_t now = clock_mono_ns();

	if (!first)
		return -1;
	return first->at_ns <= now ? 0 : (int)((first->at_ns - now) / 1000000 + 1);
}

static void run_timers(struct loop *l)
{
	/* A timer that is set again while it runs has its turn next time. */
	uint64_t until = l->now_ns;
	struct timer *t;

	while ((t = first_timer(l)) && t->at_ns <= until) {
		loop_cancel(l, t);
		t->due(t->arg);
	}
}

void loop_once(struct loop *l)
{
	struct epoll_event events[LOOP_EVENTS];
	int n = epoll_wait(l->epoll_fd, events, LOOP_EVENTS, wait_ms(l));

	l->now_ns = clock_mono_ns();
	for (int i = 0; i < n; i++)
		l->batch[i] = events[i].data.ptr;
	for (int i = 0; i < n; i++) {
		struct source *s = l->batch[i];

		l->batch[i] = NULL; /* NULL before: deleted by one handled earlier */
		if (s)
			s->ready(s->arg, events[i].events);
	}
	run_timers(l);
}
