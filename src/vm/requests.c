/* SPDX-License-Identifier: MIT */
/* What czd asks for, and how the guest's answers find their way back. */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "spec/zone-spec-io.h"
#include "vm/json.h"
#include "vm/zone.h"

#define GUEST_ANSWER_NS	 (60ull * 1000 * 1000 * 1000)
#define MEMORY_ANSWER_NS (20ull * 1000 * 1000 * 1000)
#define MEMORY_MIN	 (32ull << 20)
#define MEMORY_CLOSE	 (1ull << 20)

static const struct json_limits answer_limits = {.depth = 5, .items = 64, .text_bytes = 512};

/* --- to the guest -------------------------------------------------------------------------- */

static struct forward *forward_find(struct zone *z, uint64_t guest_id)
{
	for (size_t i = 0; i < FORWARD_MAX; i++) {
		if (z->forward[i].guest_id == guest_id)
			return &z->forward[i];
	}
	return NULL;
}

static int forward(struct zone *z, struct forward f, const json_t *request)
{
	struct forward *slot = forward_find(z, 0);
	json_t *copy;
	int r;

	if (!z->ports)
		return -ENOTCONN;
	if (!slot)
		return -EBUSY;
	copy = json_copy((json_t *)request);
	f.guest_id = ++z->next_guest_id;
	f.generation = link_generation(z->link);
	f.deadline_ns = zone_now_ns(z) + GUEST_ANSWER_NS;
	json_object_set_new(copy, "id", json_integer((json_int_t)f.guest_id));
	r = ports_say(z->ports, copy);
	if (r == 0)
		*slot = f;
	return r;
}

static void refuse_forward(struct zone *z, json_int_t id, int r)
{
	const char *why = zone_is_adopted(z) ? "in an adopted domain nothing of Control Zone runs"
			  : r == -ENOTCONN   ? "the guest is not there (yet)"
			  : r == -EBUSY || r == -EAGAIN ? "too many requests wait for the guest"
			  : r == -EMSGSIZE		? "the request is too long for the guest"
							: "the guest could not be asked";

	link_refuse(z->link, id, NULL, r, why);
}

static void forward_request(struct zone *z, json_int_t id, const json_t *request)
{
	int r = forward(z, (struct forward){.link_id = id}, request);

	if (r < 0)
		refuse_forward(z, id, r);
}

/* The whole of what the guest is to run: what it was started with, and what came since. */
static int make_apply(struct zone *z)
{
	json_t *spec;

	if (z->apply)
		return 0;
	spec = zone_spec_json(&z->launch->spec);
	z->apply =
	    json_pack("{s:s,s:b,s:O*,s:O*}", "do", "apply", "again", 1, "apps",
		      json_object_get(spec, "apps"), "sched", json_object_get(spec, "scheduler"));
	json_decref(spec);
	return z->apply ? 0 : -ENOMEM;
}

/* Nobody on the link asked for it: it is news. */
static void notice_refusal(struct zone *z, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *why = json_string_value(json_object_get(error, "message"));
	char text[512];

	if (snprintf(text, sizeof(text), "the guest refused what it is to run: %s",
		     why ? why : "it did not answer") < 0)
		return;
	zone_notice(z, "guest", text);
}

static void end_forward(struct zone *z, struct forward *slot, const json_t *answer, int code)
{
	struct forward f = *slot;
	json_t *fields = answer ? json_copy_within(answer, &answer_limits) : NULL;
	bool ok = answer && json_is_true(json_object_get(answer, "ok"));

	*slot = (struct forward){0};
	if (ok && f.set && make_apply(z) == 0)
		json_object_set(z->apply, "set", f.set);
	json_decref(f.set);
	if (f.apply)
		z->applied = ok;
	if (ok && f.online) {
		z->online = f.online;
		zone_state_changed(z);
	}
	if (f.silent && !ok)
		notice_refusal(z, answer);
	if (f.silent || f.generation != link_generation(z->link)) {
		json_decref(fields);
	} else if (ok) {
		link_answer(z->link, f.link_id, fields);
	} else {
		const json_t *error = json_object_get(answer, "error");
		const char *text = json_string_value(json_object_get(error, "message"));
		const char *name = json_string_value(json_object_get(error, "name"));

		/* The guest's own code, where it is one that czd knows. */
		for (int known = 1; answer && name && known < 134; known++) {
			if (strcmp(name, error_name(known)) == 0)
				code = -known;
		}
		json_decref(fields);
		link_refuse(z->link, f.link_id, NULL, code,
			    text ? text : "the guest did not answer");
	}
}

