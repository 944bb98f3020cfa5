/* SPDX-License-Identifier: MIT */
/* What czd tells cz-vm: launch.json (docs/zone-protocol.md). */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "model/zone-spec.h"

struct launch {
	struct zone_spec spec;
	char *name, *dir, *run, *nonce;
	char *qemu, *qemu_data, *virtiofsd, *kernel, *guest,
	    *sched_dir;	   /* data, virtiofsd: or NULL */
	char *libvirt_uri; /* NULL: of the system, or where none listens one of the zone's own */
	uid_t uid;
	gid_t gid;
};
/* Owned by root and writable by nobody else, else -EPERM. */
must_check int launch_load(const char *path, struct launch *ret, struct error *reterr);
void launch_done(struct launch *l);
