/* SPDX-License-Identifier: MIT */
/* What happened, for people: a bounded ring of sentences with a sequence number. */
#pragma once
#include <stdint.h>
#include "base/error.h"

enum event_kind { EVENT_ZONE, EVENT_FINDING, EVENT_ACTION, EVENT_MODE, EVENT_LEDGER, EVENT_DAEMON };

#define EVENTS_MAX 1024
struct event {
	uint64_t seq, real_ns;
	enum event_kind kind;
	uint64_t ref; /* finding or action seq, 0 none */
	char zone[128];
	char text[256];
};
struct events {
	uint64_t last_seq; /* of the newest; 0: none yet */
	struct event ring[EVENTS_MAX];
	void (*on_event)(const struct event *e, void *arg); /* may be NULL */
	void *arg;
};
const char *event_kind_name(enum event_kind k);
void events_add(struct events *ev, uint64_t real_ns, enum event_kind kind, const char *zone,
		uint64_t ref, const char *fmt, ...) printf_like(6, 7);
/* Oldest kept seq > since, or 0. */
uint64_t events_first_after(const struct events *ev, uint64_t since);
const struct event *events_get(const struct events *ev, uint64_t seq); /* NULL: not kept */
