/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/shape.h"

/* Of one client in one turn of the loop: nobody's queue keeps the fast path waiting. */
#define REQUESTS_A_TURN 8
/* Without fds accept() fails and the socket stays ready: look again, but not all the time. */
#define ACCEPTS_MAX  200
#define ACCEPTS_USEC 100000

struct client {
	struct server *server;
	struct client *next;
	int fd;
	sd_event_source *source;
	struct peer peer;
	bool following, told, closing; /* told: by server_tell() */
	bool more; /* whole requests wait in `in`: their turn comes when the client can be written
		      to */
	int64_t follow_id;
	uint64_t ticket;    /* of the answer that is pending, see server_wait(); 0 none */
	uint64_t active_ns; /* when it last asked or took something */
	char *in;
	size_t in_len;
	char *out;
	size_t out_len, out_cap;
};

struct server {
	sd_event *loop;
	int fd;
	char path[128];
	sd_event_source *source;
	server_handler handler;
	void *arg;
	gid_t admin_gid;
	bool has_admin_gid;
	struct client *clients;
	uint64_t next_client;
	struct server_stats stats;
};

static void client_free(struct client *c)
{
	struct client **p = &c->server->clients;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	c->server->stats.clients--;
	sd_event_source_disable_unref(c->source);
	close(c->fd);
	peer_done(&c->peer);
	free(c->in);
	free(c->out);
	free(c);
}

/* What is not asked for must not wake the loop: a closing client's input is never read again. */
static void client_watch(struct client *c)
{
	uint32_t events = c->closing || c->more || c->ticket ? 0 : EPOLLIN;

	sd_event_source_set_io_events(c->source, events | (c->out_len || c->more ? EPOLLOUT : 0));
}

static int client_flush(struct client *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			return -EPIPE;
		memmove(c->out, c->out + n, c->out_len - n);
		c->out_len -= n;
	}
	client_watch(c);
	return c->closing && !c->out_len ? -EPIPE : 0;
}

static int client_send(struct client *c, json_t *msg)
{
	_cleanup_free_ char *text = json_dumps(msg, JSON_COMPACT);
	size_t n, need;

	if (!text)
		return -ENOMEM;
	n = strlen(text);
	need = c->out_len + n + 1;
	if (need > CLIENT_OUT_MAX && c->out_len)
		return -ENOBUFS; /* it does not read */
	if (need > c->out_cap) {
		char *grown = realloc(c->out, need);

		if (!grown)
			return -ENOMEM;
		c->out = grown;
		c->out_cap = need;
	}
	memcpy(c->out + c->out_len, text, n);
	c->out[c->out_len + n] = '\n';
	c->out_len = need;
	return client_flush(c);
}

static json_t *answer(int64_t id, json_t *data, const struct error *e)
{
	if (data)
		return json_pack("{s:I,s:b,s:o}", "id", (json_int_t)id, "ok", 1, "data", data);
	return json_pack("{s:I,s:b,s:{s:s,s:o,s:o}}", "id", (json_int_t)id, "ok", 0, "error",
			 "name", error_name(e->code), "message", shape_string(e->msg), "hint",
			 shape_string(e->hint));
}

/* One request line. Negative: drop the client. */
static int client_request(struct client *c, const char *line, size_t n)
{
	struct server *s = c->server;
	json_t *req = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL), *args, *data = NULL, *msg;
	struct error e = {0};
	const char *verb;
	int r;

	s->stats.requests_total++;
	verb = json_string_value(json_object_get(req, "verb"));
	args = json_object_get(req, "args");
	c->peer.request_id = json_integer_value(json_object_get(req, "id"));
	if (!verb || (args && !json_is_object(args))) {
		s->stats.bad_requests_total++;
		c->closing = true;
		error_set(&e, -EBADMSG,
			  "not a request: one JSON object a line, with \"verb\" and \"args\"");
	} else {
		data = s->handler(&c->peer, verb, args, s->arg, &e);
		if (c->ticket) { /* later */
			json_decref(req);
			return 0;
		}
		if (!data && !e.code)
			error_set(&e, -ENOMEM, "out of memory");
	}
	msg = answer(c->peer.request_id, data, &e);
	r = msg ? client_send(c, msg) : -ENOMEM;
	json_decref(msg);
	json_decref(req);
	return r;
}

static void client_look_for_more(struct client *c)
{
	c->more = !c->closing && !c->ticket && memchr(c->in, '\n', c->in_len);
}

