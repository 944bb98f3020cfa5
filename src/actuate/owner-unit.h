/* SPDX-License-Identifier: MIT */
/*
 * Knobs as properties of systemd's units, as text. Pure, but for drop-ins.
 *   weight  CPUWeight                               "" unset, "idle", or a number
 *   cap     CPUQuotaPerSecUSec, CPUQuotaPeriodUSec  two numbers, as they are
 *   cpus    AllowedCPUs                             a CPU list, "" unset
 */
#pragma once
#include <stdbool.h>
#include <systemd/sd-bus.h>
#include "model/action.h"

enum unit_property { UNIT_WEIGHT, UNIT_CAP, UNIT_CPUS, UNIT_PROPERTIES };

/* All of one unit. */
struct unit_state {
	char group[4096];
	char text[UNIT_PROPERTIES][KNOB_TEXT_MAX];
};

/* The unit whose group path is, by its name: systemd has to confirm it. -ENOENT: no such name. */
must_check int unit_of_path(const char *path, char *buf, size_t size);
/* D-Bus interface of its properties; NULL: not a kind of unit that has a group. */
const char *unit_interface(const char *unit);
/* -EOPNOTSUPP: no property says that. */
must_check int unit_text_of_knob(enum knob knob, const char *to, enum unit_property *ret_p,
				 char *buf, size_t size);
/* Is what the file of the knob holds (v2: cpu.weight, cpu.max, cpuset.cpus) what the property
 * makes systemd write? */
bool unit_agrees(enum unit_property p, const char *text, const char *file);

/* The reply of GetAll. */
must_check int unit_state_read(sd_bus_message *m, struct unit_state *ret);
/* Appends "a(sv)". */
must_check int unit_append(sd_bus_message *m, enum unit_property p, const char *text);

/* Where systemd keeps a property that lasts until the next boot. */
bool unit_has_drop_in(const char *unit, enum unit_property p);
void unit_remove_drop_in(const char *unit, enum unit_property p);
