/* SPDX-License-Identifier: MIT */
#include "cli/gate-client.h"

#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"

#define PATIENCE_S 10
#define ANSWER_MAX (64u << 20)
#define TOKEN_SIZE 300

static int away(struct cli *cli, const char *address, int code, struct error *reterr)
{
	cli->client.no_answer = true;
	error_errno(reterr, code, "cz-gate is not reachable at %s", address);
	error_hint(reterr, "It keeps history: systemctl start cz-gate");
	return code;
}

static int split_address(const char *address, char host[128], const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;

	if (!n || n >= 128 || !colon[1])
		return -EINVAL;
	if (address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	memcpy(host, address, n);
	host[n] = 0;
	*ret_port = colon + 1;
	return 0;
}

static int connect_to(struct cli *cli, const char *address, int *ret, struct error *reterr)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int code = -ECONNREFUSED;
	const char *port;
	char host[128];

	if (split_address(address, host, &port) < 0 || getaddrinfo(host, port, &hints, &list) != 0)
		return error_set(reterr, -EINVAL, "'%s' is no address: HOST:PORT", address);
	for (const struct addrinfo *a = list; a && *ret < 0; a = a->ai_next) {
		_cleanup_close_ int fd =
		    socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			*ret = TAKE_FD(fd);
		else
			code = -errno;
	}
	freeaddrinfo(list);
	return *ret < 0 ? away(cli, address, code, reterr) : 0;
}

static void add_encoded(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		    (*text >= '0' && *text <= '9') || strchr("-_.~", *text))
			strbuf_add(b, text, 1);
		else
			strbuf_printf(b, "%%%02X", (unsigned char)*text);
	}
}

/* One that was not asked for may be missing: most need none. */
static int read_token(const char *file, char token[TOKEN_SIZE], struct error *reterr)
{
	ssize_t n = read_file_at(AT_FDCWD, file ? file : GATE_TOKEN, token, TOKEN_SIZE);

	token[n > 0 ? strcspn(token, "\r\n") : 0] = 0;
	return n < 0 && file ? error_errno(reterr, (int)n, "--token %s", file) : 0;
}

/* HTTP/1.0: the answer ends with the connection. */
static void add_request(struct strbuf *b, const char *address, const char *token,
			const struct gate_query *q)
{
	strbuf_printf(b, "GET /api/v1/%s", q->path);
	for (size_t i = 0, given = 0; q->names[i]; i++) {
		if (!q->values[i])
			continue;
		strbuf_printf(b, "%c%s=", given++ ? '&' : '?', q->names[i]);
		add_encoded(b, q->values[i]);
	}
	strbuf_printf(b, " HTTP/1.0\r\nHost: %s\r\n", address);
	if (token[0])
		strbuf_printf(b, "Authorization: Bearer %s\r\n", token);
	strbuf_puts(b, "\r\n");
}

