/* SPDX-License-Identifier: MIT */
/*
 * A connection to czd (docs/protocol.md) that never blocks: requests queue, answers come by
 * callback. It connects on first use and again after a failure, with growing pauses. Whatever czd
 * sends is data: lines are bounded, nothing but JSON objects is taken.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "base/error.h"

#define CZD_ANSWER_MAX	(64u << 20) /* bytes of one line */
#define CZD_PENDING_MAX 64	    /* requests of one connection that wait for their answer */
#define CZD_PATIENCE_NS 5000000000ull

struct czd;
/* `data` is borrowed; NULL: it failed, and `why` says how (its code is -errno). */
typedef void (*czd_answer)(json_t *data, const struct error *why, void *arg);

/* patience_ns: for one answer. path is borrowed. */
must_check int czd_new(sd_event *loop, const char *path, uint64_t patience_ns, struct czd **ret);
void czd_free(struct czd *c); /* what is pending fails with -ECANCELED */
/*
 * Consumes args (NULL, what json_pack makes of bad UTF-8, is refused). The callback is called
 * exactly once, later, or at once when czd is away or too much is pending.
 */
void czd_call(struct czd *c, const char *verb, json_t *args, czd_answer answer, void *arg);
bool czd_is_connected(const struct czd *c);

struct czd_stats {
	uint64_t calls_total, failed_total, connects_total, bytes_total;
};
struct czd_stats czd_stats(const struct czd *c);

/* One answer line: its `data` (a new reference), or NULL and why. *ret_id is whose it is. */
json_t *czd_parse(const char *line, size_t len, int64_t *ret_id, struct error *reterr);
