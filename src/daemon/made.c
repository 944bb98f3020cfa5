/* SPDX-License-Identifier: MIT */
/*
 * Zones that czd made for `czctl run`: gone when nothing runs in them any more. On v2 making one
 * may turn controllers on in the root; RUN_DIR/controllers says which, and with the last zone they
 * are turned off again, as far as nobody else uses them by then.
 */
#include "daemon/daemon.h"

#include <string.h>
#include <unistd.h>
#include "actuate/zone-make.h"
#include "base/io.h"
#include "base/log.h"
#include "daemon/zone-mgr.h"

#define FILE_NAME "controllers"

void made_load(struct daemon *d)
{
	char text[CONTROLLERS_TEXT_MAX];

	if (!d->kernel.captured && read_file_at(d->run_dirfd, FILE_NAME, text, sizeof(text)) >= 0)
		d->controllers_on = controllers_parse(text);
}

static void store(struct daemon *d)
{
	char text[CONTROLLERS_TEXT_MAX];
	int r = 0;

	controllers_format(d->controllers_on, text, sizeof(text));
	if (d->controllers_on)
		r = write_file_atomic(d->run_dirfd, FILE_NAME, text, strlen(text), 0600);
	else if (unlinkat(d->run_dirfd, FILE_NAME, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r < 0)
		log_warn("which controllers czd turned on (%s) is not kept over a crash: %s", text,
			 strerror(-r));
}

void made_prepare(struct daemon *d)
{
	controllers_mask missing = controllers_missing(&d->fs);

	if (missing & ~d->controllers_on) {
		d->controllers_on |= missing;
		store(d);
	}
}

static void turn_off(struct daemon *d)
{
	char text[CONTROLLERS_TEXT_MAX];

	d->controllers_on = controllers_disable(&d->fs, d->controllers_on);
	if (d->controllers_on)
		log_notice("controllers stay on in the root, since another group uses them: %s",
			   controllers_format(d->controllers_on, text, sizeof(text)));
	d->controllers_on = 0; /* theirs now */
	store(d);
}

/* What ran there has ended, and the next tick would remove it: its name is free at once. */
void made_remove_empty(struct daemon *d, const char *path)
{
	const struct desired_zone *z = desired_get(&d->desired, path);

	if (z && z->made && zone_remove(&d->fs, path) == 0)
		pipeline_zones(d);
}

void made_reap(struct daemon *d)
{
	size_t left = zones_mgr_has_groups(d->zones_mgr);

	if (d->kernel.captured)
		return;
	for (size_t i = d->desired.nr; i-- > 0;) {
		const struct desired_zone *z = &d->desired.items[i];
		int r;

		if (!z->made)
			continue;
		r = zone_remove(&d->fs, z->path);
		if (r < 0 && r != -ENOENT && r != -EBUSY)
			log_debug("zone %s: %s", z->path, strerror(-r));
		if (r < 0 && r != -ENOENT)
			left++;
		else
			desired_remove(&d->desired, z->path);
	}
	/* While an action holds a knob its file must not go away. */
	if (!left && d->controllers_on && !(d->actuator && actuator_open_count(d->actuator)))
		turn_off(d);
}
