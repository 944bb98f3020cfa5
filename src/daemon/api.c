/* SPDX-License-Identifier: MIT */
#include "daemon/api.h"

#include <string.h>
#include "daemon/zone-mgr.h"

static const struct {
	const char *name;
	bool changes; /* only for peers that may change things */
	api_fn fn;
} verbs[] = {
    {"version", false, api_version},
    {"snapshot", false, api_snapshot},
    {"list", false, api_list},
    {"top", false, api_top},
    {"inspect", false, api_inspect},
    {"why", false, api_why},
    {"findings", false, api_findings},
    {"actions", false, api_actions},
    {"events", false, api_events},
    {"record", false, api_record},
    {"probes", false, api_probes},
    {"doctor", false, api_doctor},
    {"verify", false, api_verify},
    {"zone-list", false, api_zone_list},
    {"zone-show", false, api_zone_show},
    {"zone-diff", false, api_zone_diff},
    {"zone-log", false, api_zone_log},
    {"zone-create", true, api_zone_create},
    {"zone-start", true, api_zone_start},
    {"zone-stop", true, api_zone_stop},
    {"zone-join", true, api_zone_join},
    {"zone-remove", true, api_zone_remove},
    {"zone-update", true, api_zone_update},
    {"zone-apply", true, api_zone_apply},
    {"zone-app", true, api_zone_app},
    {"zone-sched", false, api_zone_sched}, /* reading is free; setting checks for itself */
    {"protect", true, api_protect},
    {"unprotect", true, api_unprotect},
    {"run", true, api_run},
    {"try", true, api_try},
    {"approve", true, api_approve},
    {"undo", true, api_undo},
    {"mode", false, api_mode}, /* reading it is free; setting checks for itself */
};

static const json_t *arg(const struct api_call *c, const char *name)
{
	const json_t *j = json_object_get(c->args, name);

	return json_is_null(j) ? NULL : j;
}

int arg_bool(const struct api_call *c, const char *name, bool *ret, struct error *reterr)
{
	const json_t *j = arg(c, name);

	if (j && !json_is_boolean(j))
		return error_set(reterr, -EINVAL, "argument '%s' must be true or false", name);
	*ret = json_is_true(j);
	return 0;
}

int arg_u64(const struct api_call *c, const char *name, uint64_t *ret, struct error *reterr)
{
	const json_t *j = arg(c, name);

	if (j && (!json_is_integer(j) || json_integer_value(j) < 0))
		return error_set(reterr, -EINVAL,
				 "argument '%s' must be a whole number, not negative", name);
	*ret = j ? (uint64_t)json_integer_value(j) : 0;
	return 0;
}

int arg_text(const struct api_call *c, const char *name, const char **ret, struct error *reterr)
{
	const json_t *j = arg(c, name);

	if (j && !json_is_string(j))
		return error_set(reterr, -EINVAL, "argument '%s' must be text", name);
	*ret = json_string_value(j);
	return 0;
}

const struct zone_view *arg_zone(const struct api_call *c, struct error *reterr)
{
	const struct applied *applied;
	const char *name;
	const struct zone *z;

	if (arg_text(c, "zone", &name, reterr) < 0)
		return NULL;
	if (!name) {
		error_set(reterr, -EINVAL, "which zone? Argument 'zone' is missing");
		return NULL;
	}
	/* The name that a user gave goes before what a path ends in. */
	applied = zones_mgr_find(c->d->zones_mgr, name);
	if (applied) {
		z = zones_by_path(c->d->zones, zone_watched_path(applied));
		if (!z)
			error_set(reterr, -ENOENT, "zone %s does not run", name);
		return z ? &c->d->snap.zones[z->index] : NULL;
	}
	if (zones_by_name(c->d->zones, name, &z, reterr) < 0)
		return NULL;
	return &c->d->snap.zones[z->index];
}

json_t *api_handle(const struct peer *p, const char *verb, const json_t *args, void *arg_daemon,
		   struct error *reterr)
{
	struct api_call c = {.d = arg_daemon, .peer = p, .args = args};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		if (verbs[i].changes && !p->may_change) {
			error_set(reterr, -EPERM,
				  "'%s' changes things: only root and group cz-admin may", verb);
			return NULL;
		}
		if (publish_fresh(c.d) < 0)
			return NULL;
		return verbs[i].fn(&c, reterr);
	}
	error_set(reterr, -ENOSYS, "czd does not know the verb '%s'", verb);
	error_hint(reterr, "czctl and czd may be of different versions: czctl version");
	return NULL;
}
