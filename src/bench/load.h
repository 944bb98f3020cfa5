/* SPDX-License-Identifier: MIT */
/*
 * cz-load: an open-loop load generator. Requests are sent when the schedule says so, whether or not
 * earlier ones were answered (pipelined on their connection), and latency counts from the intended
 * instant, so a server that stalls can't hide the requests it delayed (no coordinated omission).
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/cpuset.h"
#include "base/error.h"
#include "base/hist.h"
#include "base/str.h"
#include "bench/arrival.h"
#include "bench/reply.h"

struct load_options {
	uint64_t rate_per_sec, connections, seed;
	uint64_t seconds_ns, warmup_ns, wait_ready_ns, drain_ns, interval_ns;
	uint64_t lag_max_ns; /* 0: no interval is left out */
	uint32_t arrival;    /* enum arrival_kind */
	uint32_t output;
	struct cpuset cpus;
	bool interval_json, quiet, help, spin, fill;
	uint64_t keys, value_bytes; /* resp */
	uint32_t set_ratio_ppm;
	const char *path, *host; /* http */
	const char *feed_socket, *feed_zone;
};

struct target {
	union {
		struct sockaddr any;
		struct sockaddr_storage inet;
		struct sockaddr_un unix_path;
	} address;
	socklen_t length;
	char shown[160]; /* as the user wrote it, escaped */
};
/* "HOST:PORT", "[V6]:PORT" or "/PATH" (a Unix socket). */
must_check int target_parse(const char *text, struct target *ret, struct error *reterr);

struct load;
/* What to say to the server: one a protocol. */
struct dialect {
	const char *name;
	const struct reply_protocol *replies;
	void (*add_request)(struct load *l, struct strbuf *out);
	void (*add_ping)(struct strbuf *out);				    /* NULL: none */
	void (*add_fill)(struct load *l, uint64_t key, struct strbuf *out); /* NULL: none */
};
extern const struct dialect dialect_resp, dialect_http;

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_UP };

/* Requests not answered yet, oldest first, by the instant they were meant to be sent. */
struct pending {
	uint64_t *intended_ns;
	uint32_t head, count, cap; /* cap is a power of two */
};
#define PENDING_MAX (1u << 16) /* per connection; beyond it requests are counted as not sent */

struct conn {
	int fd;
	enum conn_state state;
	bool dirty, wants_write;
	uint64_t retry_ns;
	uint64_t answered; /* replies on this connection */
	struct pending pending;
	uint32_t unflushed; /* the newest of them are only in `out` */
	struct strbuf out;
	size_t out_sent;
	struct reply_parser parser;
};

/* Of requests intended after the warm-up. */
struct load_counts {
	uint64_t intended, sent, replies, misses;
	uint64_t reply_errors; /* the server refused */
	uint64_t lost;	       /* sent, and the connection broke */
	uint64_t not_sent;     /* no connection was up, or all had PENDING_MAX waiting */
	uint64_t unanswered;   /* still waiting when the drain ended */
	uint64_t connect_errors, reconnects;
};

struct load_series {
	struct hist *latency, *lag;
	struct load_counts counts;
};

struct load {
	const struct load_options *o;
	const struct dialect *dialect;
	const struct target *target;
	struct arrival arrival;
	uint64_t random;
	char *value; /* o->value_bytes of filler */
	int epoll_fd, feed_fd;
	struct conn *conns;
	size_t next_conn;
	uint64_t start_ns, measure_ns, end_ns, stop_ns; /* stop: really stopped sending */
	struct load_series total, interval;
	struct load_series quiet; /* of the intervals in which its own lag p99 <= lag_max_ns */
	uint64_t quiet_intervals;
	uint64_t interval_start_ns;
	json_t *intervals;
	unsigned int barren; /* connections in a row that closed without any reply */
	char last_error[160];
};

/* load-conn.c: connections. All must_check errors are fatal for the run. */
must_check int conns_open(struct load *l, struct error *reterr);
void conns_close(struct load *l);
/* Queue one request meant for intended_ns on some connection that is up. */
void conns_request(struct load *l, uint64_t intended_ns);
void conns_flush(struct load *l);
must_check int conn_ready(struct load *l, struct conn *c, uint32_t events, struct error *reterr);
/* Reconnect what is down and due; returns when to look again. */
uint64_t conns_retry(struct load *l, uint64_t now_ns);
uint64_t conns_pending(const struct load *l);

/* load-ready.c: before the run, blocking: wait for the server, ping it, fill in the keys. */
must_check int load_ready(struct load *l, struct error *reterr);
must_check int target_connect(const struct target *t, bool nonblocking);

/* load-report.c */
must_check int series_init(struct load_series *s);
void series_done(struct load_series *s);
must_check int load_interval(struct load *l, uint64_t now_ns, struct error *reterr);
json_t *load_result(struct load *l, uint64_t now_ns);
void load_print(const json_t *result);

/* load-feed.c: czd's feed socket. */
#define FEED_DATAGRAM_MAX 8192
must_check int feed_open(const char *path, struct error *reterr);
/* The datagram for one interval's latencies: at most FEED_DATAGRAM_MAX bytes, "" if there are none.
 */
void feed_format(const struct hist *h, const char *zone, struct strbuf *out);
void feed_send(int fd, const struct hist *h, const char *zone);

/* load-run.c */
must_check int load_run(struct load *l, struct error *reterr);
