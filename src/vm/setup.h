/* SPDX-License-Identifier: MIT */
/* What cz-vm does while it is root: opens and makes all that the zone will need. */
#pragma once
#include "vm/launch.h"
#include "vm/zone.h"

struct setup {
	struct qemu_plan plan;
	struct zone_start start;
	char accel_why[256];
};
/* On failure nothing is left but what setup_done() takes. */
must_check int setup_prepare(const struct launch *l, struct setup *ret, struct error *reterr);
void setup_done(struct setup *s);
