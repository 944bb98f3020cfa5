/* SPDX-License-Identifier: MIT */
/* The server side of link.sock: lines of JSON with czd (docs/zone-protocol.md). */
#pragma once
#include <stdbool.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "base/error.h"

#define LINK_LINE_MAX 65536
#define LINK_OUT_MAX  524288 /* answers; events only while half of it is free */

struct link;
/* The request is borrowed. Answers go out with link_answer(), now or later. */
typedef void (*link_request)(void *arg, json_int_t id, const char *what, const json_t *request);
/* Takes the listening socket on success. */
must_check int link_new(sd_event *loop, int listener, link_request request, void *arg,
			struct link **ret);
void link_free(struct link *l);
/* Takes fields (an object, or NULL). An answer to a client that has left goes nowhere. */
void link_answer(struct link *l, json_int_t id, json_t *fields);
void link_refuse(struct link *l, json_int_t id, json_t *fields, int code, const char *message);
void link_event(struct link *l, json_t *event); /* takes it */
/* Counts up with each client: what one asked is not answered to the next. */
uint64_t link_generation(const struct link *l);
/* Writes what is left, without waiting: for the last word. */
void link_flush(struct link *l);

/* The pure part: the next whole line of what came in. 1: *ret_line, *ret_len and *ret_used are set;
 * 0: not yet; -E2BIG: a line that is too long. */
must_check int link_next_line(const char *data, size_t len, const char **ret_line, size_t *ret_len,
			      size_t *ret_used);
