/* SPDX-License-Identifier: MIT */
#include "cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/show.h"

#define LINE_MAX_BYTES 8192
#define HEADER	       4
#define ANSWER_LIMIT_S 10

struct term {
	int fd, winch_fd;
	bool raw, input_open;
	struct termios before;
	unsigned char in[HEADER + TERM_FRAME_MAX];
	size_t in_len;
};

static int send_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int send_frame(struct term *t, enum term_frame type, const void *data, size_t n)
{
	unsigned char header[HEADER] = {type, n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff};
	int r = send_all(t->fd, header, sizeof(header));

	return r < 0 || !n ? r : send_all(t->fd, data, n);
}

static int send_size(struct term *t)
{
	struct winsize size;
	unsigned char rows_cols[4];

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	rows_cols[0] = size.ws_row & 0xff;
	rows_cols[1] = size.ws_row >> 8;
	rows_cols[2] = size.ws_col & 0xff;
	rows_cols[3] = size.ws_col >> 8;
	return send_frame(t, TERM_SIZE, rows_cols, sizeof(rows_cols));
}

static int open_socket(struct cli *cli, const char *zone, struct term *t)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *slash = strrchr(cli->client.path, '/');
	_cleanup_json_ json_t *shown = NULL;
	struct error e = {0};
	int r = cli_call(cli, "zone-show", json_pack("{s:s}", "name", zone), &shown);

	if (r != EXIT_OK)
		return r;
	if (json_is_integer(json_object_get(shown, "silent_ns"))) {
		error_set(&e, -ETIMEDOUT, "zone %s: %s", zone, get_text(shown, "why"));
		return cli_fail(cli, &e);
	}
	if (str_printf(addr.sun_path, sizeof(addr.sun_path), "%.*szones/%s/term.sock",
		       slash ? (int)(slash - cli->client.path) + 1 : 0, cli->client.path,
		       zone) < 0) {
		error_set(&e, -ENAMETOOLONG, "the path of the zone's terminal is too long");
		return cli_fail(cli, &e);
	}
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd >= 0 && connect(t->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return EXIT_OK;
	error_errno(&e, -errno, "the terminal of zone %s (%s)", zone, get_text(shown, "state"));
	if (!strcmp(get_text(shown, "runtime"), "cgroup"))
		error_hint(
		    &e,
		    "only virtual machines have one; czctl exec %s -- sh runs a shell in its "
		    "cgroup",
		    zone);
	else if (strcmp(get_text(shown, "state"), "running"))
		error_hint(&e, "czctl start --wait %s", zone);
	return cli_fail(cli, &e);
}

/* The one line that answers the request; no byte beyond it is taken. */
static int read_answer(struct cli *cli, struct term *t)
{
	struct timeval limit = {.tv_sec = ANSWER_LIMIT_S}, none = {0};
	char line[LINE_MAX_BYTES];
	ssize_t got = 0;
	_cleanup_json_ json_t *answer = NULL;
	struct error e = {0};
	size_t n = 0;

	setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while (n < sizeof(line) && (got = recv(t->fd, line + n, 1, 0)) == 1 && line[n] != '\n')
		n++;
	if (got < 0 && errno == EAGAIN) {
		error_set(&e, -ETIMEDOUT, "the zone has not given a terminal within %d s",
			  ANSWER_LIMIT_S);
		return cli_fail(cli, &e);
	}
	setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	answer = n < sizeof(line) ? json_loadb(line, n, 0, NULL) : NULL;
	if (get_bool(answer, "ok"))
		return EXIT_OK;
	error_set(&e, -EIO, "the zone does not give a terminal: %s",
		  text_or_dash(json_object_get(answer, "error"), "message"));
	return cli_fail(cli, &e);
}

static void make_raw(struct term *t)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->before) < 0)
		return;
	raw = t->before;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void write_out(int fd, const unsigned char *data, size_t n)
{
	while (n) {
		ssize_t w = write(fd, data, n);

		if (w < 0 && errno != EINTR)
			return;
		if (w > 0) {
			data += w;
			n -= (size_t)w;
		}
	}
}

