/* SPDX-License-Identifier: MIT */
/* `czctl exec` in a zone of runtime cgroup: the client itself joins, then becomes the command. */
#include <stdio.h>
#include <string.h>
#include "actuate/zone-make.h"
#include "daemon/zone-mgr.h"

static bool has_app(const struct zone_spec *s, const char *app)
{
	for (size_t i = 0; i < s->nr_apps; i++)
		if (!strcmp(s->apps[i].name, app))
			return true;
	return false;
}

int zone_join(struct applied *z, const char *app, pid_t pid, struct error *reterr)
{
	char path[ZONE_PATH_MAX];
	uint64_t id;
	int r = 0;

	if (z->rec.state != ZS_RUNNING || zone_is_stopping(z)) {
		error_set(reterr, -ENOTCONN, "zone %s does not run", z->name);
		error_hint(reterr, "czctl start --wait %s", z->name);
		return -ENOTCONN;
	}
	if (app && !has_app(&z->spec, app))
		return error_set(reterr, -ENOENT, "zone %s has no app '%.64s'", z->name, app);
	snprintf(path, sizeof(path), "%s/%s", z->path, app ? app : ZONE_EXEC);
	if (!app)
		r = zone_make(&z->m->d->fs, path, &(struct zone_make_options){0}, &id, reterr);
	return r < 0 && r != -EEXIST ? r : zone_attach_pid(&z->m->d->fs, path, pid, reterr);
}
