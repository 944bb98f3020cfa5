/* SPDX-License-Identifier: MIT */
#include "vm/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/json.h"
#include "vm/pump.h"

/* With that much there is a whole frame, and nothing more is read; room is for one turn more. */
#define IN_FULL (TERM_HEAD + TERM_FRAME_MAX)
#define IN_MAX	(IN_FULL + PUMP_TURN_BYTES)
/* The window of a stream, in frames as small as they come, and the first line. */
#define OUT_MAX (CHANNEL_WINDOW * 6)

enum term_state {
	TERM_FREE,
	TERM_LINE,    /* the client has not said what it wants */
	TERM_OPENING, /* the guest has not answered */
	TERM_OPEN,
	TERM_ENDED, /* what is left to write goes out, then the client is closed */
	TERM_HUNG,  /* the client is gone, the guest still has the stream */
};

struct term {
	struct terms *all;
	unsigned int stream;
	enum term_state state;
	bool hangup_owed;
	struct pump pump;
	size_t in_len, in_done; /* in_done: payload of the first frame that is sent already */
	uint8_t *in;
	struct strbuf out;
	size_t sent;
	size_t held; /* payload of the guest's that waits in out */
};
struct terms {
	sd_event *loop;
	int listener;
	sd_event_source *source;
	struct ports *ports;
	struct term term[CHANNEL_TERMS];
};

static const struct {
	enum channel_type type;
	bool from_client;
} types[] = {
    /* by the number on term.sock */
    {CHANNEL_DATA, true}, {CHANNEL_STDERR, false}, {CHANNEL_SIZE, true},
    {CHANNEL_END, true},  {CHANNEL_CLOSED, true},
};

int term_frame_parse(const uint8_t *data, size_t len, enum channel_type *ret_type, size_t *ret_len)
{
	size_t n;

	if (len < TERM_HEAD)
		return 0;
	n = (size_t)data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16;
	if (data[0] >= ARRAY_SIZE(types) || !types[data[0]].from_client || n > TERM_FRAME_MAX ||
	    (types[data[0]].type == CHANNEL_SIZE && n != 4))
		return -EPROTO;
	if (len < TERM_HEAD + n)
		return 0;
	*ret_type = types[data[0]].type;
	*ret_len = n;
	return 1;
}

static int say(struct term *t, enum channel_type type, const void *data, size_t len)
{
	return ports_write(t->all->ports, CHANNEL_TERM, type, t->stream, data, len);
}

static void hang_up(struct term *t)
{
	int r = say(t, CHANNEL_END, NULL, 0);

	t->hangup_owed = r == -EAGAIN;
	if (r < 0 && r != -EAGAIN)
		t->state = TERM_FREE; /* no session: no stream either */
}

/* The client's side ends; the stream stays taken until the guest has let go of it. */
static void leave(struct term *t)
{
	enum term_state was = t->state;

	pump_done(&t->pump);
	strbuf_done(&t->out);
	free(TAKE_PTR(t->in));
	t->in_len = t->in_done = t->sent = 0;
	ports_consumed(t->all->ports, CHANNEL_TERM, t->stream, t->held);
	t->held = 0;
	t->state = was == TERM_OPENING || was == TERM_OPEN ? TERM_HUNG : TERM_FREE;
	if (t->state == TERM_HUNG)
		hang_up(t);
}

/* --- from the client ----------------------------------------------------------------------- */

static void take_bytes(struct term *t, size_t n)
{
	memmove(t->in, t->in + n, t->in_len - n);
	t->in_len -= n;
	t->in_done = 0;
}