/* Some of the requests that were received; none while answers are pending. */
static int client_take(struct client *c)
{
	char *start = c->in, *end = c->in + c->in_len, *nl;

	for (int n = 0; n < REQUESTS_A_TURN && !c->closing && !c->out_len && !c->ticket; n++) {
		int r;

		nl = memchr(start, '\n', end - start);
		if (!nl)
			break;
		r = nl > start ? client_request(c, start, nl - start) : 0;
		if (r < 0)
			return r;
		start = nl + 1;
	}
	c->in_len = end - start;
	memmove(c->in, start, c->in_len);
	client_look_for_more(c);
	if (c->in_len == CLIENT_IN_MAX && !c->more && !c->closing) {
		c->in_len = 0;
		return client_request(c, "", 0); /* too long a line: bad request, closing */
	}
	return 0;
}

static int client_input(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, CLIENT_IN_MAX - c->in_len, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	c->active_ns = clock_mono_ns();
	c->in_len += n;
	return client_take(c);
}

static int on_client(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct client *c = arg;
	int r = 0;

	if (revents & EPOLLOUT)
		r = client_flush(c);
	if (r >= 0 && c->more)
		r = client_take(c);
	else if (r >= 0 && (revents & EPOLLIN) && !c->closing && !c->ticket)
		r = client_input(c);
	if (r >= 0 && (revents & (EPOLLHUP | EPOLLERR)) && (c->closing || !(revents & EPOLLIN)))
		r = -EPIPE;
	if (r < 0) {
		if (r == -ENOBUFS)
			c->server->stats.dropped_total++;
		client_free(c);
		return 0;
	}
	client_watch(c);
	return 0;
}

/* When all places are taken, whoever has been idle longest makes room: silence keeps nobody out. */
static bool make_room(struct server *s, uint64_t now_ns)
{
	struct client *oldest = NULL;

	for (struct client *c = s->clients; c; c = c->next) {
		if (!c->following && !c->told && (!oldest || c->active_ns < oldest->active_ns))
			oldest = c;
	}
	if (!oldest || now_ns - oldest->active_ns < CLIENT_IDLE_NS)
		return false;
	s->stats.dropped_total++;
	client_free(oldest);
	return true;
}

static int client_new(struct server *s, int fd)
{
	_cleanup_(peer_done) struct peer peer = {.pidfd = -1};
	int r = peer_of(fd, s->has_admin_gid ? &s->admin_gid : NULL, &peer);
	uint64_t limit = CLIENTS_MAX;
	struct client *c;

	if (r < 0)
		return r;
	if (peer.uid == 0)
		limit += CLIENTS_ROOT_EXTRA;
	if (s->stats.clients >= limit && !make_room(s, clock_mono_ns()))
		return -EBUSY;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->in = malloc(CLIENT_IN_MAX);
	if (!c->in || sd_event_add_io(s->loop, &c->source, fd, EPOLLIN, on_client, c) < 0) {
		free(c->in);
		free(c);
		return -ENOMEM;
	}
	/* Clients are served after the fast path and the tick. */
	sd_event_source_set_priority(c->source, SD_EVENT_PRIORITY_IDLE);
	c->server = s;
	c->fd = fd;
	c->active_ns = clock_mono_ns();
	c->peer = peer;
	c->peer.client = ++s->next_client;
	peer.pidfd = -1; /* the client's now */
	c->next = s->clients;
	s->clients = c;
	s->stats.clients++;
	s->stats.accepted_total++;
	return 0;
}

