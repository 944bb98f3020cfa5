/* SPDX-License-Identifier: MIT */
/*
 * The states of a zone that a user applied, and how an update is carried out. Pure tables.
 *
 *   pending -> created -> running -> stopped -> running ...
 *                 |          |  ^       |
 *                 v          v  |       v
 *              zombied     error     zombied
 *
 * Running <-> error is what czd observes (guest died, came back); the other edges are asked for,
 * and so is error -> stopped: what died can be removed without starting it again. A distant target
 * takes several legal steps (remove a running zone: stop, then zombied), but none starts a zone
 * only to stop it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "model/zone-spec.h"

enum zone_state { ZS_PENDING, ZS_CREATED, ZS_RUNNING, ZS_STOPPED, ZS_ZOMBIED, ZS_ERROR, ZS_NR };
const char *zone_state_name(enum zone_state s);
must_check int zone_state_parse(const char *s, enum zone_state *ret);
bool zone_step_legal(enum zone_state from, enum zone_state to);

#define ZONE_STEPS_MAX 4
/* The states to go through from `from` to `to`, `to` last; *ret_nr 0: there already (stale).
 * -EPERM with a sentence that says why there is no way. */
must_check int zone_steps(enum zone_state from, enum zone_state to,
			  enum zone_state ret[ZONE_STEPS_MAX], size_t *ret_nr,
			  struct error *reterr);

/* What it takes to make `now` into `wanted`. */
enum zone_update { UPDATE_STALE, UPDATE_HOT, UPDATE_REBOOT, UPDATE_REFUSED };
struct zone_change {
	char field[64];	       /* "resource.memory", "apps.redis.memory" */
	char from[96], to[96]; /* for people, escaped */
	enum zone_update needs;
};
#define ZONE_CHANGES_MAX 64
/* The differences, in the order of the manual; the strictest of them is returned. What only a
 * reboot can change: os.*, net.*, vcpus_max, memory_max. Refused: another name or runtime.
 * More differences than max are counted in *ret_nr but not stored. */
enum zone_update zone_diff(const struct zone_spec *now, const struct zone_spec *wanted,
			   struct zone_change *ret, size_t max, size_t *ret_nr);
