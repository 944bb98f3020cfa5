/* SPDX-License-Identifier: MIT */
/* What an earlier czd left: zones on disk, and their processes if they still run. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/zone-mgr.h"
#include "spec/zone-spec-io.h"

static void take_over(struct applied *z)
{
	z->groups = z->rec.state == ZS_RUNNING;
	if (z->rec.state != ZS_RUNNING)
		return;
	z->started_ns = clock_mono_ns();
	z->cpus = z->spec.resource.cpus;
	if (zone_adopt(z) == 0) {
		zone_say(z, "taken over, still running");
		return;
	}
	/* It ended while nobody looked (or the host has been booted anew): started again at once,
	 * unless it never should be. */
	z->rec.pid = 0;
	zone_say(z, "was not running any more");
}

static void load_one(struct zones_mgr *m, const char *name)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	_cleanup_free_ char *yaml = NULL;
	struct zone_record rec;
	struct zone_spec spec;
	struct applied *z;
	uint64_t hash = 0;
	int r = errs ? zone_store_load(m->dirfd, name, &yaml, &hash, &rec) : -ENOMEM;

	if (r == 0)
		r = zone_spec_load_text(name, yaml, strlen(yaml), &spec, errs);
	if (r < 0) {
		log_error("zone %s cannot be loaded and is left as it is: %s", name,
			  errs && errs->nr ? errs->items[0].text : strerror(-r));
		return;
	}
	z = strcmp(spec.name, name) ? NULL : zone_add(m, name);
	if (!z) {
		log_error("zone %s: its spec.yaml is of another name", name);
		zone_spec_done(&spec);
		return;
	}
	z->spec = spec;
	z->rec = rec;
	zone_look_at_spec(z);
	take_over(z);
}

void zones_load(struct zones_mgr *m)
{
	int fd = openat(m->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *d; dir && (d = readdir(dir)) && m->nr < ZONES_APPLIED_MAX;)
		if (d->d_name[0] != '.' && d->d_type == DT_DIR)
			load_one(m, d->d_name);
}
