/* SPDX-License-Identifier: MIT */
/* The verbs of zones that users create (docs/protocol.md). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "daemon/api.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"
#include "spec/zone-spec-io.h"

#define LOG_PIECE (32u << 10)

/* Arguments */

static struct zones_mgr *manager(const struct api_call *c, struct error *reterr)
{
	struct zones_mgr *m = c->d->zones_mgr;

	if (!m || m->dirfd < 0) {
		error_set(reterr, -EROFS, "zones cannot be kept on this host: %s",
			  m ? m->why_off : "a captured tree is only looked at");
		return NULL;
	}
	return m;
}

struct applied *arg_applied(const struct api_call *c, struct error *reterr)
{
	struct zones_mgr *m = manager(c, reterr);
	const char *name = NULL;
	struct applied *z;

	if (!m || arg_text(c, "name", &name, reterr) < 0)
		return NULL;
	if (!name) {
		error_set(reterr, -EINVAL, "which zone? Argument 'name' is missing");
		return NULL;
	}
	z = zones_mgr_find(m, name);
	if (!z) {
		error_set(reterr, -ENOENT, "no zone '%.64s' was created here", name);
		error_hint(reterr, "czctl list shows those that were");
	}
	return z;
}

static int arg_spec(const struct api_call *c, struct zone_spec *ret, struct error *reterr)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	int r = errs ? zone_spec_from_json("spec", json_object_get(c->args, "spec"), ret, errs)
		     : -ENOMEM;

	return r < 0 ? error_set(reterr, r, "%s", errs && errs->nr ? errs->items[0].text : "memory")
		     : 0;
}

/* Verbs */

json_t *api_zone_list(const struct api_call *c, struct error *reterr)
{
	return json_pack("{s:o,s:o}", "applied", zones_mgr_rows(c->d->zones_mgr), "policies",
			 c->d->zones_mgr ? zone_policies_json(c->d->zones_mgr) : json_array());
}

json_t *api_zone_show(const struct api_call *c, struct error *reterr)
{
	const struct applied *z = arg_applied(c, reterr);

	return z ? zone_shape(z, true) : NULL;
}

json_t *api_zone_create(const struct api_call *c, struct error *reterr)
{
	struct zones_mgr *m = manager(c, reterr);
	struct zone_spec spec;
	struct applied *z;
	int r;

	if (!m || arg_spec(c, &spec, reterr) < 0)
		return NULL;
	r = zone_create(m, &spec, &z, reterr);
	if (r < 0) {
		if (r == -EEXIST)
			error_hint(reterr, "czctl update -f changes it, czctl remove removes it");
		zone_spec_done(&spec);
		return NULL;
	}
	return zone_shape(z, false);
}

json_t *api_zone_start(const struct api_call *c, struct error *reterr)
{
	struct applied *z = arg_applied(c, reterr);

	return z && zone_start(z, reterr) == 0 ? zone_shape(z, false) : NULL;
}

json_t *api_zone_stop(const struct api_call *c, struct error *reterr)
{
	struct applied *z = arg_applied(c, reterr);
	uint64_t grace_ns = ZONE_GRACE_NS;

	if (!z ||
	    (json_object_get(c->args, "grace_ns") && arg_u64(c, "grace_ns", &grace_ns, reterr) < 0))
		return NULL;
	if (grace_ns > ZONE_GRACE_MAX_NS) {
		error_set(reterr, -EINVAL, "grace_ns is at most an hour");
		return NULL;
	}
	return zone_stop(z, WISH_STOP, grace_ns, reterr) == 0 ? zone_shape(z, false) : NULL;
}

json_t *api_zone_join(const struct api_call *c, struct error *reterr)
{
	struct applied *z = arg_applied(c, reterr);
	const char *app = NULL;

	if (!z || arg_text(c, "app", &app, reterr) < 0)
		return NULL;
	if (z->spec.runtime != RUNTIME_CGROUP) {
		error_set(reterr, -EOPNOTSUPP,
			  "zone %s is a virtual machine: no process of the "
			  "host can join it",
			  z->name);
		return NULL;
	}
	if (!peer_lives(c->peer)) {
		error_set(reterr, -ESRCH, "the process that asked is gone");
		return NULL;
	}
	return zone_join(z, app, c->peer->pid, reterr) == 0 ? json_pack("{s:s}", "path", z->path)
							    : NULL;
}

