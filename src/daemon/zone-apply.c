/* SPDX-License-Identifier: MIT */
/* Changes to a zone that exists: what differs, what it takes, and taking it over while it runs. */
#include <stdio.h>
#include <string.h>
#include "actuate/zone-limits.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/zone-mgr.h"
#include "spec/zone-spec-io.h"

#define ASK_NS 30000000000ull

enum { TELL_APPS = 1, TELL_VCPUS = 2, TELL_MEMORY = 4, TELL_SCHED = 8 };

static const char *const update_names[] = {"stale", "hot", "reboot", "refused"};

/* From what it is: a machine that runs may grow to what it was started with. */
static enum zone_update diff(const struct applied *z, const struct zone_spec *wanted,
			     struct zone_change changes[ZONE_CHANGES_MAX], size_t *ret_nr)
{
	struct zone_spec now = z->spec; /* its texts are z's */

	if (now.runtime == RUNTIME_VM && z->rec.state == ZS_RUNNING) {
		now.resource.vcpus_max = z->vcpus_max;
		now.resource.memory_max_bytes = z->memory_max_bytes;
	}
	return zone_diff(&now, wanted, changes, ZONE_CHANGES_MAX, ret_nr);
}

json_t *zone_diff_json(const struct applied *z, const struct zone_spec *wanted)
{
	struct zone_change changes[ZONE_CHANGES_MAX];
	json_t *rows = json_array();
	size_t nr;
	enum zone_update needs = diff(z, wanted, changes, &nr);

	for (size_t i = 0; i < nr && i < ZONE_CHANGES_MAX; i++)
		json_array_append_new(rows,
				      json_pack("{s:s,s:s,s:s,s:s}", "field", changes[i].field,
						"from", changes[i].from, "to", changes[i].to,
						"needs", update_names[changes[i].needs]));
	return json_pack("{s:s,s:I,s:o}", "needs", update_names[needs], "count", (json_int_t)nr,
			 "changes", rows);
}

static void on_done(const struct zone_msg *m, int code, void *arg)
{
	struct applied *z = arg;

	z->telling--;
	if (m && m->ok)
		zone_say(z, "took the change in");
	else if (code != -ECONNRESET)
		zone_say(z, "did not take the change in: %.100s",
			 m ? m->error_message : strerror(-code));
}

/* What cannot be said now is said with the next tick. */
static void ask(struct applied *z, unsigned int what, json_t *request)
{
	int r = z->link ? zone_link_ask(z->link, request, ASK_NS, on_done, z) : -ENOTCONN;

	z->stats.told = false;
	if (!z->link)
		json_decref(request);
	if (r == 0) {
		z->telling++;
		return;
	}
	if (!z->untold)
		zone_say(z, "cannot be told of the change yet: %s", strerror(-r));
	z->untold |= what;
}

static bool changed(const struct zone_change *c, size_t nr, const char *field)
{
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(c[i].field, field, strlen(field)))
			return true;
	return false;
}

/* What the supervisor has to do. */
static void tell(struct applied *z, unsigned int what)
{
	const struct zone_spec *s = &z->spec;
	json_t *spec = zone_spec_json(s), *sched = json_object_get(spec, "scheduler");
	json_t *apps = json_object_get(spec, "apps");

	if (s->runtime == RUNTIME_CGROUP && what & TELL_APPS)
		ask(z, TELL_APPS, json_pack("{s:s,s:O}", "do", "apply", "spec", spec));
	if (s->runtime == RUNTIME_VM && what & TELL_VCPUS)
		ask(z, TELL_VCPUS,
		    json_pack("{s:s,s:I}", "do", "vcpus", "online",
			      (json_int_t)zone_spec_vcpus(s)));
	if (s->runtime == RUNTIME_VM && what & TELL_MEMORY)
		ask(z, TELL_MEMORY,
		    json_pack("{s:s,s:I}", "do", "memory", "bytes",
			      (json_int_t)zone_spec_memory(s)));
	if (s->runtime == RUNTIME_VM && what & TELL_SCHED)
		ask(z, TELL_SCHED,
		    json_pack("{s:s,s:O?,s:O?}", "do", "apply", "apps", apps, "sched", sched));
	else if (s->runtime == RUNTIME_VM && what & TELL_APPS)
		ask(z, TELL_APPS, json_pack("{s:s,s:O?}", "do", "apply", "apps", apps));
	json_decref(spec);
}

