/* SPDX-License-Identifier: MIT */
#include "daemon/zone-link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define OUT_MAX		(256u << 10)
#define BAD_IN_A_ROW	3
#define LINES_LOOKED_AT (10 * ZONE_LINK_LINES) /* a second, for answers */
#define SECOND_NS	1000000000ull
#define READ_AT_ONCE	4 /* then others have their turn */

struct request {
	uint64_t id; /* 0: free */
	uint64_t deadline_ns;
	zone_link_answer answer;
	void *arg;
};

struct zone_link {
	struct zone_link_handler h;
	int fd;
	sd_event_source *io, *timer;
	char in[ZONE_LINE_MAX + 1];
	size_t in_len;
	struct strbuf out;
	size_t out_sent;
	uint64_t last_id, second_ns;
	unsigned int lines_in_second, bad_in_a_row;
	struct request requests[ZONE_LINK_REQUESTS];
	struct zone_link_counts counts;
	struct zone_msg msg; /* scratch */
};

static void finish(struct request *q, const struct zone_msg *m, int code)
{
	struct request done = *q;

	q->id = 0; /* first: the answer may ask again */
	if (done.answer)
		done.answer(m, code, done.arg);
}

static void arm_timer(struct zone_link *l)
{
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < ZONE_LINK_REQUESTS; i++)
		if (l->requests[i].id && l->requests[i].deadline_ns < next_ns)
			next_ns = l->requests[i].deadline_ns;
	sd_event_source_set_time(l->timer, next_ns == UINT64_MAX ? UINT64_MAX : next_ns / 1000 + 1);
	sd_event_source_set_enabled(l->timer,
				    next_ns == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *arg)
{
	struct zone_link *l = arg;
	uint64_t now_ns = clock_mono_ns();

	for (size_t i = 0; i < ZONE_LINK_REQUESTS; i++)
		if (l->requests[i].id && l->requests[i].deadline_ns <= now_ns)
			finish(&l->requests[i], NULL, -ETIMEDOUT);
	arm_timer(l);
	return 0;
}

static void take_answer(struct zone_link *l)
{
	for (size_t i = 0; i < ZONE_LINK_REQUESTS; i++) {
		if (l->requests[i].id && l->requests[i].id == l->msg.id) {
			finish(&l->requests[i], &l->msg, 0);
			arm_timer(l);
			return;
		}
	}
	l->counts.late_total++;
}

static bool is_asked(const struct zone_link *l)
{
	for (size_t i = 0; i < ZONE_LINK_REQUESTS; i++)
		if (l->requests[i].id)
			return true;
	return false;
}

static bool over_rate(struct zone_link *l)
{
	uint64_t now_ns = clock_mono_ns();

	if (now_ns - l->second_ns >= SECOND_NS) {
		l->second_ns = now_ns;
		l->lines_in_second = 0;
	}
	return ++l->lines_in_second > ZONE_LINK_LINES;
}

/* NULL, or why the link has to be closed. */
static const char *take_line(struct zone_link *l, const char *line, size_t len)
{
	bool over = over_rate(l);

	l->counts.lines_total++;
	/* What was asked for is not to be lost in a flood. */
	if (over && (!is_asked(l) || l->lines_in_second > LINES_LOOKED_AT)) {
		l->counts.dropped_total++;
		return NULL;
	}
	if (zone_msg_parse(line, len, &l->msg) < 0) {
		l->counts.bad_total++;
		return ++l->bad_in_a_row >= BAD_IN_A_ROW ? "it sent nonsense" : NULL;
	}
	l->bad_in_a_row = 0;
	if (l->msg.kind == ZONE_MSG_ANSWER)
		take_answer(l);
	else if (over)
		l->counts.dropped_total++;
	else
		l->h.on_event(&l->msg, l->h.arg);
	return NULL;
}

static const char *take_lines(struct zone_link *l)
{
	size_t start = 0;
	const char *why = NULL, *end;

	while (!why && (end = memchr(l->in + start, '\n', l->in_len - start))) {
		why = take_line(l, l->in + start, (size_t)(end - l->in) - start);
		start = (size_t)(end - l->in) + 1;
	}
	memmove(l->in, l->in + start, l->in_len - start);
	l->in_len -= start;
	return !why && l->in_len == sizeof(l->in) ? "it sent a line without end" : why;
}

static const char *receive(struct zone_link *l)
{
	const char *why = NULL;

	for (int i = 0; i < READ_AT_ONCE && !why; i++) {
		ssize_t n = recv(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			return "it closed the link";
		l->in_len += (size_t)n;
		why = take_lines(l);
	}
	return why;
}

static const char *flush(struct zone_link *l)
{
	while (l->out_sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.data + l->out_sent, l->out.len - l->out_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			return "it does not take requests";
		l->out_sent += (size_t)n;
	}
	if (l->out_sent == l->out.len) {
		strbuf_reset(&l->out);
		l->out_sent = 0;
	}
	sd_event_source_set_io_events(l->io, l->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return NULL;
}

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct zone_link *l = arg;
	const char *why = NULL;

	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
		why = receive(l);
	if (!why && (revents & EPOLLOUT))
		why = flush(l);
	if (why) {
		sd_event_source_set_enabled(l->io, SD_EVENT_OFF);
		l->h.on_close(why, l->h.arg); /* frees l */
	}
	return 0;
}

int zone_link_open(sd_event *loop, const char *path, const struct zone_link_handler *h,
		   struct zone_link **ret)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct zone_link *l;
	int r = 0;

	if (!str_copy(addr.sun_path, sizeof(addr.sun_path), path))
		return -ENAMETOOLONG;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->h = *h;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = -errno;
	if (r == 0)
		r = sd_event_add_io(loop, &l->io, l->fd, EPOLLIN, on_io, l);
	if (r >= 0)
		r = sd_event_add_time(loop, &l->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer,
				      l);
	if (r < 0) {
		zone_link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void zone_link_free(struct zone_link *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < ZONE_LINK_REQUESTS; i++)
		if (l->requests[i].id)
			finish(&l->requests[i], NULL, -ECONNRESET);
	sd_event_source_disable_unref(l->io);
	sd_event_source_disable_unref(l->timer);
	close_fd(&l->fd);
	strbuf_done(&l->out);
	free(l);
}

static struct request *free_request(struct zone_link *l)
{
	for (size_t i = 0; i < ZONE_LINK_REQUESTS; i++)
		if (!l->requests[i].id)
			return &l->requests[i];
	return NULL;
}

int zone_link_ask(struct zone_link *l, json_t *request, uint64_t timeout_ns,
		  zone_link_answer answer, void *arg)
{
	struct request *q = free_request(l);
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (request &&
	    json_object_set_new(request, "id", json_integer((json_int_t)l->last_id + 1)) == 0)
		text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!text)
		return -ENOMEM;
	len = strlen(text);
	if (len >= ZONE_LINE_MAX)
		return -EMSGSIZE;
	if (!q || l->out.len + len > OUT_MAX)
		return -EBUSY;
	strbuf_add(&l->out, text, len);
	strbuf_add(&l->out, "\n", 1);
	if (l->out.failed)
		return -ENOMEM;
	*q = (struct request){.id = ++l->last_id,
			      .deadline_ns = clock_mono_ns() + timeout_ns,
			      .answer = answer,
			      .arg = arg};
	arm_timer(l);
	flush(l); /* a broken link is noticed by the loop */
	return 0;
}

const struct zone_link_counts *zone_link_counts(const struct zone_link *l)
{
	return &l->counts;
}
