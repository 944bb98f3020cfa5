/* SPDX-License-Identifier: MIT */
#include "daemon/zone-mgr.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "spec/zone-spec-io.h"

#define EDIT_LOOK_TICK 5

struct applied *zones_mgr_find(const struct zones_mgr *m, const char *name)
{
	for (size_t i = 0; m && name && i < m->nr; i++)
		if (!strcmp(m->items[i]->name, name))
			return m->items[i];
	return NULL;
}

void zone_say(struct applied *z, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	events_add(&z->m->d->events, clock_real_ns(), EVENT_ZONE, z->name, 0, "zone %s: %s",
		   z->name, text);
	log_info("zone %s: %s", z->name, text);
}

void zone_set_state(struct applied *z, enum zone_state s)
{
	int r;

	z->rec.state = s;
	r = zone_store_state(z->m->dirfd, z->name, &z->rec);
	if (r < 0)
		log_warn("zone %s: its state is not kept on disk: %s", z->name, strerror(-r));
}

int zone_may(const struct applied *z, enum zone_state to, struct error *reterr)
{
	enum zone_state steps[ZONE_STEPS_MAX];
	size_t nr;
	int r = zone_steps(z->rec.state, to, steps, &nr, reterr);

	return r < 0 ? error_wrap(reterr, r, "zone %s", z->name) : 0;
}

void zone_soon(struct zones_mgr *m)
{
	sd_event_source_set_time(m->timer, clock_mono_ns() / 1000);
	sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

void zone_look_at_spec(struct applied *z)
{
	uint64_t hash;
	bool edited = zone_store_hash(z->m->dirfd, z->name, &hash) < 0 || hash != z->rec.spec_hash;

	if (edited && !z->edited) {
		zone_say(z, "spec.yaml was changed or lost behind czd's back: not followed");
		log_warn("zone %s: spec.yaml is not what czd wrote; `czctl update -f FILE` sets it "
			 "right",
			 z->name);
	}
	z->edited = edited;
}

void zones_mgr_tick(struct zones_mgr *m)
{
	uint64_t now_ns = clock_mono_ns();

	for (size_t i = 0; m && i < m->nr; i++) {
		zone_check_boot(m->items[i], now_ns);
		zone_check_voice(m->items[i], now_ns);
		zone_tell_again(m->items[i]);
		if (m->d->self.ticks_total % EDIT_LOOK_TICK == i % EDIT_LOOK_TICK)
			zone_look_at_spec(m->items[i]);
	}
}

bool zones_mgr_has_groups(const struct zones_mgr *m)
{
	for (size_t i = 0; m && i < m->nr; i++)
		if (m->items[i]->groups)
			return true;
	return false;
}

/* The zone of a path below /cz-zones, and what follows it; NULL: none of ours. */
static const struct applied *zone_at(const struct zones_mgr *m, const char *path,
				     const char **ret_rest)
{
	const size_t n = sizeof(ZONES_PARENT "/") - 1;
	char name[ZONE_SPEC_NAME_MAX + 1];
	const char *rest;

	if (strncmp(path, ZONES_PARENT "/", n))
		return NULL;
	rest = path + n + strcspn(path + n, "/");
	if ((size_t)(rest - path) - n >= sizeof(name))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)(rest - path - n), path + n);
	*ret_rest = rest;
	return zones_mgr_find(m, name);
}

bool zones_mgr_is_foreign(const struct zones_mgr *m, const char *path)
{
	const size_t n = sizeof(ZONES_PARENT) - 1;
	const struct applied *z;
	const char *rest;

	if (strncmp(path, ZONES_PARENT, n) || (path[n] && path[n] != '/'))
		return false;
	if (!path[n])
		return !zones_mgr_has_groups(m);
	z = zone_at(m, path, &rest);
	return !z || !z->groups;
}

static bool mixed(const struct zone_spec *s)
{
	for (size_t i = 0; i < s->nr_apps; i++)
		if (s->apps[i].class != CLASS_NORMAL && s->apps[i].class != s->class)
			return true;
	return false;
}

static const struct applied *adopter_of(const struct zones_mgr *m, const char *path)
{
	for (size_t i = 0; m && i < m->nr; i++)
		if (!strcmp(m->items[i]->domain, path) && m->items[i]->spec.os.adopt)
			return m->items[i];
	return NULL;
}

bool zones_mgr_class(const struct zones_mgr *m, const char *path, enum zone_class *ret_class,
		     struct slo *ret_slo, enum zone_kind *ret_kind)
{
	const struct applied *adopter = adopter_of(m, path);
	const struct applied *z;
	const char *rest;

