/* SPDX-License-Identifier: MIT */
#include "model/lifecycle.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "model/zone-fields.h"

static const char *const names[ZS_NR] = {
    [ZS_PENDING] = "pending", [ZS_CREATED] = "created", [ZS_RUNNING] = "running",
    [ZS_STOPPED] = "stopped", [ZS_ZOMBIED] = "zombied", [ZS_ERROR] = "error",
};

#define TO(state) (1u << (state))
static const unsigned int legal[ZS_NR] = {
    [ZS_PENDING] = TO(ZS_CREATED),
    [ZS_CREATED] = TO(ZS_RUNNING) | TO(ZS_ZOMBIED),
    [ZS_RUNNING] = TO(ZS_STOPPED) | TO(ZS_ERROR),
    [ZS_STOPPED] = TO(ZS_RUNNING) | TO(ZS_ZOMBIED),
    [ZS_ZOMBIED] = 0,
    [ZS_ERROR] = TO(ZS_RUNNING) | TO(ZS_STOPPED),
};

/* The first step of the way that may be asked for. No way leads through running: nothing is started
 * only to be stopped. */
#define NONE ZS_NR
static const enum zone_state first_step[ZS_NR][ZS_NR] = {
    /* to:         pending  created     running     stopped     zombied     error */
    [ZS_PENDING] = {NONE, ZS_CREATED, ZS_CREATED, NONE, ZS_CREATED, NONE},
    [ZS_CREATED] = {NONE, NONE, ZS_RUNNING, NONE, ZS_ZOMBIED, NONE},
    [ZS_RUNNING] = {NONE, NONE, NONE, ZS_STOPPED, ZS_STOPPED, NONE},
    [ZS_STOPPED] = {NONE, NONE, ZS_RUNNING, NONE, ZS_ZOMBIED, NONE},
    [ZS_ZOMBIED] = {NONE, NONE, NONE, NONE, NONE, NONE},
    [ZS_ERROR] = {NONE, NONE, ZS_RUNNING, ZS_STOPPED, ZS_STOPPED, NONE},
};

const char *zone_state_name(enum zone_state s)
{
	return s < ZS_NR ? names[s] : "?";
}

int zone_state_parse(const char *s, enum zone_state *ret)
{
	for (enum zone_state i = 0; i < ZS_NR; i++) {
		if (!strcmp(names[i], s)) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

bool zone_step_legal(enum zone_state from, enum zone_state to)
{
	return from < ZS_NR && to < ZS_NR && (legal[from] & TO(to));
}

static const char *why_not(enum zone_state from, enum zone_state to)
{
	if (to == ZS_ERROR)
		return "error is what becomes of a zone whose guest dies; it cannot be asked for";
	if (from == ZS_ZOMBIED)
		return "it was removed: apply it anew";
	if (to == ZS_PENDING)
		return "only a zone that was never applied is pending";
	if (to == ZS_CREATED)
		return "it was created before: stop it instead";
	return "it was never started: there is nothing to stop";
}

int zone_steps(enum zone_state from, enum zone_state to, enum zone_state ret[ZONE_STEPS_MAX],
	       size_t *ret_nr, struct error *reterr)
{
	size_t nr = 0;

	if (from >= ZS_NR || to >= ZS_NR)
		return error_set(reterr, -EINVAL, "no such state of a zone");
	if (from != to && first_step[from][to] == NONE)
		return error_set(reterr, -EPERM, "a zone that is %s cannot become %s: %s",
				 names[from], names[to], why_not(from, to));
	for (enum zone_state at = from; at != to; nr++)
		ret[nr] = at = first_step[at][to];
	*ret_nr = nr;
	return 0;
}

struct diff {
	struct zone_change *changes;
	size_t max, nr;
	enum zone_update strictest;
};

static void add_change(struct diff *d, enum zone_update needs, const char *field, const char *from,
		       const char *to)
{
	struct zone_change *c;

	if (needs > d->strictest)
		d->strictest = needs;
	if (d->nr++ >= d->max)
		return;
	c = &d->changes[d->nr - 1];
	c->needs = needs;
	str_escape(c->field, sizeof(c->field), field);
	str_escape(c->from, sizeof(c->from), from);
	str_escape(c->to, sizeof(c->to), to);
}

static void diff_value(struct diff *d, const struct zone_field *f, const char *path,
		       const void *now, const void *wanted)
{
	_cleanup_(strbuf_done) struct strbuf a = {0}, b = {0};
	const char *unset = f->fallback ? f->fallback : "-";

	zone_field_format(f, now, &a);
	zone_field_format(f, wanted, &b);
	if (a.failed || b.failed) /* not known: as if it were another */
		add_change(d, f->change, path, "?", "?");
	else if (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len)))
		add_change(d, f->change, path, a.len ? a.data : unset, b.len ? b.data : unset);
}

