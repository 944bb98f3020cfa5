/* SPDX-License-Identifier: MIT */
/* Zones that czd made for `czctl run`: gone when nothing runs in them any more. */
#include "daemon/daemon.h"

#include <string.h>
#include "actuate/zone-make.h"
#include "base/log.h"

void made_reap(struct daemon *d)
{
	for (size_t i = d->desired.nr; i-- > 0;) {
		const struct desired_zone *z = &d->desired.items[i];
		int r;

		if (!z->made || d->kernel.captured)
			continue;
		r = zone_remove(&d->fs, z->path);
		if (r == -EBUSY)
			continue;
		if (r < 0 && r != -ENOENT)
			log_debug("zone %s: %s", z->path, strerror(-r));
		else
			desired_remove(&d->desired, z->path);
	}
}
