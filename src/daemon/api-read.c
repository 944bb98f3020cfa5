/* SPDX-License-Identifier: MIT */
/* Verbs that read. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "daemon/api.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"
#include "kernel/caps.h"

#define ROWS_MAX 20000

json_t *api_version(const struct api_call *c, struct error *reterr)
{
	char release[96] = "";

	if (proc_kernel_release(&c->d->kernel, release, sizeof(release)) < 0)
		release[0] = 0;
	return json_pack("{s:s,s:i,s:i,s:I,s:s}", "version", CZ_VERSION, "protocol", 1, "pid",
			 (int)getpid(), "uptime_ns",
			 (json_int_t)(clock_mono_ns() - c->d->self.started_ns), "kernel", release);
}

/* Without `all`: what somebody has given a class, and what czd found worth a word. */
static bool is_listed(const struct daemon *d, const struct zone_view *v)
{
	const struct finding *f = open_finding(d, v->id);

	return v->class_is_own || f ||
	       (v->class == CLASS_BE && (v->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS)) &&
		v->delta[ZM_CPU_USAGE_NS]);
}

/* What runs in a virtual machine is no cgroup here: its guest tells of it. */
static void add_app_rows(const struct daemon *d, json_t *rows, size_t limit)
{
	const struct zones_mgr *m = d->zones_mgr;

	for (size_t i = 0; m && i < m->nr; i++) {
		const struct applied *z = m->items[i];

		for (size_t k = 0; z->spec.runtime == RUNTIME_VM && z->stats_ns &&
				   k < z->stats.nr_apps && json_array_size(rows) < limit;
		     k++)
			json_array_append_new(rows, zone_app_row(z, &z->recent.apps[k]));
	}
}

/* What is protected (or best effort) as soon as there is a cgroup of that path again. */
static json_t *absent_rows(const struct daemon *d)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < d->desired.nr; i++) {
		const struct desired_zone *z = &d->desired.items[i];
		char slo[128];

		if (!z->made && !zones_by_path(d->zones, z->path))
			json_array_append_new(
			    rows, json_pack("{s:o,s:s,s:s}", "path", shape_text(z->path), "class",
					    zone_class_name(z->class), "slo",
					    slo_format(&z->slo, slo, sizeof(slo))));
	}
	return rows;
}

json_t *api_list(const struct api_call *c, struct error *reterr)
{
	const struct daemon *d = c->d;
	json_t *rows, *o;
	bool all;

	if (arg_bool(c, "all", &all, reterr) < 0)
		return NULL;
	rows = json_array();
	for (size_t i = 0; i < d->snap.nr_zones && json_array_size(rows) < ROWS_MAX; i++) {
		if (all || is_listed(d, &d->snap.zones[i]))
			json_array_append_new(rows, shape_zone(d, &d->snap.zones[i]));
	}
	add_app_rows(d, rows, ROWS_MAX);
	o = shape_mode(d, 0);
	json_object_set_new(o, "zones_total", json_integer((json_int_t)d->snap.nr_zones));
	json_object_set_new(o, "zones", rows);
	json_object_set_new(o, "applied", zones_mgr_rows(d->zones_mgr));
	json_object_set_new(o, "absent", absent_rows(d));
	return o;
}

static uint64_t cpu_delta(const struct zone_view *v)
{
	return v->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS) ? v->delta[ZM_CPU_USAGE_NS] : 0;
}

static int busiest_first(const void *a, const void *b)
{
	uint64_t x = cpu_delta(*(const struct zone_view *const *)a),
		 y = cpu_delta(*(const struct zone_view *const *)b);

	return x > y ? -1 : x < y;
}

static json_t *host_rate(const struct daemon *d, enum host_metric m)
{
	bool known = (d->snap.host_valid & METRIC_BIT(m)) && d->snap.window_ns;

	return shape_known(known, known ? (uint64_t)((__uint128_t)d->snap.host_delta[m] * 1000000 /
						     d->snap.window_ns)
					: 0);
}

/* The kernel counts busy time by ticks, which miss what runs between them; what the root zone used
 * is exact, but lacks interrupts. The larger is nearer. */
static json_t *host_busy(const struct daemon *d)
{
	const struct snapshot *s = &d->snap;
	uint64_t busy_ns = s->host_delta[HM_CPU_BUSY_NS];
	uint64_t used_ns = s->nr_zones ? cpu_delta(&s->zones[0]) : 0;
	bool known = (s->host_valid & METRIC_BIT(HM_CPU_BUSY_NS)) && s->window_ns;

	return shape_known(known,
			   known ? (uint64_t)((__uint128_t)(used_ns > busy_ns ? used_ns : busy_ns) *
					      1000000 / s->window_ns)
				 : 0);
}

