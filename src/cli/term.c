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
#define INPUT_MAX      4096
#define AGAIN_MS       1000 /* a shell forgets a Ctrl-D that comes before its prompt */
#define LOST	       256  /* beside all exit codes that a command may have */

struct term {
	int fd, winch_fd;
	bool tty, raw, input_open;
	struct termios before;
	unsigned char in[HEADER + TERM_FRAME_MAX];
	size_t in_len;
	unsigned char out[HEADER + INPUT_MAX]; /* one frame that waits for room */
	size_t out_len, out_sent;
};

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno != EINTR)
			return;
		p += w < 0 ? 0 : w;
		n -= w < 0 ? 0 : (size_t)w;
	}
}

/*
 * Never waits: a command that is given much input may wait itself until its output is taken. What
 * cannot be sent at all is dropped: the other side has ended, and says so.
 */
static void send_rest(struct term *t)
{
	ssize_t n = send(t->fd, t->out + t->out_sent, t->out_len - t->out_sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		t->input_open = false;
	t->out_sent += n < 0 ? 0 : (size_t)n;
	if (n < 0 || t->out_sent == t->out_len)
		t->out_len = t->out_sent = 0;
}

/* Only when nothing waits. */
static void send_frame(struct term *t, enum term_frame type, const void *data, size_t n)
{
	const unsigned char header[HEADER] = {type, n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff};

	memcpy(t->out, header, HEADER);
	if (n)
		memcpy(t->out + HEADER, data, n);
	t->out_len = HEADER + n;
	send_rest(t);
}

/* One that does not know its size (a serial line, a test's) says 0. */
static struct winsize size_of_stdin(void)
{
	struct winsize size = {0};

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	return size;
}

static void send_size(struct term *t)
{
	struct winsize size = size_of_stdin();
	unsigned char rows_cols[4];

	rows_cols[0] = size.ws_row & 0xff;
	rows_cols[1] = size.ws_row >> 8;
	rows_cols[2] = size.ws_col & 0xff;
	rows_cols[3] = size.ws_col >> 8;
	send_frame(t, TERM_SIZE, rows_cols, sizeof(rows_cols));
}

static const json_t *spec_os(const json_t *shown)
{
	return json_object_get(json_object_get(shown, "spec"), "os");
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
	if (json_is_string(json_object_get(spec_os(shown), "adopt")))
		error_hint(&e, "an adopted domain has none of Control Zone's: virsh console %s",
			   get_text(spec_os(shown), "adopt"));
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
	const char *why;
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
	why = get_text(json_object_get(answer, "error"), "message");
	error_set(&e, -EIO, "the zone does not give a terminal: %s",
		  why[0] ? why : "it closed the connection");
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
		      : LOST;
}

static int receive(struct term *t)
{
	ssize_t got = recv(t->fd, t->in + t->in_len, sizeof(t->in) - t->in_len, 0);
	int code = -1;

	if (got <= 0)
		return got < 0 && errno == EINTR ? -1 : LOST;
	t->in_len += (size_t)got;
	while (code < 0 && t->in_len >= HEADER) {
		size_t n = t->in[1] | (size_t)t->in[2] << 8 | (size_t)t->in[3] << 16;

		if (n > TERM_FRAME_MAX)
			return LOST;
		if (t->in_len < HEADER + n)
			break;
		code = take_frame(t->in[0], t->in + HEADER, n);
		t->in_len -= HEADER + n;
		memmove(t->in, t->in + HEADER + n, t->in_len);
	}
	return code;
}

static void take_input(struct term *t)
{
	char buf[INPUT_MAX];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0) {
		send_frame(t, TERM_DATA, buf, (size_t)n);
		return;
	}
	t->input_open = false;
	send_frame(t, TERM_CLOSED, NULL, 0);
}

static int relay(struct term *t)
{
	int code = -1;

	while (code < 0) {
		bool full = t->out_len;
		struct pollfd p[] = {
		    {.fd = t->fd, .events = full ? POLLIN | POLLOUT : POLLIN},
		    {.fd = t->input_open && !full ? STDIN_FILENO : -1, .events = POLLIN},
		    {.fd = full ? -1 : t->winch_fd, .events = POLLIN}};
		struct signalfd_siginfo si;
		int n = poll(p, ARRAY_SIZE(p), t->tty && !t->input_open ? AGAIN_MS : -1);

		if (n < 0 && errno != EINTR)
			return LOST;
		if (n == 0 && !full)
			send_frame(t, TERM_CLOSED, NULL, 0);
		if (n <= 0)
			continue;
		/* Its own end may come with our input refused: what it says goes first. */
		if (p[0].revents & ~POLLOUT)
			code = receive(t);
		if (p[0].revents & POLLOUT)
			send_rest(t);
		if (code < 0 && p[1].revents)
			take_input(t);
		if (!t->out_len && p[2].revents && read(t->winch_fd, &si, sizeof(si)) > 0)
			send_size(t);
	}
	return code;
}

int term_run(struct cli *cli, const char *zone, json_t *request, bool tty)
{
	static struct term t = {.fd = -1, .winch_fd = -1, .input_open = true};
	struct winsize size = size_of_stdin();
	_cleanup_free_ char *text = NULL;
	sigset_t winch;
	int code;

	if (request) {
		json_object_set_new(request, "rows", json_integer(size.ws_row));
		json_object_set_new(request, "cols", json_integer(size.ws_col));
		text = json_dumps(request, JSON_COMPACT);
	}
	json_decref(request);
	code = text ? open_socket(cli, zone, &t) : EXIT_FAILED;
	if (code == EXIT_OK) {
		/* Where they are not taken, the answer says why. */
		send_all(t.fd, text, strlen(text));
		send_all(t.fd, "\n", 1);
		code = read_answer(cli, &t);
	}
	if (code != EXIT_OK) {
		close_fd(&t.fd);
		return code;
	}
	sigemptyset(&winch);
	sigaddset(&winch, SIGWINCH);
	sigprocmask(SIG_BLOCK, &winch, NULL);
	t.winch_fd = signalfd(-1, &winch, SFD_CLOEXEC);
	t.tty = tty;
	if (tty)
		make_raw(&t);
	code = relay(&t);
	if (t.raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t.before);
	if (code == LOST) {
		fprintf(stderr, "czctl: the terminal of zone %s was lost.\n", zone);
		code = EXIT_TERM_LOST;
	}
	close_fd(&t.fd);
	close_fd(&t.winch_fd);
	return code;
}
