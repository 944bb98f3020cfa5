/* SPDX-License-Identifier: MIT */
#include "daemon/shape.h"

#include <string.h>
#include "base/clock.h"
#include "base/str.h"

#define APPROVALS_MAX 64 /* told at most */

json_t *shape_known(bool known, uint64_t value)
{
	return known ? json_integer((json_int_t)value) : json_null();
}

json_t *shape_text(const char *s)
{
	char safe[ZONE_PATH_MAX];

	return json_string(str_escape(safe, sizeof(safe), s));
}

json_t *shape_string(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : shape_text(s);
}

static json_t *real_time(const struct daemon *d, uint64_t mono_ns)
{
	return shape_known(mono_ns != 0, clock_real_ns() - clock_mono_ns() + mono_ns);
}

/* Which of two to tell: the one of which somebody can be told, then the larger loss of time. */
static bool tells_more(const struct finding *a, const struct finding *b)
{
	bool named_a = a->nr_culprits, named_b = b->nr_culprits;

	return named_a != named_b ? named_a : a->wait_share_ppm > b->wait_share_ppm;
}

const struct finding *open_finding(const struct daemon *d, uint64_t victim_id)
{
	const struct finding *best = NULL;

	for (size_t i = 0; i < d->findings.nr; i++) {
		const struct finding *f = &d->findings.items[i];

		if (f->open && f->victim_id == victim_id && (!best || tells_more(f, best)))
			best = f;
	}
	return best;
}

const struct gone_zone *shape_gone(const struct daemon *d, uint64_t zone_id)
{
	for (size_t i = 0; i < GONE_KEPT; i++) {
		if (d->gone[i].id == zone_id)
			return zone_id ? &d->gone[i] : NULL;
	}
	return NULL;
}

static bool is_restrained(const struct daemon *d, uint64_t zone_id)
{
	const struct action *a;
	size_t n = decide_actions(d->decide, &a);

	for (size_t i = 0; i < n; i++) {
		if (a[i].target_id == zone_id &&
		    (a[i].state == ACTION_APPLIED || a[i].state == ACTION_KEPT))
			return true;
	}
	return false;
}

static bool is_hurting(const struct daemon *d, uint64_t zone_id)
{
	for (size_t i = 0; i < d->findings.nr; i++) {
		const struct finding *f = &d->findings.items[i];

		for (size_t c = 0; f->open && c < f->nr_culprits; c++) {
			if (f->culprits[c].zone_id == zone_id)
				return true;
		}
	}
	return false;
}

struct doing {
	const char *now, *past, *rest;
};
static const struct doing doing_cpu[CAUSE_NR] = {
    [CAUSE_NEIGHBOUR] = {"is", "was", "hurt"},
    [CAUSE_SELF] = {"is", "was", "short of CPU by its own load"},
    [CAUSE_THROTTLED] = {"is", "was", "held back by its own CPU quota"},
    [CAUSE_KERNEL] = {"is", "was", "held up by kernel work (interrupts, kernel threads)"},
    [CAUSE_HOST] = {"is", "was", "held up by the hypervisor (steal)"},
    [CAUSE_IDLE] = {"is", "was", "slow to wake up (its CPU was idle)"},
    [CAUSE_UNKNOWN] = {"waits", "waited", "too long for a cause unknown"},
};
static const struct doing doing_memory[CAUSE_NR] = {
    [CAUSE_NEIGHBOUR] = {"is", "was", "hurt"},
    [CAUSE_SELF] = {"is", "was", "short of memory by its own doing"},
    [CAUSE_HOST] = {"is", "was", "short of memory, as the whole host is"},
    [CAUSE_UNKNOWN] = {"stalls", "stalled", "on memory for a cause unknown"},
};
static const struct doing doing_io[CAUSE_NR] = {
    [CAUSE_NEIGHBOUR] = {"is", "was", "hurt"},
    [CAUSE_SELF] = {"is", "was", "slow by its own io"},
    [CAUSE_THROTTLED] = {"is", "was", "held back by its own io limit"},
    [CAUSE_UNKNOWN] = {"stalls", "stalled", "on io for a cause unknown"},
};
static const struct doing doing_network[CAUSE_NR] = {
    [CAUSE_NEIGHBOUR] = {"is", "was", "hurt"},
    [CAUSE_SELF] = {"loses", "lost", "packets by its own sending"},
    [CAUSE_UNKNOWN] = {"loses", "lost", "packets for a cause unknown"},
};
static const struct doing doing_cache[CAUSE_NR] = {
    [CAUSE_NEIGHBOUR] = {"is", "was", "slowed down in caches or memory"},
    [CAUSE_UNKNOWN] = {"is", "was", "slow in caches or memory for a cause unknown"},
};
static const struct doing doing_other = {"is", "was", "slow"};

