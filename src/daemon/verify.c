/* SPDX-License-Identifier: MIT */
/*
 * `verify`: every knob of every zone is read and compared, a few zones a slice, and whoever asked
 * is answered at the end. One walk at a time: who asks during one is answered by the next, so that
 * nobody hears of a state from before the question.
 */
#include <string.h>
#include "daemon/api.h"
#include "daemon/shape.h"

#define ITEMS_MAX 100

static int on_difference(const struct difference *it, void *arg)
{
	struct daemon *d = arg;
	const struct zone *z = zones_by_id(d->zones, it->id);

	if (json_array_size(d->verify.items) < ITEMS_MAX)
		json_array_append_new(
		    d->verify.items,
		    json_pack("{s:o,s:o,s:s,s:s,s:o,s:o,s:b,s:o}", "zone",
			      shape_text(z ? z->name : it->path), "path", shape_text(it->path),
			      "knob", knob_name(it->knob), "file", it->file, "found",
			      shape_text(it->found), "now", shape_text(it->now), "held",
			      it->held_by != 0, "held_by", shape_known(it->held_by, it->held_by)));
	return 0;
}

static int walk_start(struct daemon *d)
{
	d->verify.report = (struct verify_report){0};
	d->verify.items = json_array();
	d->verify.ticket++;
	return verify_walk_new(d->baseline, &d->verify.walk);
}

static void walk_end(struct daemon *d)
{
	verify_walk_free(d->verify.walk);
	d->verify.walk = NULL;
	json_decref(d->verify.items);
	d->verify.items = NULL;
}

json_t *api_verify(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	int r = d->baseline ? 0 : -EOPNOTSUPP;

	if (r == 0 && d->verify.walk) {
		server_wait(d->server, c->peer->client, d->verify.ticket + 1);
		return NULL;
	}
	if (r == 0)
		r = walk_start(d);
	if (r < 0) {
		walk_end(d);
		error_errno(reterr, r, "compare the host's knobs with what czd found");
		return NULL;
	}
	server_wait(d->server, c->peer->client, d->verify.ticket);
	pipeline_slice_soon(d);
	return NULL;
}

static void answer(struct daemon *d, int r)
{
	const struct verify_report *rep = &d->verify.report;
	struct error e = {0};
	json_t *data = NULL;

	if (r == 0)
		data = json_pack("{s:I,s:I,s:I,s:b,s:O}", "checked", (json_int_t)rep->checked,
				 "differing", (json_int_t)rep->differing, "held",
				 (json_int_t)rep->held, "unchanged", rep->differing == 0, "items",
				 d->verify.items);
	if (!data)
		error_errno(&e, r < 0 ? r : -ENOMEM,
			    "compare the host's knobs with what czd found");
	server_answer(d->server, d->verify.ticket, data, &e);
	json_decref(data);
}

bool verify_step(struct daemon *d, uint32_t max_zones)
{
	int r;

	if (!d->verify.walk)
		return false;
	r = server_is_awaited(d->server, d->verify.ticket)
		? verify_walk_step(d->verify.walk, d->actuator, max_zones, on_difference, d,
				   &d->verify.report)
		: 0;
	if (r > 0)
		return true;
	answer(d, r);
	walk_end(d);
	if (!server_is_awaited(d->server, d->verify.ticket + 1))
		return false;
	r = walk_start(d);
	if (r < 0) {
		answer(d, r);
		walk_end(d);
	}
	return r == 0;
}

void verify_done(struct daemon *d)
{
	walk_end(d);
}