static void diff_fields(struct diff *d, const struct zone_field *fields, const char *path,
			const void *now, const void *wanted);

static const struct zone_app *find_app(const struct zone_spec *s, const char *name)
{
	for (size_t i = 0; i < s->nr_apps; i++)
		if (!strcmp(s->apps[i].name, name))
			return &s->apps[i];
	return NULL;
}

/* Apps are the same when their names are, whatever their order. */
static void diff_apps(struct diff *d, const struct zone_field *f, const struct zone_spec *now,
		      const struct zone_spec *wanted)
{
	char path[64];

	for (size_t i = 0; i < now->nr_apps; i++) {
		const struct zone_app *app = &now->apps[i], *then = find_app(wanted, app->name);

		snprintf(path, sizeof(path), "%s.%s", f->key, app->name);
		if (then)
			diff_fields(d, f->sub, path, app, then);
		else
			add_change(d, f->change, path, "there", "removed");
	}
	for (size_t i = 0; i < wanted->nr_apps; i++) {
		snprintf(path, sizeof(path), "%s.%s", f->key, wanted->apps[i].name);
		if (!find_app(now, wanted->apps[i].name))
			add_change(d, f->change, path, "not there", "added");
	}
}

static void diff_fields(struct diff *d, const struct zone_field *fields, const char *path,
			const void *now, const void *wanted)
{
	char longer[64];

	for (const struct zone_field *f = fields; f->key; f++) {
		snprintf(longer, sizeof(longer), "%s%s%s", path, path[0] ? "." : "", f->key);
		if (f->type == FIELD_SECTION)
			diff_fields(d, f->sub, longer, now, wanted);
		else if (f->type == FIELD_APPS)
			diff_apps(d, f, now, wanted);
		else
			diff_value(d, f, longer, now, wanted);
	}
}

/* A shallow copy in which what the user left to us is said. */
static struct zone_spec resolved(const struct zone_spec *s)
{
	struct zone_spec copy = *s;

	if (s->runtime == RUNTIME_VM) {
		copy.resource.vcpus = zone_spec_vcpus(s);
		copy.resource.vcpus_max = zone_spec_vcpus_max(s);
		copy.resource.memory_bytes = zone_spec_memory(s);
		copy.resource.memory_max_bytes = zone_spec_memory_max(s);
	}
	return copy;
}

enum zone_update zone_diff(const struct zone_spec *now, const struct zone_spec *wanted,
			   struct zone_change *ret, size_t max, size_t *ret_nr)
{
	struct zone_spec a = resolved(now), b = resolved(wanted);
	struct diff d = {.changes = ret, .max = max};

	/* a maximum that nobody set follows its value upwards only: less needs no reboot */
	if (!wanted->resource.vcpus_max && b.resource.vcpus_max < a.resource.vcpus_max)
		b.resource.vcpus_max = a.resource.vcpus_max;
	if (!wanted->resource.memory_max_bytes &&
	    b.resource.memory_max_bytes < a.resource.memory_max_bytes)
		b.resource.memory_max_bytes = a.resource.memory_max_bytes;
	diff_fields(&d, zone_fields, "", &a, &b);
	*ret_nr = d.nr;
	return d.strictest;
}
