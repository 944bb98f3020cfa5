/* SPDX-License-Identifier: MIT */
/* Zones that users created, as JSON for clients (docs/protocol.md). */
#include <stdio.h>
#include "base/clock.h"
#include "base/str.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"
#include "spec/zone-spec-io.h"

static json_t *shape_part(const struct zone_part *p, uint64_t whole)
{
	return json_pack("{s:s,s:s?,s:I,s:I}", "cause", p->cause, "app", p->app[0] ? p->app : NULL,
			 "ns", (json_int_t)p->ns, "share_ppm",
			 (json_int_t)(whole ? p->ns * 1000000 / whole : 0));
}

static json_t *shape_app(const struct zone_app_stats *a)
{
	json_t *parts = json_array();

	for (size_t i = 0; i < a->nr_parts; i++)
		json_array_append_new(parts, shape_part(&a->parts[i], a->wait_ns));
	return json_pack("{s:s,s:s,s:s,s:I,s:o,s:o,s:I,s:I,s:b,s:I,s:I,s:o,s:o,s:o}", "name",
			 a->name, "class", zone_class_name(a->class), "state", a->state, "pid",
			 (json_int_t)a->pid, "oom", shape_text(a->oom), "oom_kills_total",
			 shape_known(a->oom_kills_total >= 0, (uint64_t)a->oom_kills_total), "exit",
			 (json_int_t)a->exit_code, "restarts", (json_int_t)a->restarts, "healthy",
			 a->healthy, "cpu_ns", (json_int_t)a->cpu_ns, "memory_bytes",
			 (json_int_t)a->memory_bytes, "wait_ns",
			 shape_known(a->wait_known, a->wait_ns), "wait_p99_ns",
			 shape_known(a->waits, a->wait_p99_ns), "parts", parts);
}

static json_t *shape_vcpus(const struct applied *z)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < z->hello.nr_vcpus; i++)
		json_array_append_new(rows, json_pack("{s:I,s:I,s:b}", "cpu", (json_int_t)i, "tid",
						      (json_int_t)z->hello.vcpus[i].tid, "online",
						      z->hello.vcpus[i].online));
	return rows;
}

static json_t *shape_apps(const struct applied *z)
{
	json_t *rows = json_array();

	if (z->stats_ns)
		for (size_t i = 0; i < z->stats.nr_apps; i++)
			json_array_append_new(rows, shape_app(&z->stats.apps[i]));
	else
		for (size_t i = 0; i < z->spec.nr_apps; i++)
			json_array_append_new(
			    rows, json_pack("{s:s,s:s,s:s}", "name", z->spec.apps[i].name, "class",
					    zone_class_name(z->spec.apps[i].class), "state", "-"));
	return rows;
}

json_t *zone_shape(const struct applied *z, bool whole)
{
	bool vm = z->spec.runtime == RUNTIME_VM, runs = z->rec.state == ZS_RUNNING;
	uint64_t memory = z->spec.os.adopt ? z->stats.balloon_bytes
			  : vm		   ? zone_spec_memory(&z->spec)
					   : z->spec.resource.memory_bytes;
	char cpus[256], silent[80];
	json_t *o;

	snprintf(silent, sizeof(silent), "no heartbeat for %llu s: it hangs",
		 (unsigned long long)z->silent_ns / 1000000000);
	if (cpuset_format(&z->spec.resource.cpus, cpus, sizeof(cpus)) < 0)
		str_copy(cpus, sizeof(cpus), "many");
	o = json_pack(
	    "{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:b,s:I,s:o,s:o,s:o}", "name", z->name, "path",
	    zone_watched_path(z), "runtime", vm ? "vm" : "cgroup", "class",
	    zone_class_name(z->spec.class), "state", zone_state_name(z->rec.state), "phase",
	    zone_is_stopping(z) ? "stopping" : zone_phase_name(runs ? z->phase : PHASE_NONE), "why",
	    shape_text(z->silent_ns ? silent : z->why), "cpus", cpus, "edited",
	    z->edited && !z->broken, "crashes", (json_int_t)z->crashes, "memory_bytes",
	    shape_known(memory, memory), "pid", shape_known(z->rec.pid, (uint64_t)z->rec.pid),
	    "started_ns", shape_known(runs, z->started_ns));
	json_object_set_new(o, "apps", shape_apps(z));
	json_object_set_new(o, "uptime_ns", shape_known(runs, clock_mono_ns() - z->started_ns));
	json_object_set_new(o, "silent_ns", shape_known(z->silent_ns, z->silent_ns));
	json_object_set_new(o, "retry_ns", shape_known(z->retry_ns, z->retry_ns));
	if (vm && runs && !z->spec.os.adopt) { /* in a domain of somebody's nobody speaks with us */
		json_object_set_new(o, "policy", json_string(z->stats.policy));
		json_object_set_new(o, "policy_wanted", json_string(z->stats.policy_wanted));
		json_object_set_new(o, "policy_why", json_string(z->stats.policy_why));
		json_object_set_new(o, "told", json_boolean(z->stats_ns && z->stats.told));
	}
	if (!whole)
		return o;
	json_object_set_new(o, "spec", zone_spec_json(&z->spec));
	if (vm && runs) {
		json_object_set_new(o, "vcpus", shape_vcpus(z));
		json_object_set_new(o, "accel", json_string(z->hello.accel));
		json_object_set_new(o, "accel_why", json_string(z->hello.accel_why));
		json_object_set_new(o, "guest_kernel", json_string(z->hello.kernel));
		json_object_set_new(o, "boot_ms",
				    shape_known(z->hello.boot_ms >= 0, (uint64_t)z->hello.boot_ms));
		json_object_set_new(o, "guest_available_bytes",
				    shape_known(z->stats_ns, z->stats.available_bytes));
	}
	return o;
}

/* As shape_zone(), as far as a guest tells; a: of z->recent. */
json_t *zone_app_row(const struct applied *z, const struct zone_app_stats *a)
{
	return json_pack(
	    "{s:n,s:o,s:o,s:s,s:s,s:b,s:b,s:s,s:b,s:n,s:o,s:n,s:o,s:I,s:n,s:n,s:n,s:s,s:i}", "id",
	    "name", json_sprintf("%s/%s", z->name, a->name), "path",
	    json_sprintf("%s (guest)/%s", z->path, a->name), "kind", "vm", "class",
	    zone_class_name(a->class), "class_own", true, "protected", false, "slo", "",
	    "off_limits", true, "cpu_ppm", "wait_ppm",
	    shape_known(a->wait_known, a->wait_ns / 1000), "foreign_wait_ppm", "wait_p99_ns",
	    shape_known(a->waits, a->wait_p99_ns), "memory_bytes", (json_int_t)a->memory_bytes,
	    "io_bytes_per_second", "throttled_ppm", "psi_cpu_ppm", "state",
	    a->healthy ? a->state : "sick", "depth", 3);
}

json_t *zones_mgr_rows(const struct zones_mgr *m)
{
	json_t *rows = json_array();

	for (size_t i = 0; m && i < m->nr; i++)
		json_array_append_new(rows, zone_shape(m->items[i], false));
	return rows;
}
