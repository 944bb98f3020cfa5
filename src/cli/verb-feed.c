/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"

#define DATAGRAM_MAX  8192
#define HEAD_MAX      32
#define LINE_MAX_FEED 1024
#define GATHER_MS     100 /* values that come faster travel together */

struct feed {
	struct cli *cli;
	const char *zone;
	int fd;
	char lines[DATAGRAM_MAX - HEAD_MAX];
	size_t len;
	uint64_t line, token;
	uint64_t taken, refused; /* values, as czd says */
	struct error why;	 /* the latest refusal */
};

static int feed_open(struct feed *f, struct error *reterr)
{
	struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_MS / 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *beside = f->cli->client.path, *slash = strrchr(beside, '/');
	_cleanup_close_ int fd = -1;
	int r;

	if (str_printf(addr.sun_path, sizeof(addr.sun_path), "%.*sfeed.sock",
		       slash ? (int)(slash - beside) + 1 : 0, beside) < 0)
		return error_set(reterr, -EINVAL, "'%s' is too long for a socket's path", beside);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return error_errno(reterr, -errno, "socket");
	/* A name of the kernel's choice, which czd answers to. */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr.sun_family)) < 0)
		return error_errno(reterr, -errno, "socket");
	r = client_connect(fd, &addr);
	if (r < 0) {
		f->cli->client.no_answer = r != -EACCES;
		error_errno(reterr, r, "czd is not reachable at %s", addr.sun_path);
		error_hint(reterr, "Start it: sudo czd, or: systemctl start czd");
		return r;
	}
	f->fd = TAKE_FD(fd);
	return 0;
}