json_t *api_zone_remove(const struct api_call *c, struct error *reterr)
{
	struct applied *z = arg_applied(c, reterr);
	bool force;

	if (!z || arg_bool(c, "force", &force, reterr) < 0 ||
	    zone_stop(z, WISH_REMOVE, force ? 0 : ZONE_GRACE_NS, reterr) < 0)
		return NULL;
	/* What it left, of which its state does not tell: removed with it. */
	z->groups |= zone_owns_groups(z);
	return zone_shape(z, false);
}

static json_t *update(const struct api_call *c, struct applied *z, struct zone_spec *spec,
		      struct error *reterr)
{
	bool reboot, dry_run;
	json_t *diff;

	if (arg_bool(c, "reboot", &reboot, reterr) < 0 ||
	    arg_bool(c, "dry_run", &dry_run, reterr) < 0)
		return NULL;
	diff = zone_diff_json(z, spec);
	if (dry_run ? zone_check(z->m, spec, reterr) < 0
		    : zone_update(z, spec, reboot, reterr) < 0) {
		json_decref(diff);
		return NULL;
	}
	return json_pack("{s:o,s:o,s:b}", "zone", zone_shape(z, false), "diff", diff, "created",
			 false);
}

static bool find_app(const json_t *apps, const char *name, size_t *ret_index)
{
	const json_t *app;
	size_t i;

	json_array_foreach(apps, i, app)
	{
		if (!strcmp(json_string_value(json_object_get(app, "name")), name)) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

/* One app more or less. Done here and not by the client, who would write back what he read: others
 * may have changed it meanwhile. */
static int change_apps(const struct applied *z, json_t *apps, json_t *add, const char *delete,
		       struct error *reterr)
{
	const char *name = json_string_value(json_object_get(add, "name"));
	size_t at;

	if (name && find_app(apps, name, &at)) {
		error_set(reterr, -EEXIST, "zone %s has an app %.64s already", z->name, name);
		error_hint(reterr, "give this one another --name");
		return -EEXIST;
	}
	if (add)
		return json_array_append(apps, add) < 0 ? -ENOMEM : 0;
	if (!find_app(apps, delete, &at))
		return error_set(reterr, -ENOENT, "there is no app '%.64s' in zone %s", delete,
				 z->name);
	json_array_remove(apps, at);
	return 0;
}

static int spec_with_change(const struct api_call *c, json_t *add, const char *delete,
			    struct zone_spec *ret, struct error *reterr)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	const struct applied *z = arg_applied(c, reterr);
	json_t *spec, *apps;
	int r;

	if (!z)
		return -ENOENT;
	if (!errs)
		return error_errno(reterr, -ENOMEM, "change zone %s", z->name);
	spec = zone_spec_json(&z->spec);
	apps = json_object_get(spec, "apps");
	if (!apps && spec) {
		apps = json_array();
		json_object_set_new(spec, "apps", apps);
	}
	r = change_apps(z, apps, add, delete, reterr);
	if (r == 0 && (r = zone_spec_from_json("spec", spec, ret, errs)) < 0)
		error_set(reterr, r, "%s", errs->nr ? errs->items[0].text : "memory");
	json_decref(spec);
	return r;
}

json_t *api_zone_update(const struct api_call *c, struct error *reterr)
{
	struct zones_mgr *m = manager(c, reterr);
	json_t *add = json_object_get(c->args, "add_app");
	const char *delete = NULL;
	struct zone_spec spec;
	struct applied *z;
	json_t *o = NULL;
	int r;

	if (!m || arg_text(c, "delete_app", &delete, reterr) < 0)
		return NULL;
	r = add || delete ? spec_with_change(c, add, delete, &spec, reterr)
			  : arg_spec(c, &spec, reterr);
	if (r < 0)
		return NULL;
	z = zones_mgr_find(m, spec.name);
	if (z) {
		o = update(c, z, &spec, reterr);
	} else {
		error_set(reterr, -ENOENT, "no zone '%s' was created here", spec.name);
		error_hint(reterr, "czctl create -f FILE, or czctl apply -f FILE");
	}
	zone_spec_done(&spec);
	return o;
}

/* Whatever it takes for it to run like that. */
json_t *api_zone_apply(const struct api_call *c, struct error *reterr)
{
	struct zones_mgr *m = manager(c, reterr);
	struct zone_spec spec;
	struct applied *z;
	bool dry_run, create;
	json_t *o = NULL;

	if (!m || arg_bool(c, "dry_run", &dry_run, reterr) < 0 || arg_spec(c, &spec, reterr) < 0)
		return NULL;
	z = zones_mgr_find(m, spec.name);
	create = !z;
	if (create && dry_run) {
		if (zone_check(m, &spec, reterr) == 0)
			o = json_pack("{s:n,s:n,s:b}", "zone", "diff", "created", true);
	} else if (create) {
		if (zone_create(m, &spec, &z, reterr) == 0)
			o = json_pack("{s:n,s:b}", "diff", "created", true);
	} else {
		o = update(c, z, &spec, reterr);
	}
	zone_spec_done(&spec);
	if (!o || dry_run)
		return o;
	if (zone_start(z, reterr) < 0) {
		json_decref(o);
		return NULL;
	}
	json_object_set_new(o, "zone", zone_shape(z, false));
	return o;
}

json_t *api_zone_diff(const struct api_call *c, struct error *reterr)
{
	struct zones_mgr *m = manager(c, reterr);
	struct zone_spec spec;
	struct applied *z;
	json_t *o = NULL;

	if (!m || arg_spec(c, &spec, reterr) < 0)
		return NULL;
	z = zones_mgr_find(m, spec.name);
	if (z)
		o = zone_diff_json(z, &spec);
	else
		o = json_pack("{s:s,s:i,s:[]}", "needs", "create", "count", 0, "changes");
	zone_spec_done(&spec);
	return o;
}

/* A piece of a log, from `offset` on; without one, its end. */
static json_t *log_piece(int fd, const json_t *offset)
{
	char buf[LOG_PIECE + 1];
	json_t *text;
	struct stat st;
	int64_t from;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	from = json_is_integer(offset) ? json_integer_value(offset) : st.st_size - LOG_PIECE;
	/* Shorter than what was seen: a new piece was begun. */
	if (from < 0 || from > st.st_size)
		from = 0;
	n = pread(fd, buf, LOG_PIECE, from);
	if (n < 0)
		return NULL;
	buf[n] = 0;
	for (ssize_t i = 0; i < n; i++)
		if (!buf[i])
			buf[i] = '?';
	text = json_string(buf);
	if (!text) { /* not UTF-8 */
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] & 0x80)
				buf[i] = '?';
		text = json_string(buf);
	}
	return json_pack("{s:o,s:I}", "text", text, "offset", (json_int_t)from + (json_int_t)n);
}

