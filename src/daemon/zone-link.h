/* SPDX-License-Identifier: MIT */
/*
 * czd's end of a zone's link.sock. Never blocks: connecting, sending and reading go through the
 * event loop. Requests have deadlines; an answer that comes late is dropped by its id. More than
 * ZONE_LINK_LINES lines a second are dropped and counted, less answers that are waited for; a line
 * that is too long or nonsense three times in a row closes the link.
 */
#pragma once
#include <jansson.h>
#include <systemd/sd-event.h>
#include "daemon/zone-msg.h"

#define ZONE_LINK_LINES	   100 /* a second */
#define ZONE_LINK_REQUESTS 16  /* open at a time */

struct zone_link;
struct zone_link_handler {
	/* state, stats, notice; valid during the call */
	void (*on_event)(const struct zone_msg *m, void *arg);
	void (*on_close)(const char *why, void *arg); /* the link is gone: free it, try again */
	void *arg;
};
/* m NULL: no answer, `code` says why (-ETIMEDOUT, -ECONNRESET). Called exactly once a request. */
typedef void (*zone_link_answer)(const struct zone_msg *m, int code, void *arg);

/* -ENOENT, -ECONNREFUSED: it does not listen (yet). */
must_check int zone_link_open(sd_event *loop, const char *path, const struct zone_link_handler *h,
			      struct zone_link **ret);
void zone_link_free(struct zone_link *l); /* open requests are answered -ECONNRESET */
/* request is consumed; `do` and more; the id is added here. answer may be NULL. */
must_check int zone_link_ask(struct zone_link *l, json_t *request, uint64_t timeout_ns,
			     zone_link_answer answer, void *arg);

struct zone_link_counts {
	uint64_t lines_total, dropped_total, bad_total, late_total;
};
const struct zone_link_counts *zone_link_counts(const struct zone_link *l);