	if (adopter) {
		*ret_class = adopter->spec.class;
		*ret_slo = adopter->spec.slo;
		*ret_kind = ZONE_VM;
		return true;
	}
	z = zone_at(m, path, &rest);
	if (!z || z->spec.os.adopt) /* its supervisor only */
		return false;
	*ret_kind = z->spec.runtime == RUNTIME_VM ? ZONE_VM : ZONE_CGROUP;
	if (!*rest) {
		*ret_class = z->spec.class;
		*ret_slo = z->spec.slo;
		return true;
	}
	/* Apps of one class are covered by the zone's own; normal: as the zone. */
	*ret_class = z->spec.class;
	*ret_slo = (struct slo){0};
	for (size_t i = 0; z->spec.runtime == RUNTIME_CGROUP && i < z->spec.nr_apps; i++) {
		if (strcmp(z->spec.apps[i].name, rest + 1) || !mixed(&z->spec) ||
		    z->spec.apps[i].class == CLASS_NORMAL)
			continue;
		*ret_class = z->spec.apps[i].class;
		return true;
	}
	return false;
}

/* What is asked for */

static uint32_t free_slot(const struct zones_mgr *m)
{
	for (uint32_t slot = m->first_slot;; slot++) {
		bool taken = false;

		for (size_t i = 0; i < m->nr; i++)
			taken |= m->items[i]->rec.slot == slot;
		if (!taken)
			return slot;
	}
}

struct applied *zone_add(struct zones_mgr *m, const char *name)
{
	struct applied *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	*z = (struct applied){.m = m, .pidfd = -1};
	str_copy(z->name, sizeof(z->name), name);
	snprintf(z->path, sizeof(z->path), ZONES_PARENT "/%s", z->name);
	m->items[m->nr++] = z;
	return z;
}

int zone_create(struct zones_mgr *m, struct zone_spec *spec, struct applied **ret,
		struct error *reterr)
{
	struct zone_record rec = {.state = ZS_CREATED, .slot = free_slot(m)};
	struct strbuf yaml = {0};
	struct applied *z;
	int r;

	if (m->nr == ZONES_APPLIED_MAX)
		return error_set(reterr, -ENOSPC, "there are %d zones already, which is the most",
				 ZONES_APPLIED_MAX);
	r = zone_check(m, spec, reterr);
	if (r < 0)
		return r;
	r = zone_spec_yaml(spec, &yaml);
	if (r < 0)
		error_errno(reterr, r, "write the spec of %s", spec->name);
	else
		r = zone_store_create(m->dirfd, spec->name, yaml.data, &rec, reterr);
	strbuf_done(&yaml);
	if (r < 0)
		return r;
	z = zone_add(m, spec->name);
	if (!z)
		return error_errno(reterr, -ENOMEM, "zone %s", spec->name);
	z->rec = rec;
	z->spec = *spec;
	memset(spec, 0, sizeof(*spec));
	zone_say(z, "created");
	*ret = z;
	return 0;
}

/* Zones of several czd are to be users of their own. The common one begins at 0; where another one
 * begins is told by its folder, so that it stays the same (two may meet: 1 in 194). */
static uint32_t first_slot(const char *state_dir)
{
	_cleanup_free_ char *real = realpath(state_dir, NULL);

	if (!real || !strcmp(real, DEFAULT_STATE_DIR))
		return 0;
	return ZONE_SLOTS * (1 + (uint32_t)(hash_string(real) % (ZONE_SLOTS_MAX / ZONE_SLOTS - 1)));
}

int zones_mgr_new(struct daemon *d, struct zones_mgr **ret)
{
	struct zones_mgr *m = calloc(1, sizeof(*m));
	struct error e = {0};
	int r;

	if (!m)
		return -ENOMEM;
	*m = (struct zones_mgr){.d = d, .dirfd = -1, .run_dirfd = -1};
	r = sd_event_add_time(d->loop, &m->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, zones_step, m);
	if (r < 0) {
		free(m);
		return r;
	}
	r = zone_store_open(d->opt->state_dir, &m->dirfd, &e);
	m->first_slot = first_slot(d->opt->state_dir);
	if (r == 0 && mkdirat(d->run_dirfd, "zones", 0711) < 0 && errno != EEXIST)
		r = error_errno(&e, -errno, "make %s/zones", d->opt->run_dir);
	if (r == 0) {
		m->run_dirfd = openat(d->run_dirfd, "zones", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		zones_load(m);
	} else {
		log_warn("zones cannot be created: %s", e.msg);
		str_copy(m->why_off, sizeof(m->why_off), e.msg);
	}
	zone_soon(m);
	*ret = m;
	return 0;
}

void zones_mgr_free(struct zones_mgr *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr; i++) {
		struct applied *z = m->items[i];

		sd_event_source_disable_unref(z->gone);
		zone_drop_link(z);
		close_fd(&z->pidfd);
		zone_spec_done(&z->spec);
		free(z);
	}
	sd_event_source_disable_unref(m->timer);
	close_fd(&m->dirfd);
	close_fd(&m->run_dirfd);
	free(m);
}