static json_t *shape_host(const struct daemon *d)
{
	const struct snapshot *s = &d->snap;

	return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "cpus",
			 (json_int_t)cpuset_count(&s->cpus.online), "busy_ppm", host_busy(d),
			 "steal_ppm", host_rate(d, HM_STEAL_NS), "irq_ppm", host_rate(d, HM_IRQ_NS),
			 "softirq_ppm", host_rate(d, HM_SOFTIRQ_NS), "psi_cpu_ppm",
			 host_rate(d, HM_PSI_CPU_SOME_NS), "psi_memory_ppm",
			 host_rate(d, HM_PSI_MEM_SOME_NS), "psi_io_ppm",
			 host_rate(d, HM_PSI_IO_SOME_NS), "memory_bytes",
			 shape_known(s->host_valid & METRIC_BIT(HM_MEM_TOTAL_BYTES),
				     s->host_value[HM_MEM_TOTAL_BYTES]),
			 "memory_available_bytes",
			 shape_known(s->host_valid & METRIC_BIT(HM_MEM_AVAILABLE_BYTES),
				     s->host_value[HM_MEM_AVAILABLE_BYTES]));
}

json_t *api_top(const struct api_call *c, struct error *reterr)
{
	const struct daemon *d = c->d;
	_cleanup_free_ const struct zone_view **order =
	    calloc(d->snap.nr_zones + 1, sizeof(*order));
	uint64_t limit;
	json_t *rows, *o;
	size_t n = 0;
	bool all;

	if (!order || arg_bool(c, "all", &all, reterr) < 0 ||
	    arg_u64(c, "limit", &limit, reterr) < 0)
		return NULL;
	for (size_t i = 0; i < d->snap.nr_zones; i++) {
		const struct zone_view *v = &d->snap.zones[i];

		if (all || v->class_is_own || cpu_delta(v) || open_finding(d, v->id))
			order[n++] = v;
	}
	qsort(order, n, sizeof(*order), busiest_first);
	if (!limit || limit > ROWS_MAX)
		limit = ROWS_MAX;
	rows = json_array();
	for (size_t i = 0; i < n && i < limit; i++)
		json_array_append_new(rows, shape_zone(d, order[i]));
	add_app_rows(d, rows, limit);
	o = json_pack("{s:I,s:I,s:o,s:o,s:I,s:o}", "now_ns", (json_int_t)d->snap.now_ns,
		      "window_ns", (json_int_t)d->snap.window_ns, "host", shape_host(d), "self",
		      api_self(d), "zones_total", (json_int_t)d->snap.nr_zones, "zones", rows);
	json_object_update_new(o, shape_mode(d, 0));
	return o;
}

static json_t *shape_metrics(const struct zone_view *v)
{
	json_t *o = json_object();

	for (int m = 0; m < ZM_NR; m++) {
		const struct metric_desc *md = &zone_metrics[m];

		json_object_set_new(
		    o, md->name,
		    json_pack("{s:o,s:o,s:s,s:s}", "value",
			      shape_known(v->valid & METRIC_BIT(m), v->value[m]), "delta",
			      shape_known(v->delta_valid & METRIC_BIT(m), v->delta[m]), "unit",
			      md->unit, "help", md->help));
	}
	return o;
}

static json_t *shape_knobs(const struct daemon *d, const struct zone_view *v)
{
	json_t *o = json_object();

	for (int k = 0; k < KNOB_NR; k++) {
		char text[KNOB_TEXT_MAX];
		bool known = knob_read(&d->fs, k, v->path, v->id, text, sizeof(text)) == 0;

		json_object_set_new(o, knob_name(k), known ? shape_text(text) : json_null());
	}
	return o;
}

json_t *api_inspect(const struct api_call *c, struct error *reterr)
{
	const struct daemon *d = c->d;
	const struct applied *applied =
	    zones_mgr_find(d->zones_mgr, json_string_value(json_object_get(c->args, "zone")));
	const struct zone_view *v;
	json_t *o, *children;
	uint32_t self;

	if (applied && !applied->groups)
		return json_pack("{s:s,s:o}", "name", applied->name, "applied",
				 zone_shape(applied, true));
	v = arg_zone(c, reterr);
	if (!v)
		return NULL;
	self = (uint32_t)(v - d->snap.zones);
	o = shape_zone(d, v);
	children = json_array();
	for (size_t i = self + 1; i < d->snap.nr_zones && json_array_size(children) < 1000; i++) {
		if (d->snap.zones[i].parent == self)
			json_array_append_new(children, shape_string(d->snap.zones[i].name));
	}
	for (size_t i = 0; applied && applied->spec.runtime == RUNTIME_VM && applied->stats_ns &&
			   i < applied->stats.nr_apps;
	     i++)
		json_array_append_new(
		    children, json_sprintf("%s/%s", applied->name, applied->stats.apps[i].name));
	json_object_set_new(o, "applied", applied ? zone_shape(applied, true) : json_null());
	json_object_set_new(o, "metrics", shape_metrics(v));
	json_object_set_new(o, "disk_held_by", shape_holders(d, HELD_DISK, v));
	json_object_set_new(o, "memory_taken_by", shape_holders(d, HELD_MEMORY, v));
	json_object_set_new(o, "locks_held_by", shape_holders(d, HELD_LOCKS, v));
	json_object_set_new(o, "knobs", shape_knobs(d, v));
	json_object_set_new(o, "off_limits_why",
			    v->off_limits_why ? shape_string(v->off_limits_why) : json_null());
	json_object_set_new(o, "children", children);
	json_object_set_new(o, "first_seen_ns", json_integer((json_int_t)v->first_seen_ns));
	json_object_set_new(o, "ledger", shape_ledger(d, snapshot_ledger(&d->snap, self)));
	return o;
}