static int exchange(int fd, const struct strbuf *request, struct strbuf *answer)
{
	for (size_t at = 0; at < request->len;) {
		ssize_t n = send(fd, request->data + at, request->len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : -ETIMEDOUT;
		at += (size_t)n;
	}
	while (answer->len < ANSWER_MAX && !answer->failed) {
		char buf[65536];
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return 0;
		strbuf_add(answer, buf, (size_t)n);
	}
	return answer->failed ? -ENOMEM : -EMSGSIZE;
}

/* The body; what cz-gate refuses comes back as -errno of its name. */
static int take_answer(struct cli *cli, const struct strbuf *answer, json_t **ret,
		       struct error *reterr)
{
	const char *body = answer->len ? strstr(answer->data, "\r\n\r\n") : NULL;
	json_t *data = body ? json_loads(body + 4, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *name = "EIO", *message = "cz-gate refused without saying why", *hint = "";
	json_t *e = json_object_get(data, "error");

	if (strncmp(answer->len ? answer->data : "", "HTTP/1.", 7) != 0 || !json_is_object(data)) {
		json_decref(data);
		cli->client.no_answer = true;
		error_set(reterr, -EPROTO, "what listens there does not answer like cz-gate");
		error_hint(reterr, "Is it cz-gate, and of this version?");
		return -EPROTO;
	}
	if (e) {
		json_unpack(e, "{s?s, s?s, s?s}", "name", &name, "message", &message, "hint",
			    &hint);
		error_set(reterr, client_code(name), "%s", message);
		error_hint(reterr, "%s", hint);
		json_decref(data);
		return reterr->code;
	}
	*ret = data;
	return 0;
}

int gate_ask(struct cli *cli, const char *address, const char *token_file,
	     const struct gate_query *q, json_t **ret, struct error *reterr)
{
	_cleanup_(strbuf_done) struct strbuf request = {0}, answer = {0};
	_cleanup_close_ int fd = -1;
	char token[TOKEN_SIZE];
	int r = read_token(token_file, token, reterr);

	address = address ? address : GATE_DEFAULT;
	if (r == 0)
		r = connect_to(cli, address, &fd, reterr);
	if (r < 0)
		return r;
	add_request(&request, address, token, q);
	r = request.failed ? -ENOMEM : exchange(fd, &request, &answer);
	return r < 0 ? away(cli, address, r, reterr) : take_answer(cli, &answer, ret, reterr);
}

int gate_get(struct cli *cli, const char *address, const char *token_file,
	     const struct gate_query *q, json_t **ret)
{
	struct error e = {0};

	return gate_ask(cli, address, token_file, q, ret, &e) < 0 ? cli_fail(cli, &e) : EXIT_OK;
}

/* "12:30", "2027-03-01 12:30", "2027-03-01", seconds since 1970, or "20m" (ago). */
static int parse_time(const char *text, uint64_t now_ns, uint64_t *ret_ms)
{
	static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					      "%Y-%m-%d %H:%M",	   "%Y-%m-%d",
					      "%H:%M:%S",	   "%H:%M"};
	time_t now = (time_t)(now_ns / 1000000000);
	uint64_t n;

	if (!strcmp(text, "now")) {
		*ret_ms = now_ns / 1000000;
		return 0;
	}
	if (parse_u64(text, &n) == 0 && n < 253402300800ull) {
		*ret_ms = n * 1000;
		return 0;
	}
	if (parse_duration_ns(text, &n) == 0 && n < now_ns) {
		*ret_ms = (now_ns - n) / 1000000;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct tm tm;
		const char *end;
		time_t t;

		localtime_r(&now, &tm);
		tm.tm_sec = tm.tm_min = tm.tm_hour = 0;
		tm.tm_isdst = -1;
		end = strptime(text, formats[i], &tm);
		t = end && !*end ? mktime(&tm) : -1;
		if (t >= 0) {
			*ret_ms = (uint64_t)t * 1000;
			return 0;
		}
	}
	return -EINVAL;
}

int gate_range(const char *since, const char *from, const char *to, uint64_t now_ns,
	       struct gate_range *ret, struct error *reterr)
{
	uint64_t begin, end = now_ns / 1000000;

	if (since && from)
		return error_set(reterr, -EINVAL, "--since and --from say the same: give one");
	if (to && parse_time(to, now_ns, &end) < 0)
		return error_set(reterr, -EINVAL,
				 "--to: '%s' is no time (12:30, 2027-03-01 12:30, or 20m ago)", to);
	since = since ? since : "1h";
	if (parse_time(from ? from : since, now_ns, &begin) < 0)
		return error_set(reterr, -EINVAL, "--%s: '%s' is no time (1h, or 12:30)",
				 from ? "from" : "since", from ? from : since);
	if (begin >= end)
		return error_set(reterr, -EINVAL,
				 "the range is empty: it has to begin before it ends");
	snprintf(ret->from_ms, sizeof(ret->from_ms), "%llu", (unsigned long long)begin);
	snprintf(ret->to_ms, sizeof(ret->to_ms), "%llu", (unsigned long long)end);
	return 0;
}