static int take_line(struct term *t)
{
	uint8_t *end = memchr(t->in, '\n', t->in_len);
	size_t len = end ? (size_t)(end - t->in) : t->in_len;
	json_t *line;
	int r = 0;

	if (len > CHANNEL_DATA_MAX)
		return -E2BIG;
	if (!end)
		return -EAGAIN;
	line = json_line_parse((char *)t->in, len, &r);
	if (!line)
		return r;
	json_decref(line);
	r = say(t, CHANNEL_OPEN, t->in, len);
	if (r < 0)
		return r;
	take_bytes(t, len + 1);
	t->state = TERM_OPENING;
	return 0;
}

/* A client's frame may be larger than what fits the channel, or the stream's credits. */
static int take_frame(struct term *t)
{
	enum channel_type type;
	size_t len;
	int r = term_frame_parse(t->in, t->in_len, &type, &len);

	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	do {
		size_t left = len - t->in_done,
		       room = ports_room(t->all->ports, CHANNEL_TERM, t->stream);
		size_t n = left < room ? left : room;

		if (type != CHANNEL_DATA || left == 0)
			n = left;
		else if (n == 0)
			return -EAGAIN;
		r = say(t, type, t->in + TERM_HEAD + t->in_done, n);
		if (r < 0)
			return r;
		t->in_done += n;
	} while (t->in_done < len);
	take_bytes(t, TERM_HEAD + len);
	return 0;
}

/* Takes what it can. Negative: the client is at fault, or the guest is not there. */
static int go_on(struct term *t)
{
	int r = 0;

	while (r == 0 && t->in_len && (t->state == TERM_LINE || t->state == TERM_OPEN))
		r = t->state == TERM_LINE ? take_line(t) : take_frame(t);
	pump_hold(&t->pump, t->in_len >= IN_FULL);
	/* A guest that boots has no terminals yet: whoever wants one waits for it. */
	return r == -EAGAIN || (r == -ENOTCONN && t->state == TERM_LINE) ? 0 : r;
}

static int feed(void *arg, const void *data, size_t len)
{
	struct term *t = arg;

	if (t->state == TERM_ENDED)
		return 0;
	if (len > IN_MAX - t->in_len)
		return -ENOBUFS;
	memcpy(t->in + t->in_len, data, len);
	t->in_len += len;
	return go_on(t);
}

static const void *pending(void *arg, size_t *ret_len)
{
	struct term *t = arg;

	*ret_len = t->out.len - t->sent;
	return t->out.data + t->sent;
}

static void sent(void *arg, size_t len)
{
	struct term *t = arg;

	t->sent += len;
	if (t->sent < t->out.len)
		return;
	strbuf_reset(&t->out);
	t->sent = 0;
	ports_consumed(t->all->ports, CHANNEL_TERM, t->stream, t->held);
	t->held = 0;
	if (t->state == TERM_ENDED)
		shutdown(t->pump.fd, SHUT_RDWR); /* shows as the end of input */
}

static void closed(void *arg, int code)
{
	leave(arg);
}

static const struct pump_ops pump_ops = {feed, pending, sent, closed};