json_t *api_findings(const struct api_call *c, struct error *reterr)
{
	const struct daemon *d = c->d;
	json_t *rows;
	bool all;

	if (arg_bool(c, "all", &all, reterr) < 0)
		return NULL;
	rows = json_array();
	for (size_t i = 0; all && i < d->nr_closed; i++)
		json_array_append_new(rows, shape_finding(d, &d->closed[i]));
	for (size_t i = 0; i < d->findings.nr; i++) {
		if (d->findings.items[i].open)
			json_array_append_new(rows, shape_finding(d, &d->findings.items[i]));
	}
	return json_pack("{s:o}", "findings", rows);
}

static bool is_settled(const struct action *a)
{
	return a->state != ACTION_PROPOSED && a->state != ACTION_APPLIED && a->state != ACTION_KEPT;
}

json_t *api_actions(const struct api_call *c, struct error *reterr)
{
	const struct action *a;
	size_t n = decide_actions(c->d->decide, &a);
	json_t *rows, *o;
	bool all;

	if (arg_bool(c, "all", &all, reterr) < 0)
		return NULL;
	rows = json_array();
	for (size_t i = 0; i < n; i++) {
		if (all || !is_settled(&a[i]))
			json_array_append_new(rows, shape_action(c->d, &a[i]));
	}
	o = shape_mode(c->d, 0);
	json_object_set_new(o, "actions", rows);
	return o;
}

json_t *api_events(const struct api_call *c, struct error *reterr)
{
	const struct events *ev = &c->d->events;
	json_t *rows;
	uint64_t since;
	bool follow;

	if (arg_u64(c, "since", &since, reterr) < 0 || arg_bool(c, "follow", &follow, reterr) < 0)
		return NULL;
	rows = json_array();
	for (uint64_t seq = events_first_after(ev, since); seq && seq <= ev->last_seq; seq++)
		json_array_append_new(rows, shape_event(events_get(ev, seq)));
	if (follow)
		server_follow(c->d->server, c->peer->client, c->peer->request_id);
	return json_pack("{s:o}", "events", rows);
}

json_t *api_record(const struct api_call *c, struct error *reterr)
{
	return recorder_start(c->d, c->peer->client, c->peer->request_id, reterr);
}

static void add_metrics(json_t *rows, const struct metric_desc *m, size_t n, const char *scope)
{
	for (size_t i = 0; i < n; i++, m++)
		json_array_append_new(
		    rows, json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", m->name, "unit", m->unit,
				    "kind", m->kind == METRIC_COUNTER ? "counter" : "gauge", "help",
				    m->help, "scope", scope));
}

static json_t *shape_ledger_health(const struct daemon *d)
{
	struct ledger_health h;

	if (!d->ledger)
		return json_null();
	ledger_health(d->ledger, &h);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:b}", "events_lost_total",
			 (json_int_t)h.events_lost_total, "storage_failed_total",
			 (json_int_t)h.storage_failed_total, "waiters_overflow_total",
			 (json_int_t)h.waiters_overflow_total, "slots_overflow_total",
			 (json_int_t)h.slots_overflow_total, "missed_switches_total",
			 (json_int_t)h.missed_switches_total, "irq_split", h.irq_split,
			 "steal_split", h.steal_split, "throttle_exact", h.throttle_exact);
}