/* Negative: go on; else the exit code. */
static int take_frame(enum term_frame type, const unsigned char *data, size_t n)
{
	if (type == TERM_DATA || type == TERM_STDERR)
		write_out(type == TERM_DATA ? STDOUT_FILENO : STDERR_FILENO, data, n);
	if (type != TERM_END)
		return -1;
	return n >= 4 ? (data[0] | data[1] << 8 | data[2] << 16 | (int)((unsigned)data[3] << 24)) &
			    0xff
		      : EXIT_TERM_LOST;
}

static int receive(struct term *t)
{
	ssize_t got = recv(t->fd, t->in + t->in_len, sizeof(t->in) - t->in_len, 0);
	int code = -1;

	if (got <= 0)
		return got < 0 && errno == EINTR ? -1 : EXIT_TERM_LOST;
	t->in_len += (size_t)got;
	while (code < 0 && t->in_len >= HEADER) {
		size_t n = t->in[1] | (size_t)t->in[2] << 8 | (size_t)t->in[3] << 16;

		if (n > TERM_FRAME_MAX)
			return EXIT_TERM_LOST;
		if (t->in_len < HEADER + n)
			break;
		code = take_frame(t->in[0], t->in + HEADER, n);
		t->in_len -= HEADER + n;
		memmove(t->in, t->in + HEADER + n, t->in_len);
	}
	return code;
}

static int take_input(struct term *t)
{
	char buf[4096];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return 0;
	if (n > 0)
		return send_frame(t, TERM_DATA, buf, (size_t)n);
	t->input_open = false;
	return send_frame(t, TERM_CLOSED, NULL, 0);
}

static int relay(struct term *t)
{
	int code = -1;

	while (code < 0) {
		struct pollfd p[] = {{.fd = t->fd, .events = POLLIN},
				     {.fd = t->input_open ? STDIN_FILENO : -1, .events = POLLIN},
				     {.fd = t->winch_fd, .events = POLLIN}};
		struct signalfd_siginfo si;

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return EXIT_TERM_LOST;
		/* Its own end may come with our input refused: what it says goes first. */
		if (p[0].revents)
			code = receive(t);
		if (code < 0 && p[1].revents && take_input(t) < 0)
			t->input_open = false;
		if (p[2].revents && read(t->winch_fd, &si, sizeof(si)) > 0 && send_size(t) < 0)
			t->input_open = false;
	}
	return code;
}

int term_run(struct cli *cli, const char *zone, json_t *request, bool tty)
{
	static struct term t = {.fd = -1, .winch_fd = -1, .input_open = true};
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	_cleanup_free_ char *text = NULL;
	sigset_t winch;
	int code;

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	if (request) {
		json_object_set_new(request, "rows", json_integer(size.ws_row));
		json_object_set_new(request, "cols", json_integer(size.ws_col));
		text = json_dumps(request, JSON_COMPACT);
	}
	json_decref(request);
	code = text ? open_socket(cli, zone, &t) : EXIT_FAILED;
	if (code == EXIT_OK &&
	    (send_all(t.fd, text, strlen(text)) < 0 || send_all(t.fd, "\n", 1) < 0))
		code = EXIT_TERM_LOST;
	if (code == EXIT_OK)
		code = read_answer(cli, &t);
	if (code != EXIT_OK) {
		close_fd(&t.fd);
		return code;
	}
	sigemptyset(&winch);
	sigaddset(&winch, SIGWINCH);
	sigprocmask(SIG_BLOCK, &winch, NULL);
	t.winch_fd = signalfd(-1, &winch, SFD_CLOEXEC);
	if (tty)
		make_raw(&t);
	code = relay(&t);
	if (t.raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t.before);
	if (code == EXIT_TERM_LOST)
		fprintf(stderr, "czctl: the terminal of zone %s was lost.\n", zone);
	close_fd(&t.fd);
	close_fd(&t.winch_fd);
	return code;
}
