/* SPDX-License-Identifier: MIT */
/*
 * Two levels of waiting: an app in a virtual machine waits for a vCPU behind other apps, as its
 * guest tells, and the vCPU waits for a CPU of the host, as the host's ledger has it. Who asks why
 * hears of both.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"

#define HARM_PPM  50000 /* of the time: below, nobody is hurt by it */
#define FRESH_NS  5000000000ull
#define SECOND_NS 1000000000ull /* what a guest's figures cover */

static bool is_own(const struct zone_part *p)
{
	return !strcmp(p->cause, "self") || !strcmp(p->cause, "idle") ||
	       !strcmp(p->cause, "throttled");
}

static uint64_t foreign_inside_ppm(const struct zone_app_stats *a)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < a->nr_parts; i++)
		if (!is_own(&a->parts[i]))
			ns += a->parts[i].ns < SECOND_NS ? a->parts[i].ns : SECOND_NS;
	return ns / (SECOND_NS / 1000000);
}

static uint64_t foreign_below_ppm(const struct ledger_view *w)
{
	uint64_t ns;

	if (!w || !w->window_ns)
		return 0;
	ns = w->cause_ns[CAUSE_NEIGHBOUR] + w->cause_ns[CAUSE_HOST] + w->cause_ns[CAUSE_KERNEL];
	return (uint64_t)((__uint128_t)ns * 1000000 / w->window_ns);
}

static void add_parts(struct strbuf *b, const struct zone_app_stats *a)
{
	for (size_t i = 0; i < a->nr_parts && i < 3; i++) {
		const struct zone_part *p = &a->parts[i];
		char share[24];

		format_ppm(a->wait_ns ? (uint64_t)((__uint128_t)p->ns * 1000000 / a->wait_ns) : 0,
			   share, sizeof(share));
		strbuf_printf(b, "%s%s %s", i ? ", " : ": behind ",
			      p->app[0]			       ? p->app
			      : !strcmp(p->cause, "neighbour") ? "what is no app"
			      : !strcmp(p->cause, "self")      ? "its own work"
							       : p->cause,
			      share);
	}
}

static void add_inside(struct strbuf *b, const struct applied *z, const struct zone_app_stats *a)
{
	char share[24];

	if (!a->wait_known) {
		strbuf_printf(b, "What %s waits for inside zone %s is not known", a->name, z->name);
		return;
	}
	if (!a->waits) {
		strbuf_printf(b, "Inside zone %s, %s has not waited", z->name, a->name);
		return;
	}
	format_ppm(a->wait_ns / (SECOND_NS / 1000000), share, sizeof(share));
	strbuf_printf(b, "Inside zone %s, %s waited %s of the last second for a vCPU", z->name,
		      a->name, share);
	add_parts(b, a);
}

static const char *verdict_of(uint64_t inside_ppm, uint64_t below_ppm, bool known)
{
	if (inside_ppm >= HARM_PPM && below_ppm >= HARM_PPM)
		return "both: apps of the zone, and the host's CPUs under it";
	if (inside_ppm >= HARM_PPM)
		return "inside: other work of the same zone";
	if (below_ppm >= HARM_PPM)
		return "below: others on the host's CPUs under the zone";
	return known ? "nowhere: neither inside the zone nor on the host"
		     : "nobody inside the zone; of the host nothing is known";
}

static const char *verdict_word(uint64_t inside_ppm, uint64_t below_ppm)
{
	bool inside = inside_ppm >= HARM_PPM, below = below_ppm >= HARM_PPM;

	return inside && below ? "both" : inside ? "inside" : below ? "below" : "none";
}

/* One app: what the two levels say. */
static json_t *shape_levels(const struct applied *z, const struct zone_app_stats *a,
			    const struct ledger_view *w)
{
	uint64_t inside = foreign_inside_ppm(a), below = foreign_below_ppm(w);
	struct strbuf b = {0};
	char share[24];
	json_t *o;

	add_inside(&b, z, a);
	if (w)
		strbuf_printf(&b, ". Its vCPUs waited %s of the time for others on the host",
			      format_ppm(below, share, sizeof(share)));
	else
		strbuf_puts(&b, ". What its vCPUs wait for is not known (only an lc zone has a "
				"ledger)");
	strbuf_printf(&b, ". The harm comes from %s.",
		      verdict_of(inside, below, w && a->wait_known));
	o = json_pack("{s:s,s:s,s:I,s:o,s:o}", "app", a->name, "level", verdict_word(inside, below),
		      "inside_ppm", (json_int_t)inside, "below_ppm", shape_known(w != NULL, below),
		      "text", shape_string(b.data ? b.data : ""));
	strbuf_done(&b);
	return o;
}

const struct applied *zone_why_of(const struct zones_mgr *m, const char *name,
				  const struct zone_app_stats **ret_app)
{
	const char *slash = name ? strchr(name, '/') : NULL;
	char zone[ZONE_SPEC_NAME_MAX + 1];
	const struct applied *z;

	*ret_app = NULL;
	if (!name || (slash ? (size_t)(slash - name) : strlen(name)) >= sizeof(zone))
		return NULL;
	snprintf(zone, sizeof(zone), "%.*s", slash ? (int)(slash - name) : ZONE_SPEC_NAME_MAX,
		 name);
	z = zones_mgr_find(m, zone);
	if (!z || z->spec.runtime != RUNTIME_VM || !z->stats_ns)
		return NULL;
	for (size_t i = 0; slash && i < z->recent.nr_apps; i++)
		if (!strcmp(z->recent.apps[i].name, slash + 1))
			*ret_app = &z->recent.apps[i];
	return !slash || *ret_app ? z : NULL;
}

void zone_why(const struct applied *z, const struct zone_app_stats *app,
	      const struct ledger_view *w, json_t *o)
{
	const struct ledger_view *below = w && !w->estimated ? w : NULL;
	json_t *inside = json_array(), *notes = json_object_get(o, "notes");

	for (size_t i = 0; i < z->recent.nr_apps; i++) {
		const struct zone_app_stats *a = &z->recent.apps[i];
		json_t *levels;

		if (app ? a != app : a->class != CLASS_LC)
			continue;
		levels = shape_levels(z, a, below);
		if (app)
			json_object_set(o, "headline", json_object_get(levels, "text"));
		else
			json_array_append(notes, json_object_get(levels, "text"));
		json_array_append_new(inside, levels);
	}
	if (clock_mono_ns() - z->stats_ns > FRESH_NS)
		json_array_append_new(notes, json_string("the guest has not told of itself for "
							 "seconds: its figures are old"));
	json_object_set_new(o, "inside", inside);
}