static const struct doing *doing(const struct finding *f)
{
	const struct doing *of = f->resource == RESOURCE_CPU	   ? doing_cpu
				 : f->resource == RESOURCE_MEMORY  ? doing_memory
				 : f->resource == RESOURCE_IO	   ? doing_io
				 : f->resource == RESOURCE_NETWORK ? doing_network
				 : f->resource == RESOURCE_CACHE   ? doing_cache
								   : NULL;

	return of && of[f->cause].now ? &of[f->cause] : &doing_other;
}

char *finding_words(const struct finding *f, bool past, char *buf, size_t size)
{
	const struct doing *words = doing(f);

	snprintf(buf, size, "%s %s %s%s%s", f->victim_name, past ? words->past : words->now,
		 words->rest, f->nr_culprits ? " by " : "",
		 f->nr_culprits ? f->culprits[0].name : "");
	return buf;
}

const char *protected_state(const struct daemon *d, const struct zone_view *v,
			    const struct ledger_view *w)
{
	if (open_finding(d, v->id))
		return "hurt";
	if (!w || !w->window_ns)
		return "learning";
	return w->estimated && !w->wait_ns ? "unknown" : "fine";
}

static const char *zone_state(const struct daemon *d, const struct zone_view *v,
			      const struct ledger_view *w, bool protected)
{
	if (protected)
		return protected_state(d, v, w);
	if (is_restrained(d, v->id))
		return "restrained";
	if (is_hurting(d, v->id))
		return "hurting";
	return "-";
}

static uint64_t ratio_ppm(uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((__uint128_t)part * 1000000 / whole) : 0;
}

static json_t *rate(const struct daemon *d, const struct zone_view *v, enum zone_metric m)
{
	bool known = (v->delta_valid & METRIC_BIT(m)) && d->snap.window_ns;

	return shape_known(known, ratio_ppm(v->delta[m], d->snap.window_ns));
}

/* Read and written, in a second. */
static json_t *io_rate(const struct daemon *d, const struct zone_view *v)
{
	uint64_t both = METRIC_BIT(ZM_IO_READ_BYTES) | METRIC_BIT(ZM_IO_WRITE_BYTES);
	uint64_t bytes = v->delta[ZM_IO_READ_BYTES] + v->delta[ZM_IO_WRITE_BYTES];
	bool known = (v->delta_valid & both) == both && d->snap.window_ns;

	return shape_known(
	    known, known ? (uint64_t)((__uint128_t)bytes * 1000000000 / d->snap.window_ns) : 0);
}

json_t *shape_zone(const struct daemon *d, const struct zone_view *v)
{
	const struct ledger_view *w = snapshot_ledger(&d->snap, (uint32_t)(v - d->snap.zones));
	bool protected = v->class == CLASS_LC && v->class_is_own;
	char slo[128];

	slo_format(&v->slo, slo, sizeof(slo));
	return json_pack(
	    "{s:I,s:o,s:o,s:s,s:s,s:b,s:b,s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:i}", "id",
	    (json_int_t)v->id, "name", shape_string(v->name), "path", shape_string(v->path), "kind",
	    zone_kind_name(v->kind), "class", zone_class_name(v->class), "class_own",
	    v->class_is_own, "protected", protected, "slo", slo, "off_limits", v->off_limits,
	    "cpu_ppm", rate(d, v, ZM_CPU_USAGE_NS), "wait_ppm",
	    shape_known(w && w->window_ns, w ? ratio_ppm(w->wait_ns, w->window_ns) : 0),
	    "foreign_wait_ppm",
	    shape_known(w && w->window_ns && !w->estimated,
			w ? ratio_ppm(w->cause_ns[CAUSE_NEIGHBOUR], w->window_ns) : 0),
	    "wait_p99_ns", shape_known(w && w->waits, w ? w->wait_p99_ns : 0), "memory_bytes",
	    shape_known(v->valid & METRIC_BIT(ZM_MEM_BYTES), v->value[ZM_MEM_BYTES]),
	    "io_bytes_per_second", io_rate(d, v), "throttled_ppm", rate(d, v, ZM_CPU_THROTTLED_NS),
	    "psi_cpu_ppm", rate(d, v, ZM_PSI_CPU_SOME_NS), "state", zone_state(d, v, w, protected),
	    "depth", (int)v->depth);
}

