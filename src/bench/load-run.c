/* SPDX-License-Identifier: MIT */
/* cz-load's loop: send what is due, sleep until the next is or a reply comes. */
#include <sys/epoll.h>
#include <time.h>
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/load.h"

#define EVENTS_MAX 64
#define BATCH_MAX  1024 /* requests between looks at the replies when far behind */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int wait_events(struct load *l, uint64_t until_ns, struct error *reterr)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now_ns = clock_mono_ns();
	uint64_t left_ns = until_ns > now_ns && !l->o->spin ? until_ns - now_ns : 0;
	struct timespec timeout = {
	    .tv_sec = (time_t)(left_ns / 1000000000),
	    .tv_nsec = (long)(left_ns % 1000000000),
	};
	int n = epoll_pwait2(l->epoll_fd, events, EVENTS_MAX, &timeout, NULL);

	if (n < 0)
		return errno == EINTR ? 0 : error_errno(reterr, -errno, "wait for replies");
	for (int i = 0; i < n; i++) {
		int r = conn_ready(l, events[i].data.ptr, events[i].events, reterr);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Sends all that is due; returns when the next is. */
static uint64_t send_due(struct load *l, uint64_t next_ns)
{
	uint64_t now_ns = clock_mono_ns();

	for (int i = 0; i < BATCH_MAX && next_ns <= now_ns && next_ns < l->end_ns; i++) {
		conns_request(l, next_ns);
		next_ns = l->start_ns + arrival_next_ns(&l->arrival);
	}
	conns_flush(l);
	return next_ns;
}

static int maybe_report(struct load *l, struct error *reterr)
{
	uint64_t now_ns = clock_mono_ns();

	if (now_ns < l->interval_start_ns + l->o->interval_ns)
		return 0;
	return load_interval(l, now_ns, reterr);
}

static int send_all(struct load *l, struct error *reterr)
{
	uint64_t next_ns = l->start_ns + arrival_next_ns(&l->arrival);

	while (!bench_stopped && (next_ns < l->end_ns || clock_mono_ns() < l->end_ns)) {
		uint64_t until_ns, retry_ns;
		int r;

		next_ns = send_due(l, next_ns);
		retry_ns = conns_retry(l, clock_mono_ns());
		until_ns = min_u64(min_u64(next_ns, l->end_ns), retry_ns);
		until_ns = min_u64(until_ns, l->interval_start_ns + l->o->interval_ns);
		r = wait_events(l, until_ns, reterr);
		if (r == 0)
			r = maybe_report(l, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static int drain(struct load *l, struct error *reterr)
{
	uint64_t until_ns = clock_mono_ns() + l->o->drain_ns;

	while (conns_pending(l) > 0 && clock_mono_ns() < until_ns) {
		int r = wait_events(l, until_ns, reterr);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Those intended in the warm-up do not count, here as everywhere. */
static uint64_t count_unanswered(const struct load *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->o->connections; i++) {
		const struct pending *q = &l->conns[i].pending;

		for (uint32_t k = 0; k < q->count; k++)
			n += q->intended_ns[(q->head + k) & (q->cap - 1)] >= l->measure_ns;
	}
	return n;
}

int load_run(struct load *l, struct error *reterr)
{
	int r;

	arrival_init(&l->arrival, (enum arrival_kind)l->o->arrival, (double)l->o->rate_per_sec,
		     l->o->seed);
	l->random = l->o->seed ^ 0x5bf03635;
	l->start_ns = clock_mono_ns();
	l->measure_ns = l->start_ns + l->o->warmup_ns;
	l->end_ns = l->o->seconds_ns ? l->measure_ns + l->o->seconds_ns : UINT64_MAX;
	l->interval_start_ns = l->measure_ns;
	r = send_all(l, reterr);
	l->stop_ns = min_u64(clock_mono_ns(), l->end_ns);
	if (r == 0)
		r = drain(l, reterr);
	l->total.counts.unanswered = count_unanswered(l);
	return r;
}