void zone_answer(struct zone *z, const json_t *message)
{
	json_int_t id = json_integer_value(json_object_get(message, "id"));
	struct forward *f = id > 0 ? forward_find(z, (uint64_t)id) : NULL;

	if (f)
		end_forward(z, f, message, -EIO);
}

void zone_expire(struct zone *z)
{
	uint64_t now_ns = zone_now_ns(z);

	for (size_t i = 0; i < FORWARD_MAX; i++) {
		if (z->forward[i].guest_id && now_ns >= z->forward[i].deadline_ns)
			end_forward(z, &z->forward[i], NULL, -ETIMEDOUT);
	}
	zone_check_memory(z);
}

int zone_apply_again(struct zone *z)
{
	int r = make_apply(z);

	return r < 0 ? r : forward(z, (struct forward){.silent = true, .apply = true}, z->apply);
}

bool zone_apply_waits(struct zone *z)
{
	for (size_t i = 0; i < FORWARD_MAX; i++)
		if (z->forward[i].guest_id && z->forward[i].apply)
			return true;
	return !z->applied;
}

/* --- memory -------------------------------------------------------------------------------- */

static void end_memory(struct zone *z, int code)
{
	json_t *fields = json_pack("{s:I}", "bytes", (json_int_t)z->memory.balloon);

	z->want_memory.waiting = false;
	if (z->want_memory.generation != link_generation(z->link))
		json_decref(fields);
	else if (code == 0)
		link_answer(z->link, z->want_memory.link_id, fields);
	else
		link_refuse(z->link, z->want_memory.link_id, fields, code,
			    code == -ETIMEDOUT ? "the guest did not give or take that much in time"
					       : "another memory request came");
}

void zone_check_memory(struct zone *z)
{
	uint64_t has = z->memory.balloon, wants = z->want_memory.bytes;

	if (!z->want_memory.waiting)
		return;
	if ((has > wants ? has - wants : wants - has) <= MEMORY_CLOSE)
		end_memory(z, 0);
	else if (zone_now_ns(z) >= z->want_memory.deadline_ns)
		end_memory(z, -ETIMEDOUT);
}

static void do_memory(struct zone *z, json_int_t id, const json_t *request)
{
	json_int_t bytes = json_integer_value(json_object_get(request, "bytes"));
	int r;

	if (bytes < (json_int_t)MEMORY_MIN ||
	    (uint64_t)bytes > zone_spec_memory_max(&z->launch->spec)) {
		link_refuse(z->link, id, NULL, -ERANGE,
			    "memory goes from 32 MiB to the zone's memory_max without a reboot");
		return;
	}
	r = z->backend->set_memory(z->machine, (uint64_t)bytes);
	if (r < 0) {
		link_refuse(z->link, id, NULL, r,
			    r == -EOPNOTSUPP ? "the memory of an adopted domain is its owner's"
					     : "QEMU does not take commands now");
		return;
	}
	if (z->want_memory.waiting)
		end_memory(z, -ECANCELED);
	z->want_memory.waiting = true;
	z->want_memory.link_id = id;
	z->want_memory.generation = link_generation(z->link);
	z->want_memory.bytes = (uint64_t)bytes;
	z->want_memory.deadline_ns = zone_now_ns(z) + MEMORY_ANSWER_NS;
}

/* --- the rest ------------------------------------------------------------------------------ */

static void do_hello(struct zone *z, json_int_t id, const json_t *request)
{
	link_answer(z->link, id, zone_state_json(z));
}

static void do_stats(struct zone *z, json_int_t id, const json_t *request)
{
	link_answer(z->link, id, zone_stats_json(z));
}