static json_t *shape_part(const struct daemon *d, const struct ledger_part *p, uint64_t wait_ns)
{
	const struct zone_view *z = p->zone < d->snap.nr_zones ? &d->snap.zones[p->zone] : NULL;
	bool neighbour = p->cause == CAUSE_NEIGHBOUR;
	const struct gone_zone *gone = z || !neighbour ? NULL : shape_gone(d, p->culprit_id);
	const char *name = z ? z->name : gone ? gone->name : neighbour ? "(gone)" : NULL;
	const char *class = z	   ? zone_class_name(z->class)
			    : gone ? zone_class_name(gone->class)
				   : NULL;

	return json_pack("{s:s,s:o,s:o,s:s?,s:I,s:I,s:o,s:o,s:o}", "cause", cause_name(p->cause),
			 "zone", name ? shape_string(name) : json_null(), "path",
			 z ? shape_string(z->path) : json_null(), "class", class, "share_ppm",
			 (json_int_t)ratio_ppm(p->ns, wait_ns), "ns", (json_int_t)p->ns, "cpu",
			 p->cpu >= 0 ? json_integer(p->cpu) : json_null(), "pid",
			 shape_known(p->pid > 0, p->pid), "comm",
			 p->comm[0] ? shape_text(p->comm) : json_null());
}

/* Shares by largest remainder, so that they sum to one million exactly. */
static json_t *shape_causes(const uint64_t ns[CAUSE_NR])
{
	json_t *o = json_object();
	uint64_t total = 0, given = 0, ppm[CAUSE_NR];
	int largest = 0;

	for (int c = 0; c < CAUSE_NR; c++) {
		total += ns[c];
		if (ns[c] > ns[largest])
			largest = c;
	}
	for (int c = 0; c < CAUSE_NR; c++) {
		ppm[c] = ratio_ppm(ns[c], total);
		given += ppm[c];
	}
	if (total)
		ppm[largest] += 1000000 - given;
	for (int c = 0; c < CAUSE_NR; c++)
		json_object_set_new(o, cause_name(c), json_integer((json_int_t)ppm[c]));
	return o;
}

#define NEIGHBOURS_NAMED 32
/* Few neighbours are named one by one; the shares sum to the whole all the same. */
static json_t *shape_parts(const struct daemon *d, const struct ledger_view *w)
{
	struct ledger_part rest = {.cause = CAUSE_NEIGHBOUR, .zone = NO_ZONE, .cpu = -1};
	json_t *parts = json_array(), *row;
	size_t named = 0, others = 0;
	char text[32];

	for (size_t i = 0; i < w->nr_parts; i++) {
		bool neighbour = w->parts[i].cause == CAUSE_NEIGHBOUR;

		if (neighbour && named == NEIGHBOURS_NAMED) {
			rest.ns += w->parts[i].ns;
			others++;
			continue;
		}
		named += neighbour;
		json_array_append_new(parts, shape_part(d, &w->parts[i], w->wait_ns));
	}
	if (others) {
		row = shape_part(d, &rest, w->wait_ns);
		snprintf(text, sizeof(text), "(%zu more)", others);
		json_object_set_new(row, "zone", json_string(text));
		json_object_set_new(row, "others", json_integer((json_int_t)others));
		json_array_append_new(parts, row);
	}
	return parts;
}

json_t *shape_ledger(const struct daemon *d, const struct ledger_view *w)
{
	if (!w)
		return json_null();
	return json_pack(
	    "{s:I,s:I,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:I}", "window_ns", (json_int_t)w->window_ns,
	    "wait_ns", (json_int_t)w->wait_ns, "waits", shape_known(!w->estimated, w->waits),
	    "wait_p50_ns", shape_known(w->waits, w->wait_p50_ns), "wait_p99_ns",
	    shape_known(w->waits, w->wait_p99_ns), "wait_max_ns",
	    shape_known(w->waits, w->wait_max_ns), "estimated", w->estimated, "cause_ppm",
	    shape_causes(w->cause_ns), "parts", shape_parts(d, w), "feed_p99_ns",
	    shape_known(w->feed_count, w->feed_p99_ns), "feed_count", (json_int_t)w->feed_count);
}

