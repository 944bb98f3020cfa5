/* SPDX-License-Identifier: MIT */
/* Writes recordings: what detect and decide read, and no more. */
#include <jansson.h>
#include "base/cleanup.h"
#include "model/record.h"

#define _cleanup_json_ _cleanup_(json_decrefp)

/* Kernel names need not be UTF-8; JSON must be. */
static json_t *text(const char *s)
{
	json_t *v = json_string(s);
	char clean[ZONE_PATH_MAX];
	size_t i = 0;

	if (v)
		return v;
	for (; s[i] && i < sizeof(clean) - 1; i++)
		clean[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
	clean[i] = '\0';
	return json_string(clean);
}

static void set_u64(json_t *o, const char *key, uint64_t v)
{
	if (v)
		json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *metrics(const uint64_t *values, uint64_t valid)
{
	json_t *o = json_object();

	for (int m = 0; m < ZM_NR; m++)
		if (valid & METRIC_BIT(m))
			json_object_set_new(o, zone_metrics[m].name,
					    json_integer((json_int_t)values[m]));
	return o;
}

static json_t *zone(const struct zone_view *z)
{
	json_t *o = json_object();
	char slo[128];

	set_u64(o, "id", z->id);
	json_object_set_new(o, "parent",
			    z->parent == NO_ZONE ? json_null() : json_integer(z->parent));
	json_object_set_new(o, "name", text(z->name));
	json_object_set_new(o, "path", text(z->path));
	json_object_set_new(o, "class", json_string(zone_class_name(z->class)));
	if (z->kind != ZONE_CGROUP)
		json_object_set_new(o, "kind", json_string(zone_kind_name(z->kind)));
	if (z->class_is_own)
		json_object_set_new(o, "own", json_true());
	if (z->has_quota)
		json_object_set_new(o, "quota", json_true());
	if (z->off_limits)
		json_object_set_new(o, "off", text(z->off_limits_why ? z->off_limits_why : ""));
	if (slo_is_set(&z->slo))
		json_object_set_new(o, "slo", json_string(slo_format(&z->slo, slo, sizeof(slo))));
	set_u64(o, "seen", z->first_seen_ns);
	if (z->valid)
		json_object_set_new(o, "value", metrics(z->value, z->valid));
	if (z->delta_valid)
		json_object_set_new(o, "delta", metrics(z->delta, z->delta_valid));
	return o;
}

static json_t *zones(const struct snapshot *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nr_zones; i++)
		json_array_append_new(a, zone(&s->zones[i]));
	return a;
}

static json_t *use(const struct snapshot *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nr_zones; i++) {
		const struct zone_view *z = &s->zones[i];

		if ((z->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS)) && z->delta[ZM_CPU_USAGE_NS])
			json_array_append_new(a, json_pack("[I, I]", (json_int_t)i,
							   (json_int_t)z->delta[ZM_CPU_USAGE_NS]));
	}
	return a;
}

static json_t *part(const struct ledger_part *p)
{
	json_t *a = json_array();

	json_array_append_new(a, json_string(cause_name(p->cause)));
	if (p->cause == CAUSE_NEIGHBOUR)
		json_array_append_new(a, json_integer((json_int_t)p->culprit_id));
	json_array_append_new(a, json_integer((json_int_t)p->ns));
	if (p->cause != CAUSE_NEIGHBOUR)
		return a;
	json_array_append_new(a, json_integer(p->pid));
	json_array_append_new(a, json_integer(p->cpu));
	json_array_append_new(a, text(p->comm));
	return a;
}

static json_t *ledger(const struct ledger_view *l)
{
	json_t *o = json_object(), *parts;

	json_object_set_new(o, "zone", json_integer(l->zone));
	set_u64(o, "waits", l->waits);
	set_u64(o, "p50", l->wait_p50_ns);
	set_u64(o, "p99", l->wait_p99_ns);
	set_u64(o, "max", l->wait_max_ns);
	if (l->feed_count)
		json_object_set_new(o, "feed",
				    json_pack("[I, I, I]", (json_int_t)l->feed_count,
					      (json_int_t)l->feed_p50_ns,
					      (json_int_t)l->feed_p99_ns));
	if (l->estimated) {
		json_object_set_new(o, "wait", json_integer((json_int_t)l->wait_ns));
		return o;
	}
	parts = json_array();
	for (size_t i = 0; i < l->nr_parts; i++)
		json_array_append_new(parts, part(&l->parts[i]));
	json_object_set_new(o, "parts", parts);
	return o;
}

static json_t *cores(const struct cpu_topology *cpus)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < cpus->nr_cpus; i++)
		json_array_append_new(a, json_integer(cpus->core_of[i]));
	return a;
}

char *record_snapshot_text(const struct snapshot *s, bool with_zones)
{
	_cleanup_json_ json_t *o = json_object();
	json_t *ledgers = json_array();
	char online[8192];

	json_object_set_new(o, "now", json_integer((json_int_t)s->now_ns));
	json_object_set_new(o, "window", json_integer((json_int_t)s->window_ns));
	if (with_zones && cpuset_format(&s->cpus.online, online, sizeof(online)) >= 0)
		json_object_set_new(o, "online", json_string(online));
	if (with_zones && s->cpus.core_of)
		json_object_set_new(o, "cores", cores(&s->cpus));
	json_object_set_new(o, with_zones ? "zones" : "use", with_zones ? zones(s) : use(s));
	for (size_t i = 0; i < s->nr_ledgers; i++)
		json_array_append_new(ledgers, ledger(&s->ledgers[i]));
	json_object_set_new(o, "ledgers", ledgers);
	return json_dumps(o, JSON_COMPACT);
}

char *record_event_text(const struct fast_event *e)
{
	_cleanup_json_ json_t *o = json_object();
	json_t *ev = json_object();

	set_u64(ev, "now", e->now_ns);
	set_u64(ev, "since", e->since_ns);
	set_u64(ev, "foreign", e->foreign_ns);
	set_u64(ev, "victim", e->victim_id);
	set_u64(ev, "culprit", e->culprit_id);
	json_object_set_new(ev, "cpu", json_integer(e->cpu));
	json_object_set_new(ev, "pid", json_integer(e->pid));
	json_object_set_new(ev, "comm", text(e->comm));
	json_object_set_new(o, "event", ev);
	return json_dumps(o, JSON_COMPACT);
}
