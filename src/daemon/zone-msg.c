/* SPDX-License-Identifier: MIT */
#include "daemon/zone-msg.h"

#include <string.h>
#include <jansson.h>
#include "base/cleanup.h"
#include "base/str.h"

#define WINDOW_MIN_NS 100000000ull
#define WINDOW_MAX_NS 5000000000ull

static const char *const phase_names[] = {[PHASE_NONE] = "-",
					  [PHASE_STARTING] = "starting",
					  [PHASE_BOOTING] = "booting",
					  [PHASE_RUNNING] = "running",
					  [PHASE_STOPPING] = "stopping"};

const char *zone_phase_name(enum zone_phase p)
{
	return phase_names[p];
}

static void take_text(const json_t *o, const char *key, char *dst, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	dst[0] = 0;
	if (s)
		str_escape(dst, size, s);
}
#define TAKE_TEXT(o, key, dst) take_text(o, key, dst, sizeof(dst))

static int64_t take_signed(const json_t *o, const char *key, int64_t absent)
{
	const json_t *j = json_object_get(o, key);

	return json_is_integer(j) ? (int64_t)json_integer_value(j) : absent;
}

/* What cannot be negative, and is not believed when it is. */
static uint64_t take_count(const json_t *o, const char *key)
{
	int64_t n = take_signed(o, key, 0);

	return n < 0 ? 0 : (uint64_t)n;
}