json_t *api_zone_log(const struct api_call *c, struct error *reterr)
{
	const struct applied *z = arg_applied(c, reterr);
	char path[3 * ZONE_SPEC_NAME_MAX];
	const char *app = NULL;
	json_t *o = NULL;
	int fd;

	if (!z || arg_text(c, "app", &app, reterr) < 0)
		return NULL;
	if (app && (strlen(app) > ZONE_SPEC_NAME_MAX || strchr(app, '/'))) {
		error_set(reterr, -EINVAL, "that is no app's name");
		return NULL;
	}
	if (app)
		snprintf(path, sizeof(path), "%s/log/app-%s.log", z->name, app);
	else
		snprintf(path, sizeof(path), "%s/log/%s", z->name,
			 z->spec.runtime == RUNTIME_VM &&
				 !json_is_true(json_object_get(c->args, "supervisor"))
			     ? "console.log"
			     : "supervisor.log");
	/* The folder belongs to the zone's own user. */
	fd = openat(z->m->dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		o = log_piece(fd, json_object_get(c->args, "offset"));
	if (!o) {
		error_set(reterr, -ENOENT, "zone %s has no log %s%s yet", z->name,
			  app ? "of an app " : "of that kind", app ? app : "");
		if (app)
			error_hint(reterr, "it has printed nothing, or is none: czctl inspect %s",
				   z->name);
	}
	close_fd(&fd);
	return o;
}