/* "v1 ack TOKEN LINES TAKEN REFUSED NAME WHY", about the datagram of this token. */
static int feed_await(struct feed *f, uint64_t *ret_lines, struct error *reterr)
{
	uint64_t end_ns = clock_mono_ns() + CLIENT_TIMEOUT_MS * 1000000ull;
	char buf[512], name[32];
	unsigned long long token, lines, taken, refused;
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	ssize_t n;
	int at;

	while (clock_mono_ns() < end_ns) {
		if (poll(&p, 1, CLIENT_TIMEOUT_MS) <= 0)
			continue;
		n = recv(f->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			break; /* czd went away */
		if (n < 0)
			continue;
		buf[n] = 0;
		buf[strcspn(buf, "\n")] = 0;
		if (sscanf(buf, "v1 ack %llu %llu %llu %llu %31s %n", &token, &lines, &taken,
			   &refused, name, &at) < 5 ||
		    token != f->token || !lines)
			continue;
		f->taken += taken;
		f->refused += refused;
		if (refused)
			error_set(&f->why, client_code(name), "%s", buf + at);
		*ret_lines = lines;
		return 0;
	}
	f->cli->client.no_answer = true;
	error_set(reterr, -ETIMEDOUT, "czd does not say what became of what was fed");
	error_hint(reterr, "Is it stopped or overloaded, or older than czctl?");
	return -ETIMEDOUT;
}

/* Takes the first lines away. */
static void feed_drop(struct feed *f, uint64_t lines)
{
	const char *rest = f->lines, *end = f->lines + f->len, *newline;

	for (; lines && (newline = memchr(rest, '\n', (size_t)(end - rest))) != NULL; lines--)
		rest = newline + 1;
	f->len = (size_t)(end - rest);
	memmove(f->lines, rest, f->len);
}

static int feed_send(struct feed *f, struct error *reterr)
{
	char head[HEAD_MAX];
	struct iovec iov[] = {{.iov_base = head}, {.iov_base = f->lines, .iov_len = f->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov)};
	uint64_t lines = 0;
	ssize_t n;
	int r;

	iov[0].iov_len =
	    (size_t)snprintf(head, sizeof(head), "v1 ack %llu\n", (unsigned long long)++f->token);
	do {
		n = sendmsg(f->fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(reterr, errno == EAGAIN ? -ETIMEDOUT : -errno,
				   "czd does not take what is fed");
	r = feed_await(f, &lines, reterr);
	if (r == 0)
		feed_drop(f, lines);
	return r;
}

/* Sends what is gathered, again where czd had no time for all of it; connects first, so that bad
 * input is told from an absent czd. */
static int feed_flush(struct feed *f, struct error *reterr)
{
	int r = f->len && f->fd < 0 ? feed_open(f, reterr) : 0;

	while (r == 0 && f->len)
		r = feed_send(f, reterr);
	return r;
}

/* -EINVAL: the text is not "TIME [COUNT]". */
static int feed_add(struct feed *f, const char *value, const char *count, struct error *reterr)
{
	char line[512];
	uint64_t ns, times = 1;
	int n, r;

	if (parse_duration_ns(value, &ns) < 0)
		return error_set(reterr, -EINVAL, "'%s' is not a time (ns, us, ms, s)", value);
	if (count && (parse_u64(count, &times) < 0 || times == 0))
		return error_set(reterr, -EINVAL, "'%s' is not a count", count);
	n = snprintf(line, sizeof(line), "v1 %s latency_ns %llu %llu\n", f->zone,
		     (unsigned long long)ns, (unsigned long long)times);
	if (f->len + (size_t)n > sizeof(f->lines)) {
		r = feed_flush(f, reterr);
		if (r < 0)
			return r;
	}
	memcpy(f->lines + f->len, line, (size_t)n);
	f->len += (size_t)n;
	return 0;
}

static int feed_line(struct feed *f, char *line, struct error *reterr)
{
	const char *value, *count;
	char *rest = NULL;

	f->line++;
	value = strtok_r(line, " \t\r\n", &rest);
	count = strtok_r(NULL, " \t\r\n", &rest);
	if (!value) /* an empty line */
		return 0;
	if (count && strtok_r(NULL, " \t\r\n", &rest))
		return error_set(reterr, -EINVAL, "line %llu: expected TIME [COUNT]",
				 (unsigned long long)f->line);
	if (feed_add(f, value, count, reterr) == 0)
		return 0;
	return reterr->code == -EINVAL
		   ? error_wrap(reterr, -EINVAL, "line %llu", (unsigned long long)f->line)
		   : reterr->code;
}

/* Lines that are complete; moves the rest to the front. Returns its length or -Exxx. */
static ssize_t feed_lines(struct feed *f, char *buf, size_t len, struct error *reterr)
{
	char *line = buf, *newline;
	int r;

	while ((newline = memchr(line, '\n', len - (size_t)(line - buf))) != NULL) {
		*newline = 0;
		r = feed_line(f, line, reterr);
		if (r < 0)
			return r;
		line = newline + 1;
	}
	len -= (size_t)(line - buf);
	memmove(buf, line, len);
	return (ssize_t)len;
}

static int feed_stdin(struct feed *f, struct error *reterr)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char buf[LINE_MAX_FEED + 1];
	ssize_t len = 0, n;
	int r;

	for (;;) {
		if (poll(&p, 1, f->len ? GATHER_MS : -1) == 0) {
			r = feed_flush(f, reterr);
			if (r < 0)
				return r;
			continue;
		}
		n = read(STDIN_FILENO, buf + len, LINE_MAX_FEED - (size_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(reterr, -errno, "standard input");
		if (n == 0)
			break;
		len = feed_lines(f, buf, (size_t)(len + n), reterr);
		if (len < 0)
			return (int)len;
		if (len == LINE_MAX_FEED)
			return error_set(reterr, -EINVAL, "line %llu is too long",
					 (unsigned long long)f->line + 1);
	}
	buf[len] = 0; /* a last line without newline */
	return feed_line(f, buf, reterr);
}

static int feed_words(struct feed *f, const struct args *args, struct error *reterr)
{
	int r = 0;

	for (int i = 1; i < args->nr && r == 0; i++) {
		if (!strcmp(args->words[i], "-"))
			r = feed_stdin(f, reterr);
		else
			r = feed_add(f, args->words[i], NULL, reterr);
	}
	return r;
}

static int feed_run(struct cli *cli, const struct args *args)
{
	struct feed f = {.cli = cli, .zone = args->words[0], .fd = -1};
	struct error e = {0};
	char values[SHOW_MAX];
	int r, flushed;

	if (!f.zone[0] || strlen(f.zone) > 256 || strpbrk(f.zone, " \t\r\n"))
		return cli_usage(&verb_feed, "a zone to feed must have a name without blanks");
	r = feed_words(&f, args, &e);
	flushed = feed_flush(&f, r < 0 ? NULL : &e); /* the good values before a bad one count */
	close_fd(&f.fd);
	if (r < 0 || flushed < 0)
		return cli_fail(cli, &e);
	if (cli->json)
		printf("{\"taken\":%llu,\"refused\":%llu}\n", (unsigned long long)f.taken,
		       (unsigned long long)f.refused);
	else if (f.taken || !f.refused)
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "czd took %s for %s.",
			      show_plural(f.taken, "value", values), f.zone);
	if (!f.refused)
		return EXIT_OK;
	error_wrap(&f.why, f.why.code, "%s refused for %s", show_plural(f.refused, "value", values),
		   f.zone);
	return cli_fail(cli, &f.why);
}

const struct verb verb_feed = {
    .name = "feed",
    .summary = "report the application's own latency",
    .usage = "ZONE (TIME... | -)",
    .help = "Sends latencies that the application measured; the goal latency.p99 and 'why'\n"
	    "use them. With - they are read from standard input, one 'TIME [COUNT]' a line.\n"
	    "\n"
	    "Only root and processes inside the zone itself are believed. czd confirms what\n"
	    "it took; what it refused is an error.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl feed redis.service 2.5ms 0.4ms\n"
	    "  tail -f latency.log | czctl feed web -\n"
	    "  printf '1.2ms 250\\n' | czctl feed web -\n",
    .min_words = 2,
    .max_words = -1,
    .run = feed_run,
};
