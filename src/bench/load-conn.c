/* SPDX-License-Identifier: MIT */
/* cz-load's connections during the run: non-blocking, pipelined, reconnecting. */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/load.h"

#define RECONNECT_NS 100000000ull
#define BARREN_MAX   16 /* so many closes without a reply: this is no server for us */
#define READ_BYTES   65536

static bool measured(const struct load *l, uint64_t intended_ns)
{
	return intended_ns >= l->measure_ns;
}

#define COUNT(l, field, n)                                                                         \
	do {                                                                                       \
		(l)->total.counts.field += (n);                                                    \
		(l)->interval.counts.field += (n);                                                 \
	} while (0)

static bool pending_push(struct pending *q, uint64_t intended_ns)
{
	if (q->count == q->cap) {
		uint32_t cap = q->cap ? q->cap * 2 : 64;
		uint64_t *bigger = cap <= PENDING_MAX ? malloc(cap * sizeof(*bigger)) : NULL;

		if (!bigger)
			return false;
		for (uint32_t i = 0; i < q->count; i++)
			bigger[i] = q->intended_ns[(q->head + i) & (q->cap - 1)];
		free(q->intended_ns);
		*q = (struct pending){.intended_ns = bigger, .count = q->count, .cap = cap};
	}
	q->intended_ns[(q->head + q->count++) & (q->cap - 1)] = intended_ns;
	return true;
}

static uint64_t pending_pop(struct pending *q)
{
	uint64_t intended_ns = q->intended_ns[q->head];

	q->head = (q->head + 1) & (q->cap - 1);
	q->count--;
	return intended_ns;
}

static void watch(struct load *l, struct conn *c, int op, bool write)
{
	struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};

	c->wants_write = write;
	/* Can fail only for lack of kernel memory: then the requests count as unanswered. */
	(void)epoll_ctl(l->epoll_fd, op, c->fd, &e);
}

static void note_error(struct load *l, const char *what, int r)
{
	snprintf(l->last_error, sizeof(l->last_error), "%s: %s", what, strerror(-r));
}

/* What was sent on it is lost; what was not is not sent. It comes back after a while. */
static void conn_drop(struct load *l, struct conn *c)
{
	while (c->pending.count > 0) {
		bool sent = c->pending.count > c->unflushed;

		if (!measured(l, pending_pop(&c->pending)))
			continue;
		if (sent)
			COUNT(l, lost, 1);
		else
			COUNT(l, not_sent, 1);
	}
	close_fd(&c->fd);
	strbuf_reset(&c->out);
	c->out_sent = 0;
	c->unflushed = 0;
	c->state = CONN_DOWN;
	c->retry_ns = clock_mono_ns() + RECONNECT_NS;
	reply_parser_init(&c->parser);
}

static void conn_up(struct load *l, struct conn *c)
{
	c->state = CONN_UP;
	c->answered = 0;
	watch(l, c, EPOLL_CTL_MOD, false);
}

static void conn_start(struct load *l, struct conn *c)
{
	c->fd = target_connect(l->target, true);
	if (c->fd < 0) {
		note_error(l, "connect", c->fd);
		COUNT(l, connect_errors, 1);
		c->fd = -1;
		c->retry_ns = clock_mono_ns() + RECONNECT_NS;
		return;
	}
	c->state = CONN_CONNECTING;
	COUNT(l, reconnects, 1);
	watch(l, c, EPOLL_CTL_ADD, true);
}

uint64_t conns_retry(struct load *l, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < l->o->connections; i++) {
		struct conn *c = &l->conns[i];

		if (c->state == CONN_DOWN && c->retry_ns <= now_ns)
			conn_start(l, c);
		if (c->state == CONN_DOWN && c->retry_ns < next_ns)
			next_ns = c->retry_ns;
	}
	return next_ns;
}

int conns_open(struct load *l, struct error *reterr)
{
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return error_errno(reterr, -errno, "epoll");
	l->conns = calloc(l->o->connections, sizeof(*l->conns));
	if (!l->conns)
		return error_errno(reterr, -ENOMEM, "connections");
	for (size_t i = 0; i < l->o->connections; i++)
		l->conns[i].fd = -1;
	for (size_t i = 0; i < l->o->connections; i++) {
		struct conn *c = &l->conns[i];
		int fd = target_connect(l->target, false);

		if (fd < 0)
			return error_errno(reterr, fd, "connect to %s (connection %zu)",
					   l->target->shown, i + 1);
		c->fd = fd;
		watch(l, c, EPOLL_CTL_ADD, false);
		conn_up(l, c);
	}
	return 0;
}

void conns_close(struct load *l)
{
	for (size_t i = 0; l->conns && i < l->o->connections; i++) {
		close_fd(&l->conns[i].fd);
		strbuf_done(&l->conns[i].out);
		free(l->conns[i].pending.intended_ns);
	}
	free(l->conns);
	l->conns = NULL;
	close_fd(&l->epoll_fd);
}

uint64_t conns_pending(const struct load *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->o->connections; i++)
		n += l->conns[i].pending.count;
	return n;
}