json_t *shape_finding(const struct daemon *d, const struct finding *f)
{
	json_t *culprits = json_array(), *causes = json_object();

	for (size_t i = 0; i < f->nr_culprits; i++) {
		const struct culprit *c = &f->culprits[i];

		json_array_append_new(
		    culprits,
		    json_pack("{s:o,s:s,s:I,s:o,s:o,s:o}", "zone", shape_string(c->name), "class",
			      zone_class_name(c->class), "share_ppm", (json_int_t)c->share_ppm,
			      "pid", shape_known(c->pid > 0, c->pid), "cpu",
			      c->cpu >= 0 ? json_integer(c->cpu) : json_null(), "comm",
			      c->comm[0] ? shape_text(c->comm) : json_null()));
	}
	for (int c = 0; c < CAUSE_NR; c++)
		json_object_set_new(causes, cause_name(c), json_integer(f->cause_ppm[c]));
	return json_pack(
	    "{s:I,s:b,s:o,s:s,s:s,s:s,s:I,s:I,s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,"
	    "s:o}",
	    "seq", (json_int_t)f->seq, "open", f->open, "victim", shape_string(f->victim_name),
	    "resource", resource_name(f->resource), "cause", cause_name(f->cause), "severity",
	    severity_name(f->severity), "since_ns", (json_int_t)f->since_ns, "last_ns",
	    (json_int_t)f->last_ns, "since_real_ns", real_time(d, f->since_ns), "duration_ns",
	    (json_int_t)(f->last_ns - f->since_ns), "window_ns", (json_int_t)f->window_ns,
	    "wait_ppm", (json_int_t)f->wait_share_ppm, "wait_p99_ns",
	    shape_known(f->wait_p99_ns, f->wait_p99_ns), "goal_wait_p99_ns",
	    shape_known(f->goal_wait_p99_ns, f->goal_wait_p99_ns), "baseline_ppm",
	    shape_known(f->baseline_share_ppm, f->baseline_share_ppm), "feed_p99_ns",
	    shape_known(f->feed_p99_ns, f->feed_p99_ns), "goal_latency_p99_ns",
	    shape_known(f->goal_latency_p99_ns, f->goal_latency_p99_ns), "why",
	    shape_string(f->why), "cause_ppm", causes, "culprits", culprits, "evidence",
	    f->told[0] ? shape_string(f->told) : json_null());
}

static json_t *name_of(const struct daemon *d, uint64_t id)
{
	const struct zone *z = id ? zones_by_id(d->zones, id) : NULL;

	return z ? shape_string(z->name) : json_null();
}

json_t *shape_action(const struct daemon *d, const struct action *a)
{
	bool measured = a->outcome == OUTCOME_HELPED || a->outcome == OUTCOME_NO_HELP;
	uint64_t begin_ns = a->onset_ns > a->permitted_ns ? a->onset_ns : a->permitted_ns;

	return json_pack(
	    "{s:I,s:I,s:o,s:o,s:o,s:s,s:s,s:o,s:o,s:o,s:o,s:s,s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:o,s:o,"
	    "s:o,"
	    "s:o,"
	    "s:o,s:I,s:o,s:I,s:I,s:o,s:o}",
	    "seq", (json_int_t)a->seq, "finding", (json_int_t)a->finding_seq, "victim",
	    shape_string(a->victim_name), "culprit", name_of(d, a->culprit_id), "target",
	    shape_string(a->target_name), "resource", resource_name(a->resource), "knob",
	    knob_name(a->knob), "from", a->from[0] ? shape_string(a->from) : json_null(), "to",
	    shape_string(a->to), "reason", shape_string(a->reason), "expect",
	    shape_string(a->expect), "state", action_state_name(a->state), "outcome",
	    outcome_name(a->outcome), "fast", a->fast, "onset_ns", (json_int_t)a->onset_ns,
	    "decided_ns", (json_int_t)a->decided_ns, "written_ns",
	    shape_known(a->written_ns, a->written_ns), "settled_ns",
	    shape_known(a->settled_ns, a->settled_ns), "written_real_ns",
	    real_time(d, a->written_ns), "lease_end_real_ns", real_time(d, a->lease_end_ns),
	    "permitted_ns", shape_known(a->permitted_ns, a->permitted_ns), "took_ns",
	    shape_known(a->written_ns && a->onset_ns, a->written_ns - begin_ns),
	    "before_wait_p99_ns", shape_known(a->before_wait_p99_ns, a->before_wait_p99_ns),
	    "after_wait_p99_ns", shape_known(measured, a->after_wait_p99_ns), "before_share_ppm",
	    (json_int_t)a->before_share_ppm, "after_share_ppm",
	    shape_known(measured, a->after_share_ppm), "bystanders", (json_int_t)a->bystanders,
	    "before_behind_ppm", (json_int_t)a->before_behind_ppm, "after_behind_ppm",
	    shape_known(measured, a->after_behind_ppm), "ended", shape_string(a->ended));
}

