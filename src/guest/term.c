/* SPDX-License-Identifier: MIT */
#include "guest/term.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "guest/term-open.h"

#define HANG_UP_NS 2000000000ULL

struct terms {
	struct term streams[CHANNEL_TERMS];
};

int terms_init(struct guest *g)
{
	g->terms = calloc(1, sizeof(*g->terms));
	if (!g->terms)
		return -ENOMEM;
	for (unsigned int i = 0; i < CHANNEL_TERMS; i++)
		g->terms->streams[i] = (struct term){
		    .guest = g, .stream = i, .in = -1, .out = {-1, -1}, .pending = NULL};
	return 0;
}

static struct channel *channel_of(const struct term *t)
{
	return t->guest->ports[CHANNEL_TERM].channel;
}

static void close_input(struct term *t)
{
	struct loop *l = &t->guest->loop;

	loop_del(l, &t->in_source);
	close_fd(&t->in);
	channel_consumed(channel_of(t), t->stream, t->nr_pending);
	t->nr_pending = 0;
}

static void close_output(struct term *t, int i)
{
	loop_del(&t->guest->loop, &t->out_source[i]);
	close_fd(&t->out[i]);
}

static void term_done(struct term *t)
{
	loop_cancel(&t->guest->loop, &t->timer);
	close_input(t);
	close_output(t, 0);
	close_output(t, 1);
	free(t->pending);
	*t = (struct term){.guest = t->guest, .stream = t->stream, .in = -1, .out = {-1, -1}};
}

/* ---- out: as fast as the host takes it ---- */

/* False: nothing more for now. */
static bool pump(struct term *t, int i)
{
	static const enum channel_type types[] = {CHANNEL_DATA, CHANNEL_STDERR};
	char buf[CHANNEL_DATA_MAX];
	size_t room = channel_room(channel_of(t), t->stream);
	ssize_t n;

	if (t->out[i] < 0 || !room)
		return false;
	n = read(t->out[i], buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* EIO: nobody has the terminal any more */
	if (n <= 0 || channel_write(channel_of(t), types[i], t->stream, buf, (size_t)n) < 0) {
		close_output(t, i);
		return false;
	}
	return true;
}

/* Its exit code goes after all its output. What it left running in the background keeps nobody. */
static void try_end(struct term *t)
{
	uint8_t code[4];

	if (!t->used || t->pid || !t->ended)
		return;
	while (pump(t, 0) || pump(t, 1))
		;
	if (channel_up(channel_of(t)) && channel_room(channel_of(t), t->stream) < sizeof(code))
		return;
	for (int i = 0; i < 4; i++)
		code[i] = (uint8_t)((uint32_t)t->exit >> (8 * i));
	if (channel_write(channel_of(t), CHANNEL_END, t->stream, code, sizeof(code)) == -EAGAIN)
		return;
	term_done(t);
}

/* Edge-triggered, both ways: a side that is closed would be reported again and again. */
static void on_output(void *arg, uint32_t events)
{
	struct term *t = arg;

	while (pump(t, 0) || pump(t, 1))
		;
	try_end(t);
}

void terms_wake(struct guest *g)
{
	for (unsigned int i = 0; i < CHANNEL_TERMS; i++)
		if (g->terms->streams[i].used)
			on_output(&g->terms->streams[i], 0);
}

/* ---- in: what the program does not read waits here, at most a window of it ---- */

static void write_pending(struct term *t)
{
	ssize_t n = t->nr_pending ? write(t->in, t->pending, t->nr_pending) : 0;

	if (n < 0 && errno != EAGAIN) {
		close_input(t);
		return;
	}
	if (n > 0) {
		channel_consumed(channel_of(t), t->stream, (size_t)n);
		t->nr_pending -= (size_t)n;
		memmove(t->pending, t->pending + n, t->nr_pending);
	}
	if (!t->nr_pending && t->in_closed && !t->tty)
		close_input(t);
}

static void on_input(void *arg, uint32_t events)
{
	write_pending(arg);
}

static void got_data(struct term *t, const struct channel_frame *f)
{
	if (t->in < 0 || t->in_closed || f->len > CHANNEL_WINDOW - t->nr_pending) {
		channel_consumed(channel_of(t), t->stream, f->len);
		return;
	}
	memcpy(t->pending + t->nr_pending, f->data, f->len);
	t->nr_pending += f->len;
	write_pending(t);
}

static void got_size(struct term *t, const struct channel_frame *f)
{
	struct winsize w = {0};

	if (f->len != 4 || !t->tty || t->out[0] < 0)
		return;
	w.ws_row = (uint16_t)((uint8_t)f->data[0] | (uint8_t)f->data[1] << 8);
	w.ws_col = (uint16_t)((uint8_t)f->data[2] | (uint8_t)f->data[3] << 8);
	ioctl(t->out[0], TIOCSWINSZ, &w);
}

/* ^D ends a terminal's input; a pipe is closed. */
static void got_closed(struct term *t)
{
	t->in_closed = true;
	if (t->tty && t->in >= 0 && write(t->in, "\4", 1) < 0)
		close_input(t);
	if (!t->tty)
		write_pending(t);
}

static void kill_hard(void *arg)
{
	struct term *t = arg;

	if (t->pid)
		kill(-t->pid, SIGKILL);
}

static void hang_up(struct term *t)
{
	if (!t->used || !t->pid)
		return;
	kill(-t->pid, SIGHUP);
	close_input(t);
	loop_timer(&t->guest->loop, &t->timer, t->guest->loop.now_ns + HANG_UP_NS, kill_hard, t);
}

static void open_failed(struct term *t, const struct error *e)
{
	json_t *j = json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "name", error_name(e->code),
			      "message", e->msg);
	_cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(j);
	if (!text)
		text = strdup("{\"ok\":false}");
	if (text && channel_write(channel_of(t), CHANNEL_OPENED, t->stream, text, strlen(text)) < 0)
		guest_notice(t->guest, "channel", "no room to say that a terminal failed");
}

