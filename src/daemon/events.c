/* SPDX-License-Identifier: MIT */
#include "daemon/events.h"

#include <stdio.h>
#include "base/str.h"

static const char *const kind_names[] = {"zone", "finding", "action", "mode", "ledger", "daemon"};

const char *event_kind_name(enum event_kind k)
{
	return kind_names[k];
}

void events_add(struct events *ev, uint64_t real_ns, enum event_kind kind, const char *zone,
		uint64_t ref, const char *fmt, ...)
{
	struct event *e = &ev->ring[++ev->last_seq % EVENTS_MAX];
	va_list ap;

	*e = (struct event){.seq = ev->last_seq, .real_ns = real_ns, .kind = kind, .ref = ref};
	str_copy(e->zone, sizeof(e->zone), zone ? zone : "");
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (ev->on_event)
		ev->on_event(e, ev->arg);
}

uint64_t events_first_after(const struct events *ev, uint64_t since)
{
	uint64_t oldest = ev->last_seq > EVENTS_MAX ? ev->last_seq - EVENTS_MAX + 1 : 1;

	if (since >= ev->last_seq)
		return 0;
	return since + 1 > oldest ? since + 1 : oldest;
}

const struct event *events_get(const struct events *ev, uint64_t seq)
{
	const struct event *e = &ev->ring[seq % EVENTS_MAX];

	return seq && e->seq == seq ? e : NULL;
}