void conns_request(struct load *l, uint64_t intended_ns)
{
	if (measured(l, intended_ns))
		COUNT(l, intended, 1);
	for (size_t tried = 0; tried < l->o->connections; tried++) {
		struct conn *c = &l->conns[l->next_conn];

		l->next_conn = (l->next_conn + 1) % l->o->connections;
		if (c->state != CONN_UP || !pending_push(&c->pending, intended_ns))
			continue;
		l->dialect->add_request(l, &c->out);
		c->unflushed++;
		c->dirty = true;
		return;
	}
	if (measured(l, intended_ns))
		COUNT(l, not_sent, 1);
}

/* How late the generator is, itself: what the server and its socket cost comes after this. */
static void record_lag(struct load *l, struct conn *c)
{
	struct pending *q = &c->pending;
	uint64_t now_ns = clock_mono_ns();

	for (; c->unflushed > 0; c->unflushed--) {
		uint32_t at = (q->head + q->count - c->unflushed) & (q->cap - 1);
		uint64_t intended_ns = q->intended_ns[at];

		if (!measured(l, intended_ns))
			continue;
		COUNT(l, sent, 1);
		hist_add(l->total.lag, now_ns - intended_ns);
		hist_add(l->interval.lag, now_ns - intended_ns);
	}
}

static void conn_flush(struct load *l, struct conn *c)
{
	ssize_t n;

	c->dirty = false;
	record_lag(l, c);
	if (c->out.failed) {
		note_error(l, "queue a request", -ENOMEM);
		conn_drop(l, c);
		return;
	}
	n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent,
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		note_error(l, "send", -errno);
		conn_drop(l, c);
		return;
	}
	c->out_sent += n > 0 ? (size_t)n : 0;
	if (c->out_sent == c->out.len) {
		strbuf_reset(&c->out);
		c->out_sent = 0;
	}
	if (c->wants_write != (c->out.len > 0))
		watch(l, c, EPOLL_CTL_MOD, c->out.len > 0);
}

void conns_flush(struct load *l)
{
	for (size_t i = 0; i < l->o->connections; i++) {
		if (l->conns[i].dirty && l->conns[i].state == CONN_UP)
			conn_flush(l, &l->conns[i]);
	}
}

static void record_reply(struct load *l, struct conn *c, const struct reply *reply, uint64_t now_ns)
{
	uint64_t intended_ns = pending_pop(&c->pending);

	c->answered++;
	l->barren = 0;
	if (!measured(l, intended_ns))
		return;
	COUNT(l, replies, 1);
	COUNT(l, misses, reply->is_miss);
	COUNT(l, reply_errors, reply->is_error);
	if (reply->is_error)
		str_copy(l->last_error, sizeof(l->last_error), reply->text);
	hist_add(l->total.latency, now_ns - intended_ns);
	hist_add(l->interval.latency, now_ns - intended_ns);
}

static int take_replies(struct load *l, struct conn *c, const char *data, size_t size,
			struct error *reterr)
{
	uint64_t now_ns = clock_mono_ns();

	while (size > 0) {
		struct reply reply;
		size_t used;
		int r = l->dialect->replies->feed(&c->parser, data, size, &used, &reply, reterr);

		if (r < 0)
			return error_wrap(reterr, r, "%s", l->target->shown);
		if (r == 1 && c->pending.count <= c->unflushed)
			return error_set(reterr, -EBADMSG, "%s: a reply nobody asked for",
					 l->target->shown);
		if (r == 1)
			record_reply(l, c, &reply, now_ns);
		if (r == 1 && reply.closes) {
			conn_drop(l, c);
			c->retry_ns = now_ns; /* as announced: no reason to wait */
			return 0;
		}
		data += used;
		size -= used;
	}
	return 0;
}

static int conn_closed(struct load *l, struct conn *c, int why, struct error *reterr)
{
	if (c->answered == 0 && ++l->barren >= BARREN_MAX)
		return error_set(reterr, -ECONNRESET, "%s closes connections without answering",
				 l->target->shown);
	note_error(l, "connection lost", why);
	conn_drop(l, c);
	return 0;
}

static int conn_read(struct load *l, struct conn *c, struct error *reterr)
{
	char buf[READ_BYTES];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return conn_closed(l, c, n < 0 ? -errno : -ECONNRESET, reterr);
	return take_replies(l, c, buf, (size_t)n, reterr);
}

static void conn_connected(struct load *l, struct conn *c)
{
	int why = 0;
	socklen_t length = sizeof(why);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &length);
	if (why == 0) {
		conn_up(l, c);
		return;
	}
	note_error(l, "connect", -why);
	COUNT(l, connect_errors, 1);
	conn_drop(l, c);
}

int conn_ready(struct load *l, struct conn *c, uint32_t events, struct error *reterr)
{
	if (c->state == CONN_CONNECTING) {
		conn_connected(l, c);
		return 0;
	}
	if (c->state == CONN_UP && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		int r = conn_read(l, c, reterr);

		if (r < 0)
			return r;
	}
	if (c->state == CONN_UP && (events & EPOLLOUT))
		conn_flush(l, c);
	return 0;
}
