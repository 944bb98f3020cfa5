/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define MS_NS	  1000000ull
#define SILENT_MS 2000 /* then it is said what is waited for */
/* A czd that was started a moment ago listens within this, on a busy machine too. */
#define STARTING_NS	 (500 * MS_NS)
#define STARTING_LOOK_NS (10 * MS_NS)

void client_close(struct client *c)
{
	close_fd(&c->fd);
	free(c->buf);
	c->buf = NULL;
	c->start = c->len = c->cap = 0;
}

static int not_reachable(struct client *c, int code, struct error *reterr)
{
	c->no_answer = code != -EACCES && code != -EPERM;
	error_errno(reterr, code, "czd is not reachable at %s", c->path);
	if (!c->no_answer)
		error_hint(reterr, "Use sudo, or join the group 'cz'.");
	else if (code == -ETIMEDOUT)
		error_hint(reterr, "It is there but does not answer: is it stopped or overloaded?");
	else
		error_hint(reterr, "Start it: sudo czd, or: systemctl start czd");
	return code;
}

static int no_sense(struct client *c, struct error *reterr, const char *what)
{
	c->no_answer = true;
	error_set(reterr, -EPROTO, "what listens at %s does not answer like czd: %s", c->path,
		  what);
	error_hint(reterr, "Is it czd, and of this version? See: czctl version");
	return -EPROTO;
}

