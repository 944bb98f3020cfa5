/* SPDX-License-Identifier: MIT */
#include "gate/czd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define PAUSE_MIN_NS 100000000ull
#define PAUSE_MAX_NS 5000000000ull
#define READ_CHUNK   65536
#define KEPT_BYTES   (1u << 20) /* a buffer that grew beyond is given back */

struct pending {
	int64_t id;
	uint64_t deadline_ns;
	czd_answer answer;
	void *arg;
};

struct czd {
	sd_event *loop;
	const char *path;
	uint64_t patience_ns;
	int fd;
	sd_event_source *io, *timer;
	int64_t last_id;
	uint64_t pause_ns, retry_ns;		 /* not before: connect */
	struct pending pending[CZD_PENDING_MAX]; /* in the order asked, which is that of answers */
	size_t nr;
	char *in;
	size_t in_len, in_cap, scanned;
	struct strbuf out;
	size_t out_sent;
	struct czd_stats stats;
};

static int on_io(sd_event_source *src, int fd, uint32_t events, void *arg);
static int on_timer(sd_event_source *src, uint64_t usec, void *arg);

int czd_new(sd_event *loop, const char *path, uint64_t patience_ns, struct czd **ret)
{
	struct czd *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct czd){.loop = loop, .path = path, .patience_ns = patience_ns, .fd = -1};
	r = sd_event_add_time(loop, &c->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void disconnect(struct czd *c)
{
	sd_event_source_disable_unref(c->io);
	c->io = NULL;
	close_fd(&c->fd);
	c->in_len = c->scanned = c->out_sent = 0;
	strbuf_done(&c->out);
}

bool czd_is_connected(const struct czd *c)
{
	return c->fd >= 0;
}

struct czd_stats czd_stats(const struct czd *c)
{
	return c->stats;
}

/* The connection is of no use any more: everybody who waits is told, and may ask anew at once. */
static void fail_all(struct czd *c, const struct error *why)
{
	struct pending told[CZD_PENDING_MAX];
	size_t n = c->nr;

	memcpy(told, c->pending, n * sizeof(told[0]));
	c->nr = 0;
	disconnect(c);
	c->pause_ns = c->pause_ns ? c->pause_ns * 2 : PAUSE_MIN_NS;
	if (c->pause_ns > PAUSE_MAX_NS)
		c->pause_ns = PAUSE_MAX_NS;
	c->retry_ns = clock_mono_ns() + c->pause_ns;
	c->stats.failed_total += n;
	for (size_t i = 0; i < n; i++)
		told[i].answer(NULL, why, told[i].arg);
}

void czd_free(struct czd *c)
{
	struct error e = {0};

	if (!c)
		return;
	error_set(&e, -ECANCELED, "cz-gate is stopping");
	fail_all(c, &e);
	sd_event_source_disable_unref(c->timer);
	strbuf_done(&c->out);
	free(c->in);
	free(c);
}

static int away(struct czd *c, int code, struct error *reterr)
{
	error_errno(reterr, code, "czd is not reachable at %s", c->path);
	if (code == -EACCES)
		error_hint(reterr, "The user of cz-gate has to be in the group 'cz'.");
	else if (code == -ETIMEDOUT)
		error_hint(reterr, "It is there but does not answer: is it stopped or overloaded?");
	else
		error_hint(reterr, "Start it: systemctl start czd");
	/* Not to be taken for czd's own word on a zone that is not there, or a user who may not. */
	if (code == -ENOENT || code == -EACCES)
		reterr->code = -ECONNREFUSED;
	return reterr->code;
}

static int open_socket(struct czd *c, struct error *reterr)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	int r;

	if (clock_mono_ns() < c->retry_ns)
		return away(c, -ECONNREFUSED, reterr);
	if (!str_copy(addr.sun_path, sizeof(addr.sun_path), c->path))
		return away(c, -ENAMETOOLONG, reterr);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return away(c, -errno, reterr);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return away(c, errno == EAGAIN ? -ETIMEDOUT : -errno, reterr);
	r = sd_event_add_io(c->loop, &c->io, fd, EPOLLIN, on_io, c);
	if (r < 0)
		return away(c, r, reterr);
	c->fd = TAKE_FD(fd);
	c->stats.connects_total++;
	return 0;
}

static int flush(struct czd *c)
{
	while (c->out_sent < c->out.len) {
		ssize_t n =
		    send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		c->out_sent += (size_t)n;
	}
	if (c->out_sent == c->out.len) {
		strbuf_reset(&c->out);
		c->out_sent = 0;
	}
	return sd_event_source_set_io_events(c->io, EPOLLIN | (c->out.len ? EPOLLOUT : 0u));
}