static int on_accept(sd_event_source *src, int lfd, uint32_t revents, void *arg)
{
	static const char busy[] =
	    "{\"id\":0,\"ok\":false,\"error\":{\"name\":\"EBUSY\",\"message\":\"czd has too "
	    "many connections\",\"hint\":\"Close some, or try again in a moment.\"}}\n";
	struct server *s = arg;
	int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return 0; /* EMFILE and kin: the client sees no answer, czd goes on */
	if (client_new(s, fd) < 0) {
		s->stats.refused_total++;
		if (send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			s->stats.dropped_total++;
		close(fd);
	}
	return 0;
}

static int listen_at(struct server *s, int run_dirfd, const char *run_dir, struct error *reterr)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct group *gr = getgrnam("cz");
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/czd.sock", run_dir);

	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return error_set(reterr, -ENAMETOOLONG, "socket path %s/czd.sock is too long",
				 run_dir);
	memcpy(s->path, sa.sun_path, sizeof(sa.sun_path));
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return error_errno(reterr, -errno, "socket");
	/* The run directory is locked by us: what lies there is a dead daemon's. */
	unlinkat(run_dirfd, "czd.sock", 0);
	if (bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_errno(reterr, -errno, "bind %s", s->path);
	if (fchmodat(run_dirfd, "czd.sock", 0660, 0) < 0 ||
	    (gr && fchownat(run_dirfd, "czd.sock", 0, gr->gr_gid, AT_SYMLINK_NOFOLLOW) < 0))
		return error_errno(reterr, -errno, "permissions of %s", s->path);
	if (listen(s->fd, 128) < 0)
		return error_errno(reterr, -errno, "listen %s", s->path);
	return 0;
}

int server_new(sd_event *loop, int run_dirfd, const char *run_dir, server_handler handler,
	       void *arg, struct server **ret, struct error *reterr)
{
	struct server *s = calloc(1, sizeof(*s));
	struct group *gr = getgrnam("cz-admin");
	int r;

	if (!s)
		return error_errno(reterr, -ENOMEM, "server");
	s->fd = -1;
	s->loop = loop;
	s->handler = handler;
	s->arg = arg;
	s->has_admin_gid = gr != NULL;
	s->admin_gid = gr ? gr->gr_gid : 0;
	r = listen_at(s, run_dirfd, run_dir, reterr);
	if (r >= 0) {
		r = sd_event_add_io(loop, &s->source, s->fd, EPOLLIN, on_accept, s);
		if (r < 0)
			error_errno(reterr, r, "watch %s", s->path);
	}
	if (r < 0) {
		server_free(s);
		return r;
	}
	sd_event_source_set_priority(s->source, SD_EVENT_PRIORITY_IDLE);
	sd_event_source_set_ratelimit(s->source, ACCEPTS_USEC, ACCEPTS_MAX);
	*ret = s;
	return 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	while (s->clients)
		client_free(s->clients);
	sd_event_source_disable_unref(s->source);
	if (s->fd >= 0) {
		close(s->fd);
		unlink(s->path);
	}
	free(s);
}

void server_follow(struct server *s, uint64_t client, int64_t request_id)
{
	for (struct client *c = s->clients; c; c = c->next) {
		if (c->peer.client == client) {
			c->following = true;
			c->follow_id = request_id;
		}
	}
}

void server_wait(struct server *s, uint64_t client, uint64_t ticket)
{
	for (struct client *c = s->clients; c; c = c->next) {
		if (c->peer.client == client)
			c->ticket = ticket;
	}
}

bool server_is_awaited(const struct server *s, uint64_t ticket)
{
	for (const struct client *c = s->clients; c; c = c->next) {
		if (c->ticket == ticket)
			return true;
	}
	return false;
}

/* Not an answer to what a client's handler has at hand. Takes msg. */
static void client_push(struct client *c, json_t *msg)
{
	if (!msg || client_send(c, msg) < 0) {
		c->server->stats.dropped_total++;
		c->closing =
		    true; /* freed by its own handler, never under a caller that holds it */
		shutdown(c->fd, SHUT_RDWR);
		client_watch(c);
	}
	json_decref(msg);
}

void server_answer(struct server *s, uint64_t ticket, json_t *data, const struct error *e)
{
	for (struct client *c = s->clients; c; c = c->next) {
		if (c->ticket != ticket)
			continue;
		c->ticket = 0;
		client_look_for_more(c);
		client_push(c, answer(c->peer.request_id, data ? json_incref(data) : NULL, e));
	}
}

static struct client *client_get(const struct server *s, uint64_t client)
{
	struct client *c = s->clients;

	while (c && c->peer.client != client)
		c = c->next;
	return c && !c->closing ? c : NULL;
}

bool server_has(const struct server *s, uint64_t client)
{
	return client_get(s, client);
}

int server_tell(struct server *s, uint64_t client, int64_t request_id, json_t *data)
{
	struct client *c = client_get(s, client);
	json_t *msg;
	int r;

	if (!c)
		return -ENOENT;
	c->told = true;
	msg = answer(request_id, json_incref(data), NULL);
	r = msg ? client_send(c, msg) : -ENOMEM;
	json_decref(msg);
	if (r == -EPIPE) {
		c->closing = true; /* freed by its own handler */
		shutdown(c->fd, SHUT_RDWR);
		client_watch(c);
		return -ENOENT;
	}
	return r;
}

void server_publish(struct server *s, json_t *data)
{
	for (struct client *c = s->clients; c; c = c->next) {
		if (c->following)
			client_push(c, answer(c->follow_id, json_incref(data), NULL));
	}
}

void server_stats(const struct server *s, struct server_stats *ret)
{
	*ret = s->stats;
}
