/* SPDX-License-Identifier: MIT */
/* Writes recordings: what detect and decide read, and no more. */
#include <jansson.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "model/record-live.h"

#define _cleanup_json_ _cleanup_(json_decrefp)

json_t *record_text_json(const char *s)
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

static json_t *metrics(const uint64_t *values, metric_set valid)
{
	json_t *o = json_object();

	for (int m = 0; m < ZM_NR; m++)
		if (valid & METRIC_BIT(m))
			json_object_set_new(o, zone_metrics[m].name,
					    json_integer((json_int_t)values[m]));
	return o;
}

/* Readers take no longer ones; detect and decide do not look at it. */
static json_t *path_json(const char *path)
{
	char cut[ZONE_PATH_MAX];

	str_copy(cut, sizeof(cut), path);
	return record_text_json(cut);
}

/* What it is, but for its place in the tree. */
static json_t *zone_row(const struct zone_view *z)
{
	json_t *o = json_object();
	char slo[128];

	set_u64(o, "id", z->id);
	json_object_set_new(o, "name", record_text_json(z->name));
	json_object_set_new(o, "path", path_json(z->path));
	json_object_set_new(o, "class", json_string(zone_class_name(z->class)));
	if (z->kind != ZONE_CGROUP)
		json_object_set_new(o, "kind", json_string(zone_kind_name(z->kind)));
	if (z->class_is_own)
		json_object_set_new(o, "own", json_true());
	if (z->has_quota)
		json_object_set_new(o, "quota", json_true());
	if (z->off_limits)
		json_object_set_new(o, "off",
				    record_text_json(z->off_limits_why ? z->off_limits_why : ""));
	if (slo_is_set(&z->slo))
		json_object_set_new(o, "slo", json_string(slo_format(&z->slo, slo, sizeof(slo))));
	if (z->control != CONTROL_GUARD)
		json_object_set_new(o, "control", json_string(control_name(z->control)));
	set_u64(o, "seen", z->first_seen_ns);
	return o;
}

static void set_parent(json_t *o, const struct zone_view *z)
{
	json_object_set_new(o, "parent",
			    z->parent == NO_ZONE ? json_null() : json_integer(z->parent));
}

static json_t *zone(const struct zone_view *z)
{
	json_t *o = zone_row(z);

	set_parent(o, z);
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
	json_array_append_new(a, record_text_json(p->comm));
	return a;
}

static json_t *ledger(const struct snapshot *s, const struct ledger_view *l, bool by_id)
{
	json_t *o = json_object(), *parts;

	if (by_id)
		json_object_set_new(o, "id", json_integer((json_int_t)s->zones[l->zone].id));
	else
		json_object_set_new(o, "zone", json_integer(l->zone));
	if (l->window_ns != s->window_ns)
		json_object_set_new(o, "window", json_integer((json_int_t)l->window_ns));
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

static json_t *ledgers(const struct snapshot *s, bool by_id)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nr_ledgers; i++)
		json_array_append_new(a, ledger(s, &s->ledgers[i], by_id));
	return a;
}

static json_t *cores(const struct cpu_topology *cpus)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < cpus->nr_cpus; i++)
		json_array_append_new(a, json_integer(cpus->core_of[i]));
	return a;
}

void record_add_cpus(json_t *o, const struct cpu_topology *cpus)
{
	char online[8192];

	if (cpuset_format(&cpus->online, online, sizeof(online)) >= 0)
		json_object_set_new(o, "online", json_string(online));
	if (cpus->core_of)
		json_object_set_new(o, "cores", cores(cpus));
}

static json_t *stamped(const struct snapshot *s)
{
	return json_pack("{s:I,s:I}", "now", (json_int_t)s->now_ns, "window",
			 (json_int_t)s->window_ns);
}

char *record_snapshot_text(const struct snapshot *s, bool with_zones)
{
	_cleanup_json_ json_t *o = stamped(s);

	if (with_zones)
		record_add_cpus(o, &s->cpus);
	json_object_set_new(o, with_zones ? "zones" : "use", with_zones ? zones(s) : use(s));
	json_object_set_new(o, "ledgers", ledgers(s, false));
	return json_dumps(o, JSON_COMPACT);
}

/* What czd tells: exact, and little of what stands still. */

