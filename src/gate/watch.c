/* SPDX-License-Identifier: MIT */
/*
 * Follows czd: asks for the snapshot a moment after it is due, so that each is seen once and soon.
 * Then for the events since, and for findings and actions when an event says that they changed.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "gate/gate.h"
#include "gate/history.h"

#define MS_NS	      1000000ull
#define AFTER_NS      (20 * MS_NS)  /* a tick ends a moment after it began */
#define AGAIN_NS      (100 * MS_NS) /* it was not there yet */
#define AWAY_NS	      (1000 * MS_NS)
#define WINDOW_MAX_NS (10000 * MS_NS)

struct watch {
	struct gate *gate;
	sd_event_source *timer;
	uint64_t run, event_seq; /* of czd, and its latest event that was told of */
	bool told_away;
};

static void ask_snapshot(struct watch *w);

static void again_at(struct watch *w, uint64_t at_ns)
{
	sd_event_source_set_time(w->timer, at_ns / 1000);
	sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void on_rows(json_t *data, const struct error *why, void *arg)
{
	struct watch *w = arg;

	if (data) {
		stream_rows(w->gate->stream, data);
		history_rows(w->gate->history, data);
	}
}

static void on_events(json_t *data, const struct error *why, void *arg)
{
	struct watch *w = arg;
	struct gate *g = w->gate;
	bool findings = false, actions = false;
	json_t *event;
	size_t i;

	json_array_foreach(json_object_get(data, "events"), i, event)
	{
		const char *kind = json_string_value(json_object_get(event, "kind"));

		w->event_seq = (uint64_t)json_integer_value(json_object_get(event, "seq"));
		findings |= kind && !strcmp(kind, "finding");
		actions |= kind && !strcmp(kind, "action");
		stream_event(g->stream, event);
		history_event(g->history, event);
	}
	if (findings)
		czd_call(g->watch, "findings", json_pack("{s:b}", "all", 1), on_rows, w);
	if (actions)
		czd_call(g->watch, "actions", json_pack("{s:b}", "all", 1), on_rows, w);
}

static void ask_events(struct watch *w)
{
	if (w->run != w->gate->view.run)
		w->event_seq = 0; /* another czd: it numbers anew */
	w->run = w->gate->view.run;
	if (w->event_seq == w->gate->view.event_seq)
		return;
	czd_call(w->gate->watch, "events", json_pack("{s:I}", "since", (json_int_t)w->event_seq),
		 on_events, w);
}

static void on_away(struct watch *w, const struct error *why)
{
	if (!w->told_away)
		log_warn("%s", why->msg);
	w->told_away = true;
	view_reset(&w->gate->view);
	gate_on_snapshot(w->gate);
	again_at(w, clock_mono_ns() + AWAY_NS);
}

static void on_snapshot(json_t *data, const struct error *why, void *arg)
{
	struct watch *w = arg;
	struct view *v = &w->gate->view;
	uint64_t now_ns = clock_mono_ns(), due_ns;
	struct error e = {0};
	int r = data ? view_take(v, data, &e) : -1;

	if (r < 0) {
		on_away(w, data ? &e : why);
		return;
	}
	if (w->told_away)
		log_notice("czd is there again");
	w->told_away = false;
	if (r > 0)
		gate_on_snapshot(w->gate);
	due_ns =
	    v->now_ns + (v->window_ns < WINDOW_MAX_NS ? v->window_ns : WINDOW_MAX_NS) + AFTER_NS;
	again_at(w, due_ns > now_ns + AGAIN_NS ? due_ns : now_ns + AGAIN_NS);
	ask_events(w);
}

static void ask_snapshot(struct watch *w)
{
	czd_call(w->gate->watch, "snapshot", view_question(&w->gate->view), on_snapshot, w);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *arg)
{
	ask_snapshot(arg);
	return 0;
}

int watch_new(struct gate *g, struct watch **ret)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->gate = g;
	r = sd_event_add_time(g->loop, &w->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, w);
	if (r < 0) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->timer);
	free(w);
}
