/* SPDX-License-Identifier: MIT */
#include "guest/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "guest/apply.h"
#include "guest/apps.h"
#include "guest/cpus.h"
#include "guest/policy.h"
#include "guest/stats.h"
#include "guest/task.h"

#define PROTOCOL_VERSION 1
#define GRACE_MAX_MS	 600000

static void send_json(struct guest *g, const json_t *j)
{
	_cleanup_free_ char *text = json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (!text || channel_write(g->ports[CHANNEL_CONTROL].channel, CHANNEL_MESSAGE, 0, text,
				   strlen(text)) < 0)
		stats_message_dropped(g);
	port_flush(&g->ports[CHANNEL_CONTROL]);
}

void control_ok(struct guest *g, json_int_t id, json_t *more)
{
	json_auto_t *j = json_pack("{s:I, s:b}", "id", id, "ok", 1);

	if (more) {
		json_object_update(j, more);
		json_decref(more);
	}
	send_json(g, j);
}

void control_error(struct guest *g, json_int_t id, const struct error *e)
{
	/* What is not valid UTF-8 in a message is packed as "?". */
	json_auto_t *message = json_string(e->msg);
	json_auto_t *j = json_pack("{s:I, s:b, s:{s:s, s:O}}", "id", id, "ok", 0, "error", "name",
				   error_name(e->code), "message", message ?: json_string("?"));

	send_json(g, j);
}

void control_event(struct guest *g, const char *event, json_t *more)
{
	json_auto_t *j = json_pack("{s:s}", "event", event);

	if (more) {
		json_object_update(j, more);
		json_decref(more);
	}
	send_json(g, j);
}

/* ---- requests: each answers at once, or remembers the id ---- */

static json_t *about(struct guest *g)
{
	struct utsname name = {0};

	uname(&name);
	return json_pack("{s:i, s:s, s:I, s:i, s:i, s:s}", "v", PROTOCOL_VERSION, "kernel",
			 name.release, "uptime_ms", (json_int_t)(g->loop.now_ns / 1000000), "cpus",
			 cpus_present(), "online", cpus_online(), "policy", policy_name(g));
}

static int do_hello(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	control_ok(g, id, about(g));
	return 0;
}

static int do_power_down(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	json_int_t grace_ms = json_integer_value(json_object_get(req, "grace_ms"));

	if (grace_ms < 0 || grace_ms > GRACE_MAX_MS)
		return error_set(reterr, -EINVAL, "grace_ms: 0 to %d", GRACE_MAX_MS);
	control_ok(g, id, NULL);
	guest_power_down(g, (uint64_t)grace_ms);
	return 0;
}

static int do_vcpus(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	json_int_t n = json_integer_value(json_object_get(req, "online"));
	int r;

	if (n < 1 || n > ZONE_VCPUS_MAX)
		return error_set(reterr, -EINVAL, "online: 1 to %d", ZONE_VCPUS_MAX);
	r = cpus_set_online((unsigned int)n, reterr);
	if (r == 0)
		control_ok(g, id, json_pack("{s:i}", "online", cpus_online()));
	return r;
}

static int do_apply(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	int r = apply_request(g, req, reterr);

	if (r == 0)
		control_ok(g, id, NULL);
	return r;
}

static int do_sched(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	return policy_ask(g, id, req, reterr);
}

static int do_sched_stats(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	return policy_ask_stats(g, id, reterr);
}

static int do_sched_task(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	json_int_t pid = json_integer_value(json_object_get(req, "pid"));
	const char *set = json_string_value(json_object_get(req, "set")), *class;
	int priority, r = 0;

	if (pid < 1 || pid > INT32_MAX)
		return error_set(reterr, -EINVAL, "pid: a number");
	if (set)
		r = task_set((pid_t)pid, set, reterr);
	if (r == 0)
		r = task_get((pid_t)pid, &class, &priority, reterr);
	if (r == 0)
		control_ok(g, id, json_pack("{s:s, s:i}", "class", class, "priority", priority));
	return r;
}

static int do_app(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	const char *name = json_string_value(json_object_get(req, "name"));
	const char *op = json_string_value(json_object_get(req, "op"));
	int r;

	if (!name || !op)
		return error_set(reterr, -EINVAL, "name and op: texts");
	r = app_operate(g, name, op, reterr);
	if (r == 0)
		control_ok(g, id, NULL);
	return r;
}

static int do_stats(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	control_ok(g, id, stats_json(g));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct guest *g, json_int_t id, json_t *req, struct error *reterr);
} requests[] = {
    {"hello", do_hello},	   {"power-down", do_power_down},
    {"vcpus", do_vcpus},	   {"apply", do_apply},
    {"sched", do_sched},	   {"sched-stats", do_sched_stats},
    {"sched-task", do_sched_task}, {"app", do_app},
    {"stats", do_stats},
};

static int run_request(struct guest *g, json_int_t id, json_t *req, struct error *reterr)
{
	const char *name = json_string_value(json_object_get(req, "do"));

	for (size_t i = 0; name && i < ARRAY_SIZE(requests); i++)
		if (!strcmp(name, requests[i].name))
			return requests[i].run(g, id, req, reterr);
	return error_set(reterr, -ENOSYS, "the guest knows no such request");
}

void control_frame(const struct channel_frame *f, void *guest)
{
	struct guest *g = guest;
	struct channel *c = g->ports[CHANNEL_CONTROL].channel;
	json_auto_t *req = json_loadb(f->data, f->len, JSON_REJECT_DUPLICATES, NULL);
	json_t *id = json_object_get(req, "id");
	struct error e = {0};
	int r;

	channel_consumed(c, f->stream, f->len);
	if (!json_is_integer(id))
		return; /* nobody to tell */
	r = run_request(g, json_integer_value(id), req, &e);
	if (r == 0)
		return;
	if (!e.code)
		error_errno(&e, r, "the guest");
	control_error(g, json_integer_value(id), &e);
}

void control_session(void *guest)
{
	struct guest *g = guest;

	if (!channel_up(g->ports[CHANNEL_CONTROL].channel))
		return;
	if (g->failed[0])
		control_event(g, "failed", json_pack("{s:s}", "text", g->failed));
	else
		control_event(g, "ready", about(g));
}