static void do_power_down(struct zone *z, json_int_t id, const json_t *request)
{
	json_int_t grace = json_integer_value(json_object_get(request, "grace_ms"));

	link_answer(z->link, id, NULL);
	zone_power_down(z, grace > 0 ? (uint64_t)grace : 0);
}

static void do_vcpus(struct zone *z, json_int_t id, const json_t *request)
{
	json_int_t online = json_integer_value(json_object_get(request, "online"));
	int r;

	if (online < 1 || online > zone_spec_vcpus_max(&z->launch->spec)) {
		link_refuse(z->link, id, NULL, -ERANGE,
			    "vCPUs go from 1 to the zone's vcpus_max without a reboot");
		return;
	}
	r = forward(z, (struct forward){.link_id = id, .online = (uint32_t)online}, request);
	if (r < 0)
		refuse_forward(z, id, r);
}

/* {"pin": ["0-1", ..], "cpu_max_ppm": N, "cpu_shares": N} */
static int read_limits(const json_t *request, struct vm_limits *l)
{
	const json_t *pins = json_object_get(request, "pin");
	json_int_t max = json_integer_value(json_object_get(request, "cpu_max_ppm"));
	json_int_t shares = json_integer_value(json_object_get(request, "cpu_shares"));
	json_t *item;
	size_t i;

	if (json_array_size(pins) > ARRAY_SIZE(l->pin) || max < 0 || shares < 0)
		return -EINVAL;
	json_array_foreach((json_t *)pins, i, item)
	{
		const char *text = json_string_value(item);
		int r = text ? cpuset_parse(text, &l->pin[i]) : -EINVAL;

		if (r < 0)
			return r;
	}
	l->nr_pins = i;
	l->cpu_max_ppm = (uint64_t)max;
	l->cpu_shares = (uint64_t)shares;
	return 0;
}

static void do_limits(struct zone *z, json_int_t id, const json_t *request)
{
	struct vm_limits l = {0};
	int r = z->backend->limit ? read_limits(request, &l) : -EOPNOTSUPP;

	if (r == 0)
		r = z->backend->limit(z->machine, &l);
	if (r == 0)
		link_answer(z->link, id, NULL);
	else
		link_refuse(z->link, id, NULL, r, "these limits can't be set");
}

static void do_apply(struct zone *z, json_int_t id, const json_t *request)
{
	int r = make_apply(z);

	/* What it leaves out stays as it was. */
	if (r == 0 && json_object_update(z->apply, (json_t *)request) < 0)
		r = -ENOMEM;
	if (r == 0 && json_object_get(request, "sched"))
		json_object_del(z->apply, "set");
	if (r == 0)
		r = forward(z, (struct forward){.link_id = id, .apply = true}, request);
	if (r < 0)
		refuse_forward(z, id, r);
	z->told = false;
}

static void do_sched(struct zone *z, json_int_t id, const json_t *request)
{
	json_t *set = json_pack("{s:O*,s:O*,s:O*}", "policy", json_object_get(request, "policy"),
				"options", json_object_get(request, "options"), "full",
				json_object_get(request, "full"));
	int r = set ? forward(z, (struct forward){.link_id = id, .set = set}, request) : -ENOMEM;

	if (r == 0)
		return;
	json_decref(set);
	refuse_forward(z, id, r);
}

void zone_request(void *arg, json_int_t id, const char *what, const json_t *request)
{
	static const struct {
		const char *what;
		void (*take)(struct zone *z, json_int_t id, const json_t *request);
	} table[] = {
	    {"hello", do_hello},
	    {"stats", do_stats},
	    {"power-down", do_power_down},
	    {"memory", do_memory},
	    {"vcpus", do_vcpus},
	    {"apply", do_apply},
	    {"limits", do_limits},
	    {"sched", do_sched},
	    {"sched-stats", forward_request},
	    {"app", forward_request},
	    {"sched-task", forward_request},
	};
	struct zone *z = arg;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].what, what) == 0) {
			table[i].take(z, id, request);
			return;
		}
	}
	link_refuse(z->link, id, NULL, -EOPNOTSUPP, "no such request");
}