json_t *shape_event(const struct event *e)
{
	return json_pack("{s:I,s:I,s:s,s:o,s:o,s:I}", "seq", (json_int_t)e->seq, "real_ns",
			 (json_int_t)e->real_ns, "kind", event_kind_name(e->kind), "text",
			 shape_string(e->text), "zone", shape_string(e->zone), "ref",
			 (json_int_t)e->ref);
}

/* The zone's name, or NULL when it is gone: nothing is done for it any more. */
static json_t *zone_name(const struct daemon *d, uint64_t zone_id)
{
	const struct zone *z = zones_by_id(d->zones, zone_id);

	return z ? shape_string(d->snap.zones[z->index].name) : NULL;
}

static json_t *shape_trials(const struct daemon *d, uint64_t now_ns)
{
	struct mode_trial t[LEDGER_VICTIMS_MAX + 1];
	size_t n = decide_trials(d->decide, now_ns, t, sizeof(t) / sizeof(t[0]));
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *zone = t[i].victim_id ? zone_name(d, t[i].victim_id) : json_null();

		if (zone)
			json_array_append_new(rows,
					      json_pack("{s:o,s:I,s:I}", "zone", zone, "until_ns",
							(json_int_t)t[i].until_ns, "left_ns",
							(json_int_t)(t[i].until_ns - now_ns)));
	}
	return rows;
}

static json_t *shape_own_modes(const struct daemon *d)
{
	struct own_mode m[LEDGER_VICTIMS_MAX];
	size_t n = decide_own_modes(d->decide, m, sizeof(m) / sizeof(m[0]));
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *zone = zone_name(d, m[i].victim_id);

		if (zone)
			json_array_append_new(rows, json_pack("{s:o,s:s}", "zone", zone, "mode",
							      guard_mode_name(m[i].mode)));
	}
	return rows;
}

static json_t *shape_approvals(const struct daemon *d, uint64_t now_ns)
{
	struct approval a[APPROVALS_MAX];
	size_t n = decide_approvals(d->decide, now_ns, a, APPROVALS_MAX);
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *zone = zone_name(d, a[i].victim_id);
		json_t *target = zone ? zone_name(d, a[i].target_id) : NULL;

		if (target)
			json_array_append_new(
			    rows, json_pack("{s:o,s:o,s:s,s:I,s:I}", "zone", zone, "target", target,
					    "resource", resource_name(a[i].resource), "until_ns",
					    (json_int_t)a[i].until_ns, "left_ns",
					    (json_int_t)(a[i].until_ns - now_ns)));
		else
			json_decref(zone);
	}
	return rows;
}

json_t *shape_mode(const struct daemon *d, uint64_t victim_id)
{
	uint64_t now_ns = clock_mono_ns(), until_ns;
	enum guard_mode mode = decide_mode(d->decide, victim_id, now_ns, &until_ns);
	const char *why;

	return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:o}", "mode", guard_mode_name(mode),
			 "protected", (json_int_t)d->victims.nr, "until_ns",
			 shape_known(until_ns, until_ns), "trials", shape_trials(d, now_ns),
			 "modes", shape_own_modes(d), "approvals", shape_approvals(d, now_ns),
			 "cannot_enforce", turn_can_apply(d, &why) ? json_null() : shape_text(why));
}