static int take_phase(const json_t *o, enum zone_phase *ret)
{
	const char *s = json_string_value(json_object_get(o, "state"));

	for (size_t i = PHASE_STARTING; s && i < ARRAY_SIZE(phase_names); i++) {
		if (!strcmp(phase_names[i], s)) {
			*ret = i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_hello(const json_t *o, struct zone_hello *ret)
{
	const json_t *item;
	size_t i;

	TAKE_TEXT(o, "accel", ret->accel);
	TAKE_TEXT(o, "accel_why", ret->accel_why);
	TAKE_TEXT(json_object_get(o, "guest"), "kernel", ret->kernel);
	ret->qemu_pid = take_signed(o, "qemu_pid", 0);
	ret->boot_ms = take_signed(o, "boot_ms", -1);
	json_array_foreach(json_object_get(o, "vcpus"), i, item)
	{
		uint64_t cpu = take_count(item, "cpu");

		if (cpu >= ZONE_VCPUS_MAX)
			continue;
		ret->vcpus[cpu] =
		    (struct zone_vcpu){.tid = take_signed(item, "tid", 0),
				       .online = json_is_true(json_object_get(item, "online"))};
		if (cpu >= ret->nr_vcpus)
			ret->nr_vcpus = cpu + 1;
	}
	return take_phase(o, &ret->phase);
}

static void take_app(const json_t *o, struct zone_app_stats *ret)
{
	const char *class = json_string_value(json_object_get(o, "class"));
	const json_t *item;
	size_t i;

	TAKE_TEXT(o, "name", ret->name);
	TAKE_TEXT(o, "state", ret->state);
	if (!class || zone_class_parse(class, &ret->class) < 0)
		ret->class = CLASS_NORMAL;
	ret->pid = take_signed(o, "pid", 0);
	ret->exit_code = take_signed(o, "exit", 0);
	ret->restarts = take_count(o, "restarts");
	ret->healthy = !json_is_false(json_object_get(o, "healthy"));
	TAKE_TEXT(o, "oom", ret->oom);
	ret->oom_kills_total = take_signed(o, "oom_kills_total", -1);
	ret->cpu_ns = take_count(o, "cpu_ns");
	ret->memory_bytes = take_count(o, "memory_bytes");
	ret->wait_known = json_is_integer(json_object_get(o, "wait_ns"));
	ret->wait_ns = take_count(o, "wait_ns");
	ret->waits = take_count(o, "waits");
	ret->wait_p99_ns = take_count(o, "wait_p99_ns");
	json_array_foreach(json_object_get(o, "parts"), i, item)
	{
		struct zone_part *p = &ret->parts[ret->nr_parts];

		if (ret->nr_parts == ZONE_PARTS_MAX)
			break;
		TAKE_TEXT(item, "cause", p->cause);
		TAKE_TEXT(item, "app", p->app);
		p->ns = take_count(item, "ns");
		ret->nr_parts += p->cause[0] != 0;
	}
}

static void take_stats(const json_t *o, struct zone_stats *ret)
{
	const json_t *memory = json_object_get(o, "memory"), *item;
	size_t i;

	ret->at_ns = take_count(o, "at_ns");
	ret->balloon_bytes = take_count(memory, "balloon_bytes");
	ret->free_bytes = take_count(memory, "free_bytes");
	ret->available_bytes = take_count(memory, "available_bytes");
	TAKE_TEXT(o, "policy", ret->policy);
	TAKE_TEXT(o, "policy_wanted", ret->policy_wanted);
	TAKE_TEXT(o, "policy_why", ret->policy_why);
	ret->told = !json_is_false(json_object_get(o, "told"));
	json_array_foreach(json_object_get(o, "apps"), i, item)
	{
		struct zone_app_stats *a = &ret->apps[ret->nr_apps];

		if (ret->nr_apps == ZONE_APPS_MAX)
			break;
		take_app(item, a);
		ret->nr_apps += a->name[0] != 0;
	}
}

static const struct zone_app_stats *app_of(const struct zone_stats *s, const char *name)
{
	for (size_t i = 0; i < s->nr_apps; i++)
		if (!strcmp(s->apps[i].name, name))
			return &s->apps[i];
	return NULL;
}

/* Its total in an earlier report; of one that was cut off there nothing is known. */
static bool part_of(const struct zone_app_stats *a, const struct zone_part *p, uint64_t *ret_ns)
{
	for (size_t i = 0; i < a->nr_parts; i++) {
		if (!strcmp(a->parts[i].cause, p->cause) && !strcmp(a->parts[i].app, p->app)) {
			*ret_ns = a->parts[i].ns;
			return true;
		}
	}
	*ret_ns = 0;
	return a->nr_parts < ZONE_PARTS_MAX;
}

static uint64_t a_second(uint64_t ns, uint64_t window_ns)
{
	__uint128_t scaled = (__uint128_t)ns * 1000000000 / window_ns;

	return scaled > INT64_MAX ? INT64_MAX : (uint64_t)scaled;
}

static void put_part(struct zone_app_stats *a, const struct zone_part *p)
{
	size_t i = a->nr_parts++;

	for (; i && a->parts[i - 1].ns < p->ns; i--)
		a->parts[i] = a->parts[i - 1];
	a->parts[i] = *p;
}

/* app: what `is` says, to be changed. */
static void app_recent(const struct zone_app_stats *was, const struct zone_app_stats *is,
		       uint64_t window_ns, struct zone_app_stats *app)
{
	app->wait_known = false;
	app->wait_ns = app->waits = app->nr_parts = 0;
	if (!was || !window_ns || !was->wait_known || !is->wait_known ||
	    is->wait_ns < was->wait_ns || is->waits < was->waits)
		return;
	app->wait_known = true;
	app->wait_ns = a_second(is->wait_ns - was->wait_ns, window_ns);
	app->waits = a_second(is->waits - was->waits, window_ns);
	for (size_t i = 0; i < is->nr_parts; i++) {
		struct zone_part p = is->parts[i];
		uint64_t before;

		if (!part_of(was, &p, &before) || p.ns <= before)
			continue;
		p.ns = a_second(p.ns - before, window_ns);
		put_part(app, &p);
	}
}

bool zone_stats_recent(const struct zone_stats *was, const struct zone_stats *is,
		       struct zone_stats *ret)
{
	uint64_t window_ns = is->at_ns > was->at_ns ? is->at_ns - was->at_ns : 0;

	if (window_ns && window_ns < WINDOW_MIN_NS)
		return false;
	if (window_ns > WINDOW_MAX_NS)
		window_ns = 0;
	*ret = *is;
	for (size_t i = 0; i < is->nr_apps; i++)
		app_recent(app_of(was, is->apps[i].name), &is->apps[i], window_ns, &ret->apps[i]);
	return true;
}

static void take_numbers(json_t *o, struct zone_msg *m)
{
	const char *key;
	json_t *value;

	json_object_foreach(o, key, value)
	{
		if (m->nr_numbers == ZONE_STATS_MAX)
			break;
		if (!json_is_integer(value))
			continue;
		str_escape(m->numbers[m->nr_numbers].name, sizeof(m->numbers[0].name), key);
		m->numbers[m->nr_numbers++].value = json_integer_value(value);
	}
}

static int take_answer(const json_t *o, struct zone_msg *m)
{
	const json_t *error = json_object_get(o, "error"), *ok = json_object_get(o, "ok");

	m->kind = ZONE_MSG_ANSWER;
	m->id = take_count(o, "id");
	if (!json_is_boolean(ok))
		return -EBADMSG;
	m->ok = json_is_true(ok);
	TAKE_TEXT(error, "name", m->error_name);
	TAKE_TEXT(error, "message", m->error_message);
	TAKE_TEXT(o, "policy", m->policy);
	TAKE_TEXT(o, "class", m->task_class);
	m->switch_ms = take_signed(o, "switch_ms", -1);
	m->bytes = take_signed(o, "bytes", -1);
	m->priority = take_signed(o, "priority", -1);
	take_numbers(json_object_get(o, "stats"), m);
	take_stats(o, &m->stats);
	/* Only some answers are a state as well. */
	return json_object_get(o, "state") ? take_hello(o, &m->hello) : 0;
}

static int take(const json_t *o, struct zone_msg *m)
{
	const char *event = json_string_value(json_object_get(o, "event"));

	if (json_is_integer(json_object_get(o, "id")))
		return take_answer(o, m);
	if (!event)
		return -EBADMSG;
	if (!strcmp(event, "state")) {
		m->kind = ZONE_MSG_STATE;
		return take_hello(o, &m->hello);
	}
	if (!strcmp(event, "stats")) {
		m->kind = ZONE_MSG_STATS;
		take_stats(o, &m->stats);
		return 0;
	}
	if (strcmp(event, "notice"))
		return -EBADMSG;
	m->kind = ZONE_MSG_NOTICE;
	TAKE_TEXT(o, "kind", m->notice_kind);
	TAKE_TEXT(o, "text", m->text);
	return 0;
}

int zone_msg_parse(const char *line, size_t len, struct zone_msg *ret)
{
	json_t *o;
	int r;

	if (len > ZONE_LINE_MAX)
		return -EBADMSG;
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	memset(ret, 0, sizeof(*ret));
	r = json_is_object(o) ? take(o, ret) : -EBADMSG;
	json_decref(o);
	return r;
}
