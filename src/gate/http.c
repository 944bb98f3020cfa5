/* SPDX-License-Identifier: MIT */
#include "gate/http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "gate/gate.h"
#include "gate/listen.h"
#include "gate/routes.h"

#define SECOND_NS  1000000000ull
#define REQUEST_NS (10 * SECOND_NS) /* from connecting, or the last answer, to a whole request */
#define ANSWER_NS  (60 * SECOND_NS) /* to take an answer */
#define CROWDED_NS (1 * SECOND_NS)  /* either, when half of all connections are taken */
#define SWEEP_USEC 500000
#define OWN_FDS	   64

/* A connection; on top of libmicrohttpd, whose time-out is only for silent ones. */
struct conn {
	struct conn *prev, *next;
	int fd;
	uint64_t since_ns;
	bool answering, waiting, streaming;
};

struct http {
	struct gate *gate;
	struct MHD_Daemon *daemon;
	sd_event_source *io, *timer, *sweeper;
	struct conn *conns;
	struct http_stats stats;
	uint16_t port;
};

static struct conn *conn_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

/* --- a request ----------------------------------------------------------------------------- */

static enum MHD_Result count_hosts(void *arg, enum MHD_ValueKind kind, const char *key,
				   const char *value)
{
	*(int *)arg += !strcasecmp(key, MHD_HTTP_HEADER_HOST);
	return MHD_YES;
}

/* NULL: none, or several, of which a proxy in front may have looked at another. */
static const char *only_host(const struct request *r)
{
	int n = 0;

	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count_hosts, &n);
	return n == 1 ? request_header(r, "Host") : NULL;
}

static bool is_allowed(struct request *r)
{
	const struct route *route = r->route;
	const struct security_request ask = {
	    .host = only_host(r),
	    .origin = request_header(r, "Origin"),
	    .fetch_site = request_header(r, "Sec-Fetch-Site"),
	    .authorization = request_header(r, "Authorization"),
	    .changes = route && route->changes,
	    .navigates = route && route->navigates,
	    .open = route && route->open,
	};
	struct error e = {0};

	if (security_check(&r->gate->security, &ask, &e) == 0)
		return true;
	r->gate->http->stats.refused_total++;
	request_error(r, &e);
	return false;
}

/* A form of another site can send a body, but not of this type. */
static bool take_body(struct request *r)
{
	const char *type = request_header(r, "Content-Type");
	json_error_t why;
	char text[200];

	if (!r->body.len) {
		r->args = json_object();
		return r->args != NULL;
	}
	if (!type || strncasecmp(type, "application/json", 16)) {
		request_fail(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, -EINVAL, "the body is not JSON",
			     "Send Content-Type: application/json");
		return false;
	}
	r->args = json_loadb(r->body.data, r->body.len, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(r->args))
		return true;
	snprintf(text, sizeof(text), "the body is no JSON object: line %d", why.line);
	request_fail(r, MHD_HTTP_BAD_REQUEST, -EINVAL,
		     r->args ? "the body is no JSON object" : text, "");
	return false;
}

static void refuse(struct request *r, unsigned int status)
{
	static const struct {
		unsigned int status;
		int code;
		const char *message, *hint;
	} texts[] = {
	    {MHD_HTTP_NOT_FOUND, -ENOENT, "there is nothing at this path",
	     "See /api/v1/openapi.json for what there is."},
	    {MHD_HTTP_METHOD_NOT_ALLOWED, -EINVAL, "not with this method", ""},
	    {MHD_HTTP_URI_TOO_LONG, -ENAMETOOLONG, "the path is too long", ""},
	    {MHD_HTTP_CONTENT_TOO_LARGE, -E2BIG, "the body is longer than 16 KiB", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].status == status)
			request_fail(r, status, texts[i].code, texts[i].message, texts[i].hint);
	}
}

static void serve(struct request *r, const char *method)
{
	unsigned int status = 0;
	bool head = !strcmp(method, "HEAD");

	r->route = route_find(r, head ? "GET" : method, &status);
	if (!is_allowed(r))
		return;
	if (!r->route) {
		refuse(r, status);
		return;
	}
	if (r->too_large) {
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE);
		return;
	}
	if (!take_body(r))
		return;
	if (r->route->verb)
		route_ask(r);
	else
		r->route->serve(r);
}

static enum MHD_Result send_answer(struct request *r)
{
	struct MHD_Response *response = TAKE_PTR(r->response);
	struct conn *c = conn_of(r->connection);
	enum MHD_Result done;

	if (!response)
		return MHD_NO;
	if (c) {
		c->since_ns = clock_mono_ns();
		c->waiting = false;
		c->answering = true;
		c->streaming = r->streams;
	}
	if (r->status / 100 < ARRAY_SIZE(r->gate->http->stats.by_class_total))
		r->gate->http->stats.by_class_total[r->status / 100]++;
	done = MHD_queue_response(r->connection, r->status, response);
	if (!r->shared)
		MHD_destroy_response(response);
	return done;
}

/* The path as it came: it is taken apart before it is decoded, since a name may hold a slash. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct gate *g = arg;
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->gate = g;
	r->connection = connection;
	/* One that does not fit is found by no route. */
	if (!str_copy(r->path, sizeof(r->path), uri))
		r->path[0] = 0;
	r->path[strcspn(r->path, "?")] = 0;
	g->http->stats.requests_total++;
	return r;
}

