/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events: `snapshot` once a tick, `event` for each event of czd, `findings` and
 * `actions` when they changed. A listener that does not read is left behind, and let go.
 */
#pragma once
#include <jansson.h>
#include "gate/http.h"

#define STREAM_LISTENERS_MAX 64
#define STREAM_PENDING_MAX   (1u << 20) /* bytes that one has not read */

struct stream;
must_check int stream_new(struct gate *g, struct stream **ret);
void stream_end(struct stream *s);  /* lets all listeners go; the HTTP side ends next */
void stream_free(struct stream *s); /* after the HTTP side ended */
void stream_serve(struct request *r);
/* The new view; nothing is made when nobody listens. */
void stream_snapshot(struct stream *s);
void stream_event(struct stream *s, const json_t *event);
/* An answer of czd with `findings` or `actions`. */
void stream_rows(struct stream *s, const json_t *data);
size_t stream_listeners(const struct stream *s);
uint64_t stream_dropped_total(const struct stream *s);
/* What `snapshot` tells (a new reference): the host, the ledgers, the busiest zones. */
json_t *stream_view(const struct gate *g);