static void put_number(struct strbuf *b, char sign, uint64_t v)
{
	char digits[24], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	if (sign)
		*--p = sign;
	strbuf_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

static void put_item(struct strbuf *b, int column)
{
	if (b->len)
		strbuf_add(b, ",", 1);
	put_number(b, 0, (uint64_t)column);
}

static void put_extra(struct strbuf *b, const char *key, uint64_t v)
{
	strbuf_printf(b, "%s%s=%llu", b->len ? "," : "", key, (unsigned long long)v);
}

static void put_spans(struct strbuf *b, const struct zone_view *z)
{
	if (z->io_span_ns)
		put_extra(b, "I", z->io_span_ns);
	if (z->memory_span_ns)
		put_extra(b, "M", z->memory_span_ns);
}

static void put_moved(struct strbuf *b, const struct zone_view *z)
{
	for (metric_set left = z->moved; left; left &= left - 1) {
		int m = metric_lowest(left);

		put_item(b, m);
		if (!(z->valid & METRIC_BIT(m)))
			strbuf_add(b, "!", 1);
		else if (z->delta_valid & METRIC_BIT(m))
			put_number(b, '+', z->delta[m]);
		else
			put_number(b, '=', z->value[m]);
	}
	if (z->quota_moved)
		put_extra(b, "Q", z->has_quota);
	put_spans(b, z);
}

static void put_all(struct strbuf *b, const struct zone_view *z)
{
	for (metric_set left = z->valid; left; left &= left - 1) {
		int m = metric_lowest(left);

		put_item(b, m);
		put_number(b, '=', z->value[m]);
		if (z->delta_valid & METRIC_BIT(m))
			put_number(b, '+', z->delta[m]);
	}
	put_spans(b, z);
}

static json_t *taken(struct strbuf *b)
{
	json_t *v = b->failed ? NULL : json_stringn(b->data ? b->data : "", b->len);

	strbuf_reset(b);
	return v;
}

static json_t *whole_tree(const struct snapshot *s)
{
	struct strbuf b = {0};
	json_t *a = json_array();

	for (size_t i = 0; i < s->nr_zones; i++) {
		json_t *row = zone_row(&s->zones[i]);

		set_parent(row, &s->zones[i]);
		put_all(&b, &s->zones[i]);
		json_object_set_new(row, "m", taken(&b));
		if (s->zones[i].interface[0])
			json_object_set_new(row, "via", record_text_json(s->zones[i].interface));
		json_array_append_new(a, row);
	}
	strbuf_done(&b);
	return a;
}

void record_add_tree(json_t *line, const struct snapshot *s, const struct record_had *had)
{
	json_t *a = NULL;

	for (size_t i = 0; i < s->nr_zones; i++) {
		const struct zone_view *z = &s->zones[i];
		json_t *row;

		if (z->told_seq <= had->tree_seq)
			continue;
		row = zone_row(z);
		if (z->parent != NO_ZONE)
			json_object_set_new(row, "under",
					    json_integer((json_int_t)s->zones[z->parent].id));
		if (!a)
			a = json_array();
		json_array_append_new(a, row);
	}
	if (a)
		json_object_set_new(line, "tree", a);
}

static json_t *moved(const struct snapshot *s)
{
	struct strbuf b = {0};
	json_t *a = json_array();

	for (size_t i = 0; i < s->nr_zones; i++) {
		const struct zone_view *z = &s->zones[i];
		json_t *item;

		if (!z->moved && !z->quota_moved && !z->interface_moved)
			continue;
		put_moved(&b, z);
		item = json_pack("[I,o]", (json_int_t)z->id, taken(&b));
		if (z->interface_moved)
			json_array_append_new(item, record_text_json(z->interface));
		json_array_append_new(a, item);
	}
	strbuf_done(&b);
	return a;
}

json_t *record_tick_json(const struct snapshot *s, const struct record_had *had)
{
	json_t *o = stamped(s);

	if (had->whole) {
		record_add_cpus(o, &s->cpus);
		json_object_set_new(o, "zones", whole_tree(s));
	} else {
		record_add_tree(o, s, had);
		json_object_set_new(o, "moved", moved(s));
	}
	record_add_disks(o, s);
	json_object_set_new(o, "nr", json_integer((json_int_t)s->nr_zones));
	json_object_set_new(o, "ledgers", ledgers(s, true));
	return o;
}

void record_add_host(json_t *line, const struct snapshot *s, const struct record_host *before)
{
	struct strbuf b = {0};

	for (int m = 0; m < HM_NR; m++) {
		bool known = s->host_valid & METRIC_BIT(m);
		bool was = before && before->valid & METRIC_BIT(m);

		if (!known || (was && before->value[m] == s->host_value[m]))
			continue;
		put_item(&b, m);
		if (was && host_metrics[m].kind == METRIC_COUNTER &&
		    s->host_value[m] > before->value[m])
			put_number(&b, '+', s->host_value[m] - before->value[m]);
		else
			put_number(&b, '=', s->host_value[m]);
	}
	json_object_set_new(line, "host", taken(&b));
	strbuf_done(&b);
}

json_t *record_event_json(const struct fast_event *e)
{
	json_t *ev = json_object();

	set_u64(ev, "now", e->now_ns);
	set_u64(ev, "since", e->since_ns);
	set_u64(ev, "foreign", e->foreign_ns);
	set_u64(ev, "victim", e->victim_id);
	set_u64(ev, "culprit", e->culprit_id);
	json_object_set_new(ev, "cpu", json_integer(e->cpu));
	json_object_set_new(ev, "pid", json_integer(e->pid));
	json_object_set_new(ev, "comm", record_text_json(e->comm));
	return json_pack("{s:o}", "event", ev);
}

char *record_event_text(const struct fast_event *e)
{
	_cleanup_json_ json_t *o = record_event_json(e);

	return json_dumps(o, JSON_COMPACT);
}
