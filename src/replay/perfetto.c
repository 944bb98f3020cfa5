/* SPDX-License-Identifier: MIT */
#include "replay/perfetto.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/str.h"

#define SERIES_MAX 12 /* of one zone's waiting; what is left is "others" */
#define OPEN_MAX   512

/* A zone that has a track. */
struct track {
	uint64_t id;
	int pid;	/* in the trace */
	bool busy;	/* its CPU counter is not at 0 */
	json_t *series; /* names of the counters of its waiting that are not at 0 */
};

/* A slice that has begun. */
struct open_slice {
	char category; /* 'f' finding, 'a' action */
	uint64_t seq;
	int pid;
};

struct trace {
	FILE *out;
	bool failed, any;
	uint64_t now_ns;
	struct hash tracks; /* zone id -> struct track */
	int nr_tracks;
	size_t nr_open;
	struct open_slice open[OPEN_MAX];
};

/* Takes event. */
static void put(struct trace *t, json_t *event)
{
	fputs(t->any ? ",\n" : "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", t->out);
	t->any = true;
	if (!event || json_dumpf(event, t->out, JSON_COMPACT) < 0)
		t->failed = true;
	json_decref(event);
}

static json_t *text(const char *s)
{
	char safe[REPLAY_TEXT_MAX];

	return json_string(str_escape(safe, sizeof(safe), s));
}

/* Microseconds, as the format has them. */
static json_t *stamp(uint64_t ns)
{
	return json_real((double)ns / 1000.0);
}

int trace_new(FILE *out, struct trace **ret)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->out = out;
	*ret = t;
	return 0;
}

static struct track *track_get(struct trace *t, uint64_t id, const char *name, const char *class)
{
	struct track *k = hash_get(&t->tracks, id);
	char shown[ZONE_NAME_MAX + 32];

	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k || hash_put(&t->tracks, id, k) < 0) {
		free(k);
		t->failed = true;
		return NULL;
	}
	k->id = id;
	k->pid = ++t->nr_tracks;
	k->series = json_object();
	snprintf(shown, sizeof(shown), "%s%s%s%s", name, class ? " (" : "", class ? class : "",
		 class ? ")" : "");
	put(t, json_pack("{s:s,s:s,s:i,s:{s:o}}", "ph", "M", "name", "process_name", "pid", k->pid,
			 "args", "name", text(shown)));
	return k;
}

/* Takes args; a counter stands at these values from then on. */
static void counter(struct trace *t, const struct track *k, const char *name, uint64_t at_ns,
		    json_t *args)
{
	put(t, json_pack("{s:s,s:s,s:i,s:o,s:o}", "ph", "C", "name", name, "pid", k->pid, "ts",
			 stamp(at_ns), "args", args));
}

static double ms_per_s(uint64_t ns, uint64_t window_ns)
{
	return window_ns ? (double)ns * 1e3 / (double)window_ns : 0;
}

static void add_to(json_t *series, const char *name, double value)
{
	char safe[ZONE_NAME_MAX * 2];
	double had;

	str_escape(safe, sizeof(safe), name);
	had = json_real_value(json_object_get(series, safe));
	json_object_set_new(series, safe, json_real(had + value));
}

static const char *part_name(const struct snapshot *s, const struct ledger_part *p)
{
	if (p->cause != CAUSE_NEIGHBOUR)
		return cause_name(p->cause);
	return p->zone < s->nr_zones ? s->zones[p->zone].name : "(gone)";
}

/* Names that were told and are not there any more go to 0, once. */
static void drop_to_zero(struct track *k, json_t *now)
{
	const char *name;
	json_t *was;

	json_object_foreach(k->series, name, was)
	{
		if (json_real_value(was) > 0 && !json_object_get(now, name))
			json_object_set_new(now, name, json_real(0));
	}
	json_decref(k->series);
	k->series = json_incref(now);
}

static void tick_ledger(struct trace *t, const struct snapshot *s, const struct ledger_view *l)
{
	const struct zone_view *z = &s->zones[l->zone];
	struct track *k = track_get(t, z->id, z->name, zone_class_name(z->class));
	json_t *series = json_object();
	uint64_t from_ns = s->now_ns > l->window_ns ? s->now_ns - l->window_ns : 0;

	if (l->estimated)
		add_to(series, "not attributed", ms_per_s(l->wait_ns, l->window_ns));
	for (size_t i = 0; i < l->nr_parts && !l->estimated; i++)
		add_to(series,
		       i < SERIES_MAX || l->parts[i].cause != CAUSE_NEIGHBOUR
			   ? part_name(s, &l->parts[i])
			   : "others",
		       ms_per_s(l->parts[i].ns, l->window_ns));
	if (!k) {
		json_decref(series);
		return;
	}
	drop_to_zero(k, series);
	if (json_object_size(series))
		counter(t, k, "waits behind, ms/s", from_ns, series);
	else
		json_decref(series);
	if (l->waits)
		counter(t, k, "wait p99, ms", from_ns,
			json_pack("{s:f}", "p99", (double)l->wait_p99_ns / 1e6));
}