static void take_upload(struct request *r, const char *data, size_t size)
{
	if (r->body.len + size > HTTP_BODY_MAX)
		r->too_large = true;
	else
		strbuf_add(&r->body, data, size);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	struct request *r = *state;
	struct conn *c = conn_of(connection);

	if (!r)
		return MHD_NO;
	if (!r->begun) { /* the headers are there; a body may follow */
		r->begun = true;
		return MHD_YES;
	}
	if (*upload_size) {
		take_upload(r, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (!r->served) {
		r->served = true;
		serve(r, method);
	}
	if (r->response || !r->waits)
		return send_answer(r);
	if (c)
		c->waiting = true;
	r->parked = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct request *r = *state;
	struct conn *c = conn_of(connection);

	if (c) {
		c->since_ns = clock_mono_ns();
		c->answering = c->waiting = c->streaming = false;
	}
	if (!r)
		return;
	if (r->response && !r->shared)
		MHD_destroy_response(r->response);
	json_decref(r->args);
	strbuf_done(&r->body);
	free(r);
	*state = NULL;
}

/* --- connections --------------------------------------------------------------------------- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http *h = arg;
	struct conn *c = *context;
	const union MHD_ConnectionInfo *i;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!c)
			return;
		*(c->prev ? &c->prev->next : &h->conns) = c->next;
		if (c->next)
			c->next->prev = c->prev;
		free(c);
		*context = NULL;
		h->stats.connections--;
		return;
	}
	h->stats.accepted_total++;
	c = calloc(1, sizeof(*c));
	i = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!c || !i) {
		free(c);
		return;
	}
	*c = (struct conn){.fd = i->connect_fd, .since_ns = clock_mono_ns(), .next = h->conns};
	if (h->conns)
		h->conns->prev = c;
	h->conns = c;
	h->stats.connections++;
	*context = c;
}

void http_resume(struct http *h, struct MHD_Connection *connection)
{
	MHD_resume_connection(connection);
	sd_event_source_set_time_relative(h->timer, 0);
	sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

void http_end(struct http *h, struct MHD_Connection *connection)
{
	struct conn *c = conn_of(connection);

	if (c)
		shutdown(c->fd, SHUT_RDWR);
}

/* Who sends or takes a byte now and then is late all the same: libmicrohttpd sees it leave. */
static int on_sweep(sd_event_source *src, uint64_t usec, void *arg)
{
	struct http *h = arg;
	uint64_t now_ns = clock_mono_ns();
	bool crowded = h->stats.connections > HTTP_CONNECTIONS / 2;

	for (struct conn *c = h->conns; c; c = c->next) {
		uint64_t allowed_ns = c->answering ? ANSWER_NS : REQUEST_NS;

		if (crowded)
			allowed_ns = CROWDED_NS;
		if (c->waiting || c->streaming || now_ns - c->since_ns < allowed_ns)
			continue;
		h->stats.late_total++;
		shutdown(c->fd, SHUT_RDWR);
		c->since_ns = now_ns;
	}
	sd_event_source_set_time_relative(src, SWEEP_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

/* --- the loop ------------------------------------------------------------------------------ */

static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(h->daemon);
	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES) {
		sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(h->timer, ms * 1000);
	sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *src, int fd, uint32_t events, void *arg)
{
	run(arg);
	return 0;
}

static int on_time(sd_event_source *src, uint64_t usec, void *arg)
{
	run(arg);
	return 0;
}

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *format, va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("http: %s", text);
}

/* As many connections as there may be fds for. */
static unsigned int connection_limit(void)
{
	struct rlimit l = {0};

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 256;
	l.rlim_cur =
	    l.rlim_max < HTTP_CONNECTIONS + OWN_FDS ? l.rlim_max : HTTP_CONNECTIONS + OWN_FDS;
	setrlimit(RLIMIT_NOFILE, &l);
	return (unsigned int)(l.rlim_cur > 2 * OWN_FDS ? l.rlim_cur - OWN_FDS : OWN_FDS);
}

static int start(struct http *h, struct error *reterr)
{
	int fd = listen_open(h->gate->opt->listen, h->gate->security.read_token[0], &h->port,
			     reterr),
	    r;

	if (fd < 0)
		return fd;
	h->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
	    h->gate, MHD_OPTION_EXTERNAL_LOGGER, on_log, h, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, connection_limit(), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)HTTP_HEADER_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 60u,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, h, MHD_OPTION_URI_LOG_CALLBACK, on_uri, h->gate,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!h->daemon) {
		close(fd);
		return error_set(reterr, -EIO, "the HTTP library does not start");
	}
	r = sd_event_add_io(h->gate->loop, &h->io,
			    MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
			    EPOLLIN, on_io, h);
	if (r >= 0)
		r = sd_event_add_time(h->gate->loop, &h->timer, CLOCK_MONOTONIC, 0, 1000, on_time,
				      h);
	if (r >= 0)
		r = sd_event_add_time(h->gate->loop, &h->sweeper, CLOCK_MONOTONIC, 0, 1000,
				      on_sweep, h);
	return r < 0 ? error_errno(reterr, r, "event loop") : 0;
}

int http_new(struct gate *g, struct http **ret, struct error *reterr)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return error_errno(reterr, -ENOMEM, "HTTP");
	h->gate = g;
	r = start(h, reterr);
	if (r < 0) {
		http_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->timer);
	sd_event_source_disable_unref(h->sweeper);
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	free(h);
}

uint16_t http_port(const struct http *h)
{
	return h->port;
}

struct http_stats http_stats(const struct http *h)
{
	return h->stats;
}