int client_connect(int fd, const struct sockaddr_un *addr)
{
	const struct timespec pause = {.tv_nsec = STARTING_LOOK_NS};
	uint64_t end_ns = clock_mono_ns() + STARTING_NS;

	while (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
		/* With a timeout set, a signal ends the call instead of being waited out. */
		if (errno == EINTR)
			continue;
		if ((errno != ENOENT && errno != ECONNREFUSED) || clock_mono_ns() >= end_ns)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int client_open(struct client *c, struct error *reterr)
{
	struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_MS / 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	int r;

	if (!c->path[0] || !str_copy(addr.sun_path, sizeof(addr.sun_path), c->path))
		return error_set(reterr, -EINVAL,
				 "'%s' is not a socket's path (1 to %zu characters)", c->path,
				 sizeof(addr.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (c->at_once ? SOCK_NONBLOCK : 0), 0);
	if (fd < 0)
		return error_errno(reterr, -errno, "socket");
	/* Also bounds connect() when czd's backlog is full. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return error_errno(reterr, -errno, "socket timeout");
	if (c->at_once)
		r = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	else
		r = client_connect(fd, &addr);
	if (r < 0)
		return not_reachable(c, r == -EAGAIN ? -ETIMEDOUT : r, reterr);
	c->fd = TAKE_FD(fd);
	return 0;
}

static int send_all(struct client *c, const char *text, size_t len, struct error *reterr)
{
	ssize_t n;

	while (len > 0) {
		n = send(c->fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return not_reachable(c, errno == EAGAIN ? -ETIMEDOUT : -errno, reterr);
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Waits for input until deadline_ns (0: for ever). */
static int wait_input(struct client *c, uint64_t deadline_ns, struct error *reterr)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	uint64_t now_ns;
	int timeout_ms = -1, n;

	do {
		now_ns = clock_mono_ns();
		if (deadline_ns)
			timeout_ms =
			    now_ns >= deadline_ns ? 0 : (int)((deadline_ns - now_ns) / MS_NS + 1);
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(reterr, -errno, "poll");
	return n == 0 ? not_reachable(c, -ETIMEDOUT, reterr) : 0;
}

static int grow(struct client *c, struct error *reterr)
{
	size_t cap;
	char *buf;

	if (c->start > 0) {
		memmove(c->buf, c->buf + c->start, c->len - c->start);
		c->len -= c->start;
		c->start = 0;
	}
	if (c->len < c->cap)
		return 0;
	if (c->cap >= CLIENT_ANSWER_MAX)
		return no_sense(c, reterr, "a line without end");
	cap = c->cap ? c->cap * 2 : 65536;
	buf = realloc(c->buf, cap);
	if (!buf)
		return error_errno(reterr, -ENOMEM, "answer of czd");
	c->buf = buf;
	c->cap = cap;
	return 0;
}

/* One line without its newline, if all of it was read; valid until the next read. seen: bytes known
 * to hold no newline. */
static bool take_line(struct client *c, size_t seen, char **ret, size_t *ret_len)
{
	size_t from = c->start + seen;
	char *newline = from < c->len ? memchr(c->buf + from, '\n', c->len - from) : NULL;

	if (!newline)
		return false;
	*ret = c->buf + c->start;
	*ret_len = (size_t)(newline - *ret);
	c->start = (size_t)(newline - c->buf) + 1;
	return true;
}

/* Reads once what is there; 0 also when there is nothing, then *ret_none. */
static int fill(struct client *c, bool *ret_none, struct error *reterr)
{
	int r = grow(c, reterr);
	ssize_t n;

	if (r < 0)
		return r;
	n = recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return not_reachable(c, -errno, reterr);
	if (n == 0)
		return not_reachable(c, -ECONNRESET, reterr);
	*ret_none = n < 0 && errno == EAGAIN;
	c->len += n > 0 ? (size_t)n : 0;
	return 0;
}

/* One line; valid until the next call. */
static int read_line(struct client *c, uint64_t deadline_ns, char **ret, size_t *ret_len,
		     struct error *reterr)
{
	size_t seen = 0;
	bool none;
	int r;

	while (!take_line(c, seen, ret, ret_len)) {
		seen = c->len - c->start;
		r = wait_input(c, deadline_ns, reterr);
		if (r == 0)
			r = fill(c, &none, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int client_code(const char *name)
{
	for (int e = 1; e < 134; e++)
		if (!strcmp(error_name(-e), name))
			return -e;
	return -EIO;
}

static int error_from_answer(const json_t *answer, struct error *reterr)
{
	const char *name = "EIO", *message = "czd refused without saying why", *hint = "";
	json_t *e = json_object_get(answer, "error");
	int code;

	/* All three are optional here: an older czd may send less. */
	json_unpack(e, "{s?s, s?s, s?s}", "name", &name, "message", &message, "hint", &hint);
	code = client_code(name);
	error_set(reterr, code, "%s", message);
	error_hint(reterr, "%s", hint);
	return code;
}

static int parse_answer(struct client *c, const char *line, size_t len, json_t **ret,
			struct error *reterr)
{
	json_t *answer, *data;
	json_error_t why;
	int r = 0;

	answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!answer)
		return no_sense(c, reterr, "not JSON");
	data = json_object_get(answer, "data");
	/* A refusal of the connection itself answers no question. */
	if (!json_integer_value(json_object_get(answer, "id")) &&
	    json_is_false(json_object_get(answer, "ok")))
		r = error_from_answer(answer, reterr);
	else if (!json_is_object(answer) ||
		 json_integer_value(json_object_get(answer, "id")) != c->id)
		r = no_sense(c, reterr, "an answer to another question");
	else if (json_is_false(json_object_get(answer, "ok")))
		r = error_from_answer(answer, reterr);
	else if (!json_is_true(json_object_get(answer, "ok")) || !json_is_object(data))
		r = no_sense(c, reterr, "an answer without data");
	else
		*ret = json_incref(data);
	json_decref(answer);
	return r;
}

static int read_answer(struct client *c, uint64_t deadline_ns, json_t **ret, struct error *reterr)
{
	size_t len = 0;
	char *line = NULL;
	int r;

	r = read_line(c, deadline_ns, &line, &len, reterr);
	return r < 0 ? r : parse_answer(c, line, len, ret, reterr);
}

int client_poll(struct client *c, json_t **ret, struct error *reterr)
{
	size_t len = 0, seen = 0;
	bool none = false;
	char *line = NULL;
	int r = 0;

	while (!take_line(c, seen, &line, &len)) {
		seen = c->len - c->start;
		r = fill(c, &none, reterr);
		if (r < 0 || none)
			return r;
	}
	r = parse_answer(c, line, len, ret, reterr);
	return r < 0 ? r : 1;
}

/* Who waits for longer is told for what. */
static uint64_t answer_deadline_ns(const struct client *c)
{
	unsigned int ms = c->patience_ms ? c->patience_ms : CLIENT_TIMEOUT_MS;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	uint64_t end_ns = clock_mono_ns() + ms * MS_NS;

	if (c->waits_for && poll(&p, 1, SILENT_MS) == 0)
		fprintf(stderr, "czctl: waiting for %s, at most %u s\n", c->waits_for, ms / 1000);
	return end_ns;
}

int client_ask(struct client *c, const char *verb, json_t *args, struct error *reterr)
{
	_cleanup_free_ char *line = NULL;
	json_t *request;
	int r = 0;

	if (!args)
		return error_set(reterr, -EINVAL, "an argument is not valid UTF-8");
	request =
	    json_pack("{s:I, s:s, s:o}", "id", (json_int_t)++c->id, "verb", verb, "args", args);
	line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!line)
		return error_errno(reterr, -ENOMEM, "request to czd");
	if (c->fd < 0)
		r = client_open(c, reterr);
	if (r < 0)
		return r;
	r = send_all(c, line, strlen(line), reterr);
	return r < 0 ? r : send_all(c, "\n", 1, reterr);
}

int client_call(struct client *c, const char *verb, json_t *args, json_t **ret,
		struct error *reterr)
{
	int r = client_ask(c, verb, args, reterr);

	if (r < 0 && ((r != -EPIPE && r != -ECONNRESET) || c->fd < 0))
		return r;
	if (r < 0) /* closed already; why, it may have said before */
		c->no_answer = false;
	return read_answer(c, answer_deadline_ns(c), ret, reterr);
}

int client_next(struct client *c, json_t **ret, struct error *reterr)
{
	return read_answer(c, 0, ret, reterr);
}

enum client_wait client_wait(const struct client *c, int other_fd, int timeout_ms)
{
	struct pollfd p[] = {{.fd = other_fd, .events = POLLIN}, {.fd = c->fd, .events = POLLIN}};
	bool has_line = c->len > c->start && memchr(c->buf + c->start, '\n', c->len - c->start);

	if (poll(p, 2, has_line ? 0 : timeout_ms) < 0)
		return CLIENT_WAIT_NOTHING;
	if (p[0].revents)
		return CLIENT_WAIT_OTHER;
	return has_line || p[1].revents ? CLIENT_WAIT_ANSWER : CLIENT_WAIT_NOTHING;
}
