/* SPDX-License-Identifier: MIT */
#include "vm/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/json.h"
#include "vm/pump.h"

struct link {
	sd_event *loop;
	int listener;
	sd_event_source *source;
	link_request request;
	void *arg;
	bool connected;
	uint64_t generation;
	struct pump pump;
	struct strbuf in, out;
	size_t sent;
	uint64_t dropped_total;
};

int link_next_line(const char *data, size_t len, const char **ret_line, size_t *ret_len,
		   size_t *ret_used)
{
	const char *end = len ? memchr(data, '\n', len) : NULL;

	if (!end)
		return len > LINK_LINE_MAX ? -E2BIG : 0;
	if (end - data > LINK_LINE_MAX)
		return -E2BIG;
	*ret_line = data;
	*ret_len = (size_t)(end - data);
	*ret_used = *ret_len + 1;
	return 1;
}

static void disconnect(struct link *l)
{
	pump_done(&l->pump);
	strbuf_done(&l->in);
	strbuf_done(&l->out);
	l->sent = 0;
	l->connected = false;
}

static int take_line(struct link *l, const char *line, size_t len)
{
	int r = 0;
	json_t *request = json_line_parse(line, len, &r);
	const char *what = json_string_value(json_object_get(request, "do"));
	json_int_t id = json_integer_value(json_object_get(request, "id"));

	if (!request)
		return r;
	if (what)
		l->request(l->arg, id, what, request);
	else
		link_refuse(l, id, NULL, -EINVAL, "the request has no 'do'");
	json_decref(request);
	return 0;
}

static int feed(void *arg, const void *data, size_t len)
{
	struct link *l = arg;
	size_t used = 0, n, line_len;
	const char *line;
	int r;

	strbuf_add(&l->in, data, len);
	if (l->in.failed)
		return -ENOMEM;
	while ((r = link_next_line(l->in.data + used, l->in.len - used, &line, &line_len, &n)) >
	       0) {
		r = take_line(l, line, line_len);
		if (r < 0)
			return r;
		used += n;
	}
	memmove(l->in.data, l->in.data + used, l->in.len - used);
	l->in.len -= used;
	return r;
}

static const void *pending(void *arg, size_t *ret_len)
{
	struct link *l = arg;

	*ret_len = l->out.len - l->sent;
	return l->out.data + l->sent;
}

static void sent(void *arg, size_t len)
{
	struct link *l = arg;

	l->sent += len;
	if (l->sent == l->out.len) {
		strbuf_reset(&l->out);
		l->sent = 0;
	}
}

static void closed(void *arg, int code)
{
	disconnect(arg);
}

static const struct pump_ops pump_ops = {feed, pending, sent, closed};

static int on_connect(sd_event_source *s, int listener, uint32_t events, void *arg)
{
	struct link *l = arg;
	_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	/* The socket's mode says so too; a mode can be changed. */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0)
		return 0;
	disconnect(l);
	if (pump_init(&l->pump, l->loop, fd, "link", &pump_ops, l) < 0)
		return 0;
	TAKE_FD(fd);
	l->generation++;
	l->connected = true;
	return 0;
}

int link_new(sd_event *loop, int listener, link_request request, void *arg, struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	*l = (struct link){.loop = loop, .listener = listener, .request = request, .arg = arg};
	r = sd_event_add_io(loop, &l->source, listener, EPOLLIN, on_connect, l);
	if (r < 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	disconnect(l);
	sd_event_source_disable_unref(l->source);
	close_fd(&l->listener);
	free(l);
}

uint64_t link_generation(const struct link *l)
{
	return l->generation;
}

static void put(struct link *l, json_t *message, size_t most)
{
	_cleanup_free_ char *text = l->connected ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t n = text ? strlen(text) : 0;

	json_decref(message);
	if (!text)
		return;
	if (n >= LINK_LINE_MAX || l->out.len + n + 1 > most) {
		l->dropped_total++;
		return;
	}
	strbuf_add(&l->out, text, n);
	strbuf_add(&l->out, "\n", 1);
	pump_kick(&l->pump);
}

void link_answer(struct link *l, json_int_t id, json_t *fields)
{
	json_t *answer = fields ? fields : json_object();

	json_object_set_new(answer, "id", json_integer(id));
	json_object_set_new(answer, "ok", json_true());
	put(l, answer, LINK_OUT_MAX);
}

void link_refuse(struct link *l, json_int_t id, json_t *fields, int code, const char *message)
{
	json_t *answer = fields ? fields : json_object();
	char shown[512];

	json_object_set_new(answer, "id", json_integer(id));
	json_object_set_new(answer, "ok", json_false());
	json_object_set_new(answer, "error",
			    json_pack("{s:s,s:s}", "name", error_name(code), "message",
				      str_escape(shown, sizeof(shown), message)));
	put(l, answer, LINK_OUT_MAX);
}

void link_event(struct link *l, json_t *event)
{
	put(l, event, LINK_OUT_MAX / 2);
}

void link_flush(struct link *l)
{
	size_t len;
	const void *data = pending(l, &len);
	ssize_t n =
	    l->connected && len ? send(l->pump.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (n > 0)
		sent(l, (size_t)n);
}
