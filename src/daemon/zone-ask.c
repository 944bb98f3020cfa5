/* SPDX-License-Identifier: MIT */
/* The verbs of zones whose answer comes later: from the zone's supervisor, or its guest. */
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "daemon/api.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"

#define LOAD_ASK_NS  30000000000ull /* a policy has to be verified */
#define GUEST_ASK_NS 8000000000ull
#define TICKETS	     (1ull << 32) /* those of verify are below */

struct waiting {
	struct daemon *d;
	uint64_t ticket;
	char name[ZONE_SPEC_NAME_MAX + 1];
};

static json_t *shape_answer(const struct zone_msg *m)
{
	json_t *stats = json_object();

	for (size_t i = 0; i < m->nr_numbers; i++)
		json_object_set_new(stats, m->numbers[i].name, json_integer(m->numbers[i].value));
	return json_pack("{s:s,s:o,s:o,s:s,s:o}", "policy", m->policy, "switch_ms",
			 shape_known(m->switch_ms >= 0, (uint64_t)m->switch_ms), "stats", stats,
			 "class", m->task_class, "priority",
			 shape_known(m->priority >= 0, (uint64_t)m->priority));
}

static void on_answer(const struct zone_msg *m, int code, void *arg)
{
	struct waiting *w = arg;
	struct error e = {0};
	json_t *data = m && m->ok ? shape_answer(m) : NULL;

	if (m && !m->ok)
		error_set(&e, -EIO, "zone %s: %s", w->name, m->error_message);
	else if (!m)
		error_errno(&e, code, "zone %s has not answered", w->name);
	server_answer(w->d->server, w->ticket, data, &e);
	json_decref(data);
	free(w);
}

/* request is consumed. NULL: either reterr says why, or the answer comes later. */
static json_t *ask_zone(const struct api_call *c, struct applied *z, json_t *request,
			struct error *reterr)
{
	bool loads = !strcmp(json_string_value(json_object_get(request, "do")), "sched");
	struct waiting *w = NULL;
	int r = -ENOTCONN;

	if (z->silent_ns) {
		json_decref(request);
		error_set(reterr, -ETIMEDOUT, "zone %s cannot be asked: no heartbeat for %llu s",
			  z->name, (unsigned long long)z->silent_ns / 1000000000);
		error_hint(reterr, "czctl stop --grace 0 %s ends it", z->name);
		return NULL;
	}
	if (z->link) {
		w = calloc(1, sizeof(*w));
		r = -ENOMEM;
	}
	if (!w) {
		json_decref(request);
		error_set(reterr, r, "zone %s is %s: it cannot be asked now", z->name,
			  zone_state_name(z->rec.state));
		error_hint(reterr, "czctl start %s", z->name);
		return NULL;
	}
	*w = (struct waiting){.d = c->d, .ticket = TICKETS + ++z->m->last_ticket};
	str_copy(w->name, sizeof(w->name), z->name);
	r = zone_link_ask(z->link, request, loads ? LOAD_ASK_NS : GUEST_ASK_NS, on_answer, w);
	if (r < 0) {
		free(w);
		error_errno(reterr, r, "ask zone %s", z->name);
		return NULL;
	}
	server_wait(c->d->server, c->peer->client, w->ticket);
	return NULL;
}

json_t *api_zone_app(const struct api_call *c, struct error *reterr)
{
	struct applied *z = arg_applied(c, reterr);
	const char *app = NULL, *op = NULL;

	if (!z || arg_text(c, "app", &app, reterr) < 0 || arg_text(c, "op", &op, reterr) < 0)
		return NULL;
	if (!app || !op) {
		error_set(reterr, -EINVAL, "arguments 'app' and 'op' are needed");
		return NULL;
	}
	return ask_zone(c, z, json_pack("{s:s,s:s,s:s}", "do", "app", "name", app, "op", op),
			reterr);
}

json_t *api_zone_sched(const struct api_call *c, struct error *reterr)
{
	struct applied *z = arg_applied(c, reterr);
	const char *op = NULL, *policy = NULL, *options = NULL, *set = NULL;
	uint64_t pid;
	bool full;

	if (!z || arg_text(c, "op", &op, reterr) < 0 ||
	    arg_text(c, "policy", &policy, reterr) < 0 ||
	    arg_text(c, "options", &options, reterr) < 0 || arg_text(c, "set", &set, reterr) < 0 ||
	    arg_bool(c, "full", &full, reterr) < 0 || arg_u64(c, "pid", &pid, reterr) < 0)
		return NULL;
	if (z->spec.runtime != RUNTIME_VM) {
		error_set(reterr, -EOPNOTSUPP, "zone %s is a cgroup: its scheduler is the host's",
			  z->name);
		error_hint(reterr, "a zone with runtime vm has a scheduler of its own");
		return NULL;
	}
	if (op && (!strcmp(op, "set") || !strcmp(op, "task")) && !c->peer->may_change) {
		error_set(reterr, -EPERM, "only root and group cz-admin may change a scheduler");
		return NULL;
	}
	if (op && !strcmp(op, "set") && policy)
		return ask_zone(c, z,
				json_pack("{s:s,s:s,s:s?,s:b}", "do", "sched", "policy", policy,
					  "options", options, "full", full),
				reterr);
	if (op && !strcmp(op, "task"))
		return ask_zone(c, z,
				json_pack("{s:s,s:I,s:s*}", "do", "sched-task", "pid",
					  (json_int_t)pid, "set", set),
				reterr);
	return ask_zone(c, z, json_pack("{s:s}", "do", "sched-stats"), reterr);
}