/* Zones that never ran have no track. */
static void tick_cpu(struct trace *t, const struct snapshot *s, const struct zone_view *z)
{
	uint64_t ns = z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS) ? z->delta[ZM_CPU_USAGE_NS] : 0;
	struct track *k = hash_get(&t->tracks, z->id);

	if (!ns && (!k || !k->busy))
		return;
	k = track_get(t, z->id, z->name, zone_class_name(z->class));
	if (!k)
		return;
	k->busy = ns;
	counter(t, k, "CPU, ms/s", s->now_ns > s->window_ns ? s->now_ns - s->window_ns : 0,
		json_pack("{s:f}", "cpu", ms_per_s(ns, s->window_ns)));
}

void trace_tick(struct trace *t, const struct snapshot *s)
{
	t->now_ns = s->now_ns;
	for (size_t i = 0; i < s->nr_zones; i++)
		tick_cpu(t, s, &s->zones[i]);
	for (size_t i = 0; i < s->nr_ledgers; i++)
		tick_ledger(t, s, &s->ledgers[i]);
}

void trace_event(struct trace *t, const struct fast_event *e)
{
	const struct track *k = hash_get(&t->tracks, e->victim_id);

	if (k)
		put(t, json_pack("{s:s,s:s,s:i,s:i,s:s,s:o,s:{s:f,s:o}}", "ph", "i", "name",
				 "fast event", "pid", k->pid, "tid", 0, "s", "p", "ts",
				 stamp(e->now_ns), "args", "waited_ms", (double)e->foreign_ns / 1e6,
				 "comm", text(e->comm)));
}

static struct open_slice *find_open(struct trace *t, char category, uint64_t seq)
{
	for (size_t i = 0; i < t->nr_open; i++)
		if (t->open[i].category == category && t->open[i].seq == seq)
			return &t->open[i];
	return NULL;
}

/* Async slices: they may overlap on one track. */
static void put_edge(struct trace *t, const char *phase, const struct open_slice *o,
		     const char *name, uint64_t at_ns, const char *told)
{
	char id[32];

	snprintf(id, sizeof(id), "%c%llu", o->category, (unsigned long long)o->seq);
	put(t, json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:o,s:{s:o}}", "ph", phase, "cat",
			 o->category == 'f' ? "finding" : "action", "id", id, "name", name, "pid",
			 o->pid, "tid", 0, "ts", stamp(at_ns), "args", "told", text(told)));
}

static void slice(struct trace *t, const struct open_slice *want, const char *name, bool is_open,
		  uint64_t from_ns, const struct replay_line *l)
{
	struct open_slice *o = find_open(t, want->category, want->seq);

	if (!o && is_open && t->nr_open < OPEN_MAX) {
		t->open[t->nr_open] = *want;
		put_edge(t, "b", &t->open[t->nr_open++], name, from_ns, l->text);
	} else if (o && is_open) {
		put_edge(t, "n", o, name, l->now_ns, l->text);
	} else if (o) {
		put_edge(t, "e", o, name, l->now_ns, l->text);
		*o = t->open[--t->nr_open];
	}
}

void trace_line(struct trace *t, const struct replay_line *l)
{
	char name[NEWS_TEXT_MAX], safe[NEWS_TEXT_MAX];
	const struct finding *f = &l->finding;
	const struct action *a = &l->action;
	struct track *k;

	if (l->side == SIDE_RECORDING)
		return;
	if (l->kind == REPLAY_FINDING) {
		k = track_get(t, f->victim_id, f->victim_name, NULL);
		snprintf(name, sizeof(name), "%s: %s%s%s", resource_name(f->resource),
			 cause_name(f->cause), f->nr_culprits ? " " : "",
			 f->nr_culprits ? f->culprits[0].name : "");
		if (k)
			slice(t, &(struct open_slice){'f', f->seq, k->pid},
			      str_escape(safe, sizeof(safe), name), f->open, f->since_ns, l);
	} else if (l->kind == REPLAY_ACTION) {
		k = track_get(t, a->target_id, a->target_name, NULL);
		snprintf(name, sizeof(name), "%s = %.64s for %s", knob_name(a->knob), a->to,
			 a->victim_name);
		if (k)
			slice(t, &(struct open_slice){'a', a->seq, k->pid},
			      str_escape(safe, sizeof(safe), name),
			      a->state == ACTION_APPLIED || a->state == ACTION_KEPT, a->written_ns,
			      l);
	}
}

int trace_end(struct trace *t)
{
	int err;

	for (size_t i = 0; i < t->nr_open; i++)
		put_edge(t, "e", &t->open[i], "", t->now_ns, "still so at the end");
	fputs(t->any ? "\n]}\n" : "{\"traceEvents\":[]}\n", t->out);
	hash_for_each(&t->tracks, e) {
		json_decref(((struct track *)e->value)->series);
		free(e->value);
	}
	hash_done(&t->tracks);
	err = t->failed ? -EIO : fflush(t->out) || ferror(t->out) ? -errno : 0;
	free(t);
	return err;
}