static void got_open(struct term *t, const struct channel_frame *f)
{
	static const char ok[] = "{\"ok\":true}";
	struct error e = {0};
	int r = 0;

	if (t->used)
		r = error_set(&e, -EBUSY, "that stream has a terminal already");
	if (r == 0)
		r = term_open(t, f->data, f->len, &e);
	if (r < 0) {
		if (!e.code)
			error_errno(&e, r, "terminal");
		open_failed(t, &e);
		return;
	}
	t->used = true;
	if (loop_add(&t->guest->loop, &t->out_source[0], t->out[0], EPOLLIN | EPOLLET, on_output,
		     t) < 0 ||
	    (t->out[1] >= 0 && loop_add(&t->guest->loop, &t->out_source[1], t->out[1],
					EPOLLIN | EPOLLET, on_output, t) < 0) ||
	    loop_add(&t->guest->loop, &t->in_source, t->in, EPOLLOUT | EPOLLET, on_input, t) < 0 ||
	    channel_write(channel_of(t), CHANNEL_OPENED, t->stream, ok, sizeof(ok) - 1) < 0)
		hang_up(t);
}

void term_frame(const struct channel_frame *f, void *guest)
{
	struct guest *g = guest;
	struct term *t = &g->terms->streams[f->stream];

	if (f->type == CHANNEL_DATA && t->used) {
		got_data(t, f);
		return;
	}
	if (f->type == CHANNEL_OPEN)
		got_open(t, f);
	else if (!t->used)
		; /* it has ended meanwhile */
	else if (f->type == CHANNEL_SIZE)
		got_size(t, f);
	else if (f->type == CHANNEL_CLOSED)
		got_closed(t);
	else if (f->type == CHANNEL_END)
		hang_up(t);
	channel_consumed(g->ports[CHANNEL_TERM].channel, f->stream, f->len);
}

void term_session(void *guest)
{
	struct guest *g = guest;

	for (unsigned int i = 0; i < CHANNEL_TERMS; i++)
		hang_up(&g->terms->streams[i]);
}

bool terms_reaped(struct guest *g, pid_t pid, int exit)
{
	for (unsigned int i = 0; i < CHANNEL_TERMS; i++) {
		struct term *t = &g->terms->streams[i];

		if (t->pid != pid)
			continue;
		t->pid = 0;
		t->ended = true;
		t->exit = exit;
		try_end(t);
		return true;
	}
	return false;
}
