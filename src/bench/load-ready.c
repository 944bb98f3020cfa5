/* SPDX-License-Identifier: MIT */
/* Before the run: wait until the server answers, and put the keys in. Blocking, with deadlines. */
#include <inttypes.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/load.h"

#define RETRY_NS       50000000ull
#define FILL_BATCH     256
#define ANSWER_SECONDS 5

static int write_all(int fd, const struct strbuf *out)
{
	size_t done = 0;

	while (done < out->len) {
		ssize_t n = write(fd, out->data + done, out->len - done);

		if (n < 0 && errno == EINTR && !bench_stopped)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* Feed what one read brought; returns how many replies are still missing. */
static int count_replies(struct load *l, struct reply_parser *p, const char *data, size_t size,
			 unsigned int missing, struct reply *last, struct error *reterr)
{
	while (size > 0) {
		size_t used;
		int r = l->dialect->replies->feed(p, data, size, &used, last, reterr);

		if (r < 0)
			return error_wrap(reterr, r, "%s", l->target->shown);
		if (r == 1 && missing-- == 0)
			return error_set(reterr, -EBADMSG, "%s: more replies than requests",
					 l->target->shown);
		if (r == 1 && last->is_error)
			return error_set(reterr, -EAGAIN, "%s: %s", l->target->shown, last->text);
		data += used;
		size -= used;
	}
	return (int)missing;
}

/* Send `out` and wait for `replies` of them; -EAGAIN if one is an error. */
static int exchange(struct load *l, int fd, const struct strbuf *out, unsigned int replies,
		    struct error *reterr)
{
	_cleanup_free_ struct reply_parser *p = calloc(1, sizeof(*p));
	struct reply last;
	char buf[4096];
	int missing = (int)replies, r;

	if (!p || out->failed)
		return error_errno(reterr, -ENOMEM, "%s", l->target->shown);
	r = write_all(fd, out);
	if (r < 0)
		return error_errno(reterr, r, "%s: send", l->target->shown);
	while (missing > 0) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR && !bench_stopped)
			continue;
		if (n < 0 && errno == EAGAIN)
			return error_set(reterr, -ETIMEDOUT, "%s: no answer within %d s",
					 l->target->shown, ANSWER_SECONDS);
		if (n < 0)
			return error_errno(reterr, -errno, "%s: receive", l->target->shown);
		if (n == 0)
			return error_set(reterr, -ECONNRESET, "%s closed the connection unanswered",
					 l->target->shown);
		missing = count_replies(l, p, buf, (size_t)n, (unsigned int)missing, &last, reterr);
	}
	return missing;
}

static int connect_once(struct load *l, struct error *reterr)
{
	struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	_cleanup_close_ int fd = target_connect(l->target, false);
	struct strbuf out = {0};
	int r = 0;

	if (fd < 0)
		return error_errno(reterr, fd, "connect to %s", l->target->shown);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (l->dialect->add_ping) {
		l->dialect->add_ping(&out);
		r = exchange(l, fd, &out, 1, reterr);
		strbuf_done(&out);
	}
	return r < 0 ? r : TAKE_FD(fd);
}

static int fill(struct load *l, int fd, struct error *reterr)
{
	struct strbuf out = {0};
	int r = 0;

	for (uint64_t key = 0; key < l->o->keys && r == 0 && !bench_stopped;) {
		unsigned int n = 0;

		strbuf_reset(&out);
		for (; n < FILL_BATCH && key < l->o->keys; n++)
			l->dialect->add_fill(l, key++, &out);
		r = exchange(l, fd, &out, n, reterr);
	}
	strbuf_done(&out);
	return r;
}

/* Refusals while a server starts: not there yet, not listening, or "-LOADING". */
static bool may_come(int r)
{
	return r == -ECONNREFUSED || r == -ENOENT || r == -EAGAIN || r == -ECONNRESET;
}

int load_ready(struct load *l, struct error *reterr)
{
	uint64_t deadline_ns = clock_mono_ns() + l->o->wait_ready_ns;
	int fd, r = 0;

	for (;;) {
		fd = connect_once(l, reterr);
		if (fd >= 0)
			break;
		if (!may_come(fd) || clock_mono_ns() + RETRY_NS > deadline_ns || bench_stopped) {
			if (may_come(fd) && l->o->wait_ready_ns == 0)
				error_hint(reterr, "--wait-ready 10s keeps trying.");
			return fd;
		}
		bench_sleep_until(clock_mono_ns() + RETRY_NS);
	}
	if (l->o->fill && l->dialect->add_fill)
		r = fill(l, fd, reterr);
	close(fd);
	return r;
}