/* The oldest is the first to be late. */
static void arm(struct czd *c)
{
	if (!c->nr) {
		sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(c->timer, c->pending[0].deadline_ns / 1000);
	sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *arg)
{
	struct czd *c = arg;
	struct error e = {0};

	if (c->nr && clock_mono_ns() >= c->pending[0].deadline_ns) {
		away(c, -ETIMEDOUT, &e);
		fail_all(c, &e);
	}
	arm(c);
	return 0;
}

static int enqueue(struct czd *c, const char *verb, json_t *args, czd_answer answer, void *arg,
		   struct error *reterr)
{
	_cleanup_free_ char *line = NULL;
	json_t *request;
	int r;

	if (c->nr == CZD_PENDING_MAX) {
		error_set(reterr, -EBUSY, "too many requests wait for czd");
		error_hint(reterr, "Try again in a moment.");
		return -EBUSY;
	}
	r = c->fd < 0 ? open_socket(c, reterr) : 0;
	if (r < 0)
		return r;
	request =
	    json_pack("{s:I,s:s,s:O}", "id", (json_int_t)++c->last_id, "verb", verb, "args", args);
	line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!line)
		return error_errno(reterr, -ENOMEM, "request to czd");
	strbuf_puts(&c->out, line);
	strbuf_puts(&c->out, "\n");
	if (c->out.failed) {
		error_errno(reterr, -ENOMEM, "request to czd");
		fail_all(c, reterr);
		return -ENOMEM;
	}
	c->pending[c->nr++] = (struct pending){.id = c->last_id,
					       .deadline_ns = clock_mono_ns() + c->patience_ns,
					       .answer = answer,
					       .arg = arg};
	return 0;
}

void czd_call(struct czd *c, const char *verb, json_t *args, czd_answer answer, void *arg)
{
	struct error e = {0};
	int r;

	c->stats.calls_total++;
	r = args ? enqueue(c, verb, args, answer, arg, &e)
		 : error_set(&e, -EINVAL, "an argument is not valid UTF-8");
	json_decref(args);
	if (r < 0) {
		c->stats.failed_total++;
		answer(NULL, &e, arg);
		return;
	}
	r = flush(c);
	if (r < 0) {
		away(c, r, &e);
		fail_all(c, &e);
	}
	arm(c);
}

static int code_of(const char *name)
{
	for (int e = 1; e < 134; e++) {
		if (!strcmp(error_name(-e), name))
			return -e;
	}
	return -EIO;
}

json_t *czd_parse(const char *line, size_t len, int64_t *ret_id, struct error *reterr)
{
	json_t *answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL), *data = NULL;
	const char *name = "EIO", *message = "czd refused without saying why", *hint = "";
	json_t *ok = json_object_get(answer, "ok");

	*ret_id = json_integer_value(json_object_get(answer, "id"));
	if (json_is_true(ok))
		data = json_incref(json_object_get(answer, "data"));
	if (json_is_false(ok)) {
		json_unpack(json_object_get(answer, "error"), "{s?s, s?s, s?s}", "name", &name,
			    "message", &message, "hint", &hint);
		error_set(reterr, code_of(name), "%s", message);
		error_hint(reterr, "%s", hint);
	} else if (!json_is_object(data)) {
		json_decref(data);
		data = NULL;
		error_set(reterr, -EPROTO, "what listens does not answer like czd");
		error_hint(reterr, "Is it czd, and of this version?");
	}
	json_decref(answer);
	return data;
}

static int take_line(struct czd *c, const char *line, size_t len)
{
	struct error e = {0};
	struct pending p;
	int64_t id;
	json_t *data = czd_parse(line, len, &id, &e);

	/* A refusal of the connection itself answers no question; nor does what was not asked. */
	if (!c->nr || id != c->pending[0].id) {
		json_decref(data);
		if (!e.code)
			error_set(&e, -EPROTO, "czd answered another question");
		fail_all(c, &e);
		return -EPROTO;
	}
	p = c->pending[0];
	memmove(c->pending, c->pending + 1, --c->nr * sizeof(c->pending[0]));
	c->pause_ns = 0;
	c->stats.failed_total += !data;
	p.answer(data, &e, p.arg);
	json_decref(data);
	return 0;
}

static int grow(struct czd *c)
{
	size_t cap = c->in_cap ? c->in_cap * 2 : READ_CHUNK * 2;
	char *in;

	if (c->in_cap - c->in_len >= READ_CHUNK)
		return 0;
	if (cap > CZD_ANSWER_MAX)
		return -EMSGSIZE;
	in = realloc(c->in, cap);
	if (!in)
		return -ENOMEM;
	c->in = in;
	c->in_cap = cap;
	return 0;
}

static int take_lines(struct czd *c)
{
	size_t start = 0;
	char *end;

	/* An answer may make its receiver ask again, which may end this connection. */
	while (c->fd >= 0 &&
	       (end = memchr(c->in + c->scanned, '\n', c->in_len - c->scanned)) != NULL) {
		size_t next = (size_t)(end - c->in) + 1;

		c->scanned = next;
		if (take_line(c, c->in + start, next - 1 - start) < 0)
			return -EPROTO;
		start = next;
	}
	if (c->fd < 0)
		return 0;
	c->in_len -= start;
	memmove(c->in, c->in + start, c->in_len);
	c->scanned = c->in_len;
	if (!c->in_len && c->in_cap > KEPT_BYTES) {
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
	return 0;
}

static int receive(struct czd *c)
{
	ssize_t n;
	int r = grow(c);

	if (r < 0)
		return r;
	n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	c->in_len += (size_t)n;
	c->stats.bytes_total += (uint64_t)n;
	r = take_lines(c);
	return r == -EPROTO ? 0 : r; /* everybody was told already */
}

static int on_io(sd_event_source *src, int fd, uint32_t events, void *arg)
{
	struct czd *c = arg;
	struct error e = {0};
	int r = 0;

	if (events & EPOLLOUT)
		r = flush(c);
	if (r >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = receive(c);
	if (r < 0) {
		away(c, r, &e);
		fail_all(c, &e);
	}
	arm(c);
	return 0;
}