json_t *api_probes(const struct api_call *c, struct error *reterr)
{
	const struct daemon *d = c->d;
	struct probe_status st[32];
	size_t n = probes_status(d->probes, st, ARRAY_SIZE(st));
	json_t *rows = json_array(), *metrics = json_array();

	json_array_append_new(
	    rows, json_pack("{s:s,s:s,s:b,s:o,s:s}", "name", "ledger", "summary",
			    "who ran while a protected zone waited for a CPU; wait histogram", "on",
			    d->ledger != NULL, "why_off",
			    d->ledger ? json_null() : shape_text(d->ledger_why_off), "needs",
			    "BPF with BTF: CAP_BPF and CAP_PERFMON, or root"));
	for (size_t i = 0; i < n && i < ARRAY_SIZE(st); i++)
		json_array_append_new(rows,
				      json_pack("{s:s,s:s,s:b,s:o,s:s}", "name", st[i].name,
						"summary", st[i].summary, "on", st[i].on, "why_off",
						st[i].on ? json_null() : shape_string(st[i].why),
						"needs", st[i].needs));
	add_metrics(metrics, zone_metrics, ZM_NR, "zone");
	add_metrics(metrics, host_metrics, HM_NR, "host");
	return json_pack("{s:o,s:o,s:o}", "probes", rows, "metrics", metrics, "ledger",
			 shape_ledger_health(d));
}

static uint64_t own_rss_bytes(void)
{
	unsigned long size = 0, resident = 0;
	_cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

json_t *api_self(const struct daemon *d)
{
	struct probes_stats ps;
	struct zones_stats zs;
	struct server_stats ss = {0};
	uint64_t rss = own_rss_bytes();

	probes_stats(d->probes, &ps);
	zones_stats(d->zones, &zs);
	if (d->server)
		server_stats(d->server, &ss);
	return json_pack(
	    "{s:b,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:s,s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o}",
	    "ledger_on", d->ledger != NULL, "cpu_ns_total", (json_int_t)d->self.cpu_ns_at_tick,
	    "clients", (json_int_t)ss.clients, "requests_total", (json_int_t)ss.requests_total,
	    "clients_dropped_total", (json_int_t)ss.dropped_total, "cpu_ppm",
	    shape_known(d->self.ticks_total > 1, d->self.cpu_ppm), "rss_bytes",
	    shape_known(rss, rss), "loop_delay_max_ns",
	    shape_known(d->self.loop_delay_max_ns, d->self.loop_delay_max_ns), "priority",
	    d->self.priority ? d->self.priority : "normal", "ticks_total",
	    (json_int_t)d->self.ticks_total, "late_ticks_total",
	    (json_int_t)d->self.late_ticks_total, "early_ticks_total",
	    (json_int_t)d->self.early_ticks_total, "ledger_cost_ppm",
	    shape_known(d->cost.known, d->cost.ppm), "fast_events_total",
	    (json_int_t)d->self.fast_events_total, "zones", (json_int_t)zs.count, "fds_kept",
	    (json_int_t)ps.fds_kept, "fd_shortage_total", (json_int_t)ps.fd_shortage_total,
	    "feed_total", (json_int_t)d->self.feed_total, "feed_refused_total",
	    (json_int_t)d->self.feed_refused_total, "degraded",
	    zs.degraded ? shape_string(zs.degraded) : json_null());
}

json_t *api_doctor(const struct api_call *c, struct error *reterr)
{
	static const struct {
		enum cap_area area;
		const char *yes, *no;
	} groups[] = {{CAP_SEE, "can_see", "cant_see"},
		      {CAP_ACT, "can_act", "cant_act"},
		      {CAP_HOST, "has", "lacks"}};
	const struct daemon *d = c->d;
	_cleanup_free_ struct host_caps *caps = calloc(1, sizeof(*caps));
	const char *why = NULL;
	json_t *o;

	if (!caps)
		return NULL;
	host_caps_read(&d->kernel, &d->fs, caps);
	o = json_pack("{s:{s:s,s:I,s:I,s:I,s:s,s:b},s:o}", "host", "kernel", caps->release, "cpus",
		      (json_int_t)caps->nr_cpus, "nodes", (json_int_t)caps->nr_nodes,
		      "memory_bytes", (json_int_t)caps->memory_bytes, "cgroups",
		      caps->cgroup_layout, "smt", d->topo.smt, "self", api_self(d));
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		json_t *yes = json_array(), *no = json_array();

		for (int i = 0; i < HOSTCAP_NR; i++) {
			if (host_cap_descs[i].area == groups[g].area)
				json_array_append_new(caps->state[i] == CAP_YES ? yes : no,
						      json_pack("{s:s,s:s,s:o}", "name",
								host_cap_descs[i].name, "what",
								host_cap_descs[i].gives, "text",
								shape_text(caps->why[i])));
		}
		json_object_set_new(o, groups[g].yes, yes);
		json_object_set_new(o, groups[g].no, no);
	}
	if (d->zones_mgr)
		json_object_set_new(o, "machines", zone_machines_json(d->zones_mgr));
	if (d->actuator && !turn_can_apply(c->d, &why))
		json_object_set_new(o, "cannot_enforce", shape_text(why));
	if (!d->ledger)
		json_object_set_new(o, "ledger_off", shape_text(d->ledger_why_off));
	return o;
}