static int on_connect(sd_event_source *s, int listener, uint32_t events, void *arg)
{
	static const char all_taken[] =
	    "{\"ok\":false,\"error\":{\"name\":\"EBUSY\",\"message\":\"all of the zone's "
	    "terminals and commands are in use\"}}\n";
	struct terms *all = arg;
	_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct term *t = NULL;

	for (size_t i = 0; i < CHANNEL_TERMS && !t; i++) {
		if (all->term[i].state == TERM_FREE)
			t = &all->term[i];
	}
	if (fd >= 0 && !t)
		send(fd, all_taken, sizeof(all_taken) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (fd < 0 || !t)
		return 0;
	t->in = malloc(IN_MAX);
	if (!t->in || pump_init(&t->pump, all->loop, fd, "term", &pump_ops, t) < 0) {
		free(TAKE_PTR(t->in));
		return 0;
	}
	TAKE_FD(fd);
	t->state = TERM_LINE;
	return 0;
}

/* --- from the guest ------------------------------------------------------------------------ */

static void put(struct term *t, const void *data, size_t len)
{
	strbuf_add(&t->out, data, len);
	pump_kick(&t->pump);
}

static void end(struct term *t)
{
	t->state = TERM_ENDED;
	if (t->out.len == 0)
		shutdown(t->pump.fd, SHUT_RDWR);
}

static void on_opened(struct term *t, const struct channel_frame *f)
{
	static const struct json_limits limits = {.depth = 3, .items = 8, .text_bytes = 512};
	int r = 0;
	json_t *said = json_line_parse(f->data, f->len, &r),
	       *line = json_copy_within(said, &limits);
	_cleanup_free_ char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	bool ok = json_is_true(json_object_get(said, "ok"));

	json_decref(said);
	json_decref(line);
	t->state = ok ? TERM_OPEN : TERM_ENDED;
	put(t, text ? text : "{\"ok\":false}", strlen(text ? text : "{\"ok\":false}"));
	put(t, "\n", 1);
	if (ok && go_on(t) < 0)
		leave(t);
}

static void pass_on(struct term *t, const struct channel_frame *f)
{
	uint8_t head[TERM_HEAD] = {0, (uint8_t)f->len, (uint8_t)(f->len >> 8),
				   (uint8_t)(f->len >> 16)};

	while (head[0] < ARRAY_SIZE(types) && types[head[0]].type != f->type)
		head[0]++;
	if (head[0] == ARRAY_SIZE(types))
		return;
	put(t, head, sizeof(head));
	put(t, f->data, f->len);
}

/* Payload counts as consumed when the client has it, or nobody will. */
void terms_frame(struct terms *all, const struct channel_frame *f)
{
	struct term *t = &all->term[f->stream < CHANNEL_TERMS ? f->stream : 0];
	bool open = t->state == TERM_OPEN && t->out.len + f->len + TERM_HEAD <= OUT_MAX;

	if (open)
		t->held += f->len;
	else
		ports_consumed(all->ports, CHANNEL_TERM, f->stream, f->len);
	if (t->state == TERM_OPENING && f->type == CHANNEL_OPENED)
		on_opened(t, f);
	else if (open && f->type != CHANNEL_OPENED)
		pass_on(t, f);
	if (f->type != CHANNEL_END)
		return;
	if (t->state == TERM_HUNG)
		t->state = TERM_FREE;
	else if (t->state == TERM_OPEN || t->state == TERM_OPENING)
		end(t);
}

void terms_session(struct terms *all)
{
	for (size_t i = 0; i < CHANNEL_TERMS; i++) {
		struct term *t = &all->term[i];

		t->held = 0;
		t->hangup_owed = false;
		if (t->state == TERM_HUNG)
			t->state = TERM_FREE;
		else if (t->state == TERM_OPEN || t->state == TERM_OPENING)
			end(t);
	}
}

void terms_room(struct terms *all)
{
	for (size_t i = 0; i < CHANNEL_TERMS; i++) {
		struct term *t = &all->term[i];

		if (t->hangup_owed)
			hang_up(t);
		else if ((t->state == TERM_OPEN || t->state == TERM_LINE) && t->in_len &&
			 go_on(t) < 0)
			leave(t);
	}
}

int terms_new(sd_event *loop, int listener, struct ports *ports, struct terms **ret)
{
	struct terms *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	*all = (struct terms){.loop = loop, .listener = listener, .ports = ports};
	for (unsigned int i = 0; i < CHANNEL_TERMS; i++) {
		all->term[i].all = all;
		all->term[i].stream = i;
	}
	r = sd_event_add_io(loop, &all->source, listener, EPOLLIN, on_connect, all);
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void terms_free(struct terms *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < CHANNEL_TERMS; i++) {
		pump_done(&all->term[i].pump);
		strbuf_done(&all->term[i].out);
		free(all->term[i].in);
	}
	sd_event_source_disable_unref(all->source);
	close_fd(&all->listener);
	free(all);
}