static unsigned int to_tell(const struct zone_change *c, size_t nr)
{
	return (changed(c, nr, "apps") ? TELL_APPS : 0) |
	       (changed(c, nr, "resource.vcpus") ? TELL_VCPUS : 0) |
	       (changed(c, nr, "resource.memory") ? TELL_MEMORY : 0) |
	       (changed(c, nr, "scheduler") ? TELL_SCHED : 0);
}

void zone_tell_again(struct applied *z)
{
	unsigned int what = z->untold;

	if (!what || !z->link || zone_is_stopping(z))
		return;
	z->untold = 0;
	tell(z, what);
}

static void set_classes(struct applied *z)
{
	size_t n = strlen(z->path);

	zones_for_each(z->m->d->zones, zone)
	{
		enum zone_class class;
		enum zone_kind kind;
		struct slo slo;

		if (strncmp(zone->path, z->path, n) || (zone->path[n] && zone->path[n] != '/'))
			continue;
		if (zones_mgr_class(z->m, zone->path, &class, &slo, &kind) &&
		    zones_set_class(z->m->d->zones, zone->id, class, &slo) < 0)
			log_debug("zone %s vanished", zone->path);
	}
}

static void take_live(struct applied *z, const struct zone_change *c, size_t nr)
{
	struct error e = {0};

	if (z->rec.state != ZS_RUNNING)
		return;
	if (zone_app_groups(z, &e) < 0 || zone_set_limits(z, &e) < 0)
		zone_say(z, "not all limits could be set: %.120s", e.msg);
	zone_place_vcpus(z);
	tell(z, to_tell(c, nr));
	set_classes(z);
	zone_class_domain(z);
	zone_note_groups(z);
}

static int keep(struct applied *z, const struct zone_spec *spec, struct error *reterr)
{
	struct strbuf yaml = {0};
	int r = zone_spec_yaml(spec, &yaml);

	if (r < 0)
		error_errno(reterr, r, "write the spec of %s", z->name);
	else
		r = zone_store_spec(z->m->dirfd, z->name, yaml.data, &z->rec, reterr);
	strbuf_done(&yaml);
	return r;
}

/* The field that makes it a reboot: hot changes may come before it. */
static const char *reboot_field(const struct zone_change *c, size_t nr)
{
	for (size_t i = 0; i < nr && i < ZONE_CHANGES_MAX; i++)
		if (c[i].needs == UPDATE_REBOOT)
			return c[i].field;
	return "one of many changes";
}

int zone_update(struct applied *z, struct zone_spec *spec, bool reboot, struct error *reterr)
{
	struct zone_change changes[ZONE_CHANGES_MAX];
	size_t nr = 0;
	bool runs = z->rec.state == ZS_RUNNING, mends = z->broken;
	/* Of what cannot be loaded there is nothing to keep, not even the runtime. */
	enum zone_update needs = mends && !runs ? UPDATE_HOT : diff(z, spec, changes, &nr);
	int r;

	if (z->rec.wish == WISH_REMOVE)
		return error_set(reterr, -EBUSY, "zone %s is being removed", z->name);
	if (needs == UPDATE_STALE && !z->edited && !z->broken)
		return 0;
	if (needs == UPDATE_REFUSED) {
		error_set(reterr, -EINVAL, "zone %s: its runtime and name cannot change", z->name);
		error_hint(reterr, "czctl remove %s, then create it anew", z->name);
		return -EINVAL;
	}
	if (needs == UPDATE_REBOOT && runs && !reboot) {
		error_set(reterr, -EAGAIN, "zone %s has to be booted anew for %s", z->name,
			  reboot_field(changes, nr));
		error_hint(reterr, "czctl update --reboot does that; czctl diff shows all changes");
		return -EAGAIN;
	}
	r = zone_check(z->m, spec, reterr);
	if (r == 0)
		r = keep(z, spec, reterr);
	if (r < 0)
		return r;
	zone_spec_done(&z->spec);
	z->spec = *spec;
	memset(spec, 0, sizeof(*spec));
	z->edited = z->broken = false;
	if (mends)
		z->why[0] = 0;
	if (mends && !runs)
		zone_set_state(z, ZS_STOPPED);
	zone_say(z, "updated, %zu %s", nr, nr == 1 ? "change" : "changes");
	if (needs == UPDATE_REBOOT && runs) {
		return zone_stop(z, WISH_REBOOT, ZONE_GRACE_NS, reterr);
	}
	take_live(z, changes, nr > ZONE_CHANGES_MAX ? ZONE_CHANGES_MAX : nr);
	return 0;
}
