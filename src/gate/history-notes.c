/* SPDX-License-Identifier: MIT */
/* Findings, actions and events, as czd tells them. */
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "gate/history-internal.h"

#define REFRESH_NS 60000000000ull /* open findings and actions are looked at again */

/* czd numbers anew in each of its runs. */
static uint64_t run_number(const struct history *h)
{
	return (hash_string(h->boot) ^ hash_u64(h->gate->view.run)) >> 1;
}

static void note(struct history *h, enum store_note_kind kind, const json_t *row, uint64_t t_ns,
		 uint64_t end_ns)
{
	_cleanup_free_ char *body = json_dumps(row, JSON_COMPACT);
	struct store_note n = {.kind = kind,
			       .run = run_number(h),
			       .seq = view_number(row, "seq"),
			       .t_ms = t_ns / 1000000,
			       .end_ms = (end_ns > t_ns ? end_ns : t_ns) / 1000000,
			       .body = body};
	struct error e = {0};

	if (body && h->store && store_note(h->store, &n, &e) < 0)
		history_trouble(h, &e);
}

void history_event(struct history *h, const json_t *event)
{
	uint64_t t_ns = view_number(event, "real_ns");

	if (h)
		note(h, NOTE_EVENT, event, t_ns, t_ns);
}

static uint64_t real_of(const struct history *h, uint64_t mono_ns)
{
	const struct view *v = &h->gate->view;

	return mono_ns ? v->real_ns - v->now_ns + mono_ns : 0;
}

static void finding(struct history *h, const json_t *row)
{
	bool open = json_is_true(json_object_get(row, "open"));

	h->any_open |= open;
	note(h, NOTE_FINDING, row, real_of(h, view_number(row, "since_ns")),
	     open ? h->gate->view.real_ns : real_of(h, view_number(row, "last_ns")));
}

static bool is_in_force(const json_t *row)
{
	const char *state = json_string_value(json_object_get(row, "state"));

	return state &&
	       (!strcmp(state, "proposed") || !strcmp(state, "applied") || !strcmp(state, "kept"));
}

static void action(struct history *h, const json_t *row)
{
	uint64_t at_ns = view_number(row, "written_ns");
	bool open = is_in_force(row);

	h->any_open |= open;
	note(h, NOTE_ACTION, row, real_of(h, at_ns ? at_ns : view_number(row, "decided_ns")),
	     open ? h->gate->view.real_ns : real_of(h, view_number(row, "settled_ns")));
}

void history_rows(struct history *h, const json_t *data)
{
	const json_t *row;
	size_t i;

	if (!h || !data || !h->gate->view.known)
		return;
	json_array_foreach(json_object_get(data, "findings"), i, row) finding(h, row);
	json_array_foreach(json_object_get(data, "actions"), i, row) action(h, row);
}

static void on_open(json_t *data, const struct error *why, void *arg)
{
	struct history *h = arg;

	history_rows(h, data);
	h->any_open |= !data; /* not known: ask again */
}

void history_refresh(struct history *h)
{
	struct gate *g = h->gate;

	if (!h->any_open || h->now_ns < h->refresh_ns)
		return;
	h->refresh_ns = h->now_ns + REFRESH_NS;
	h->any_open = false;
	czd_call(g->watch, "findings", json_object(), on_open, h);
	czd_call(g->watch, "actions", json_object(), on_open, h);
}
