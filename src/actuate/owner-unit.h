/* SPDX-License-Identifier: MIT */
/*
 * Knobs as properties of systemd's units, as text. Pure, but for drop-ins.
 *   weight  CPUWeight                               "" unset, "idle", or a number
 *   cap     CPUQuotaPerSecUSec, CPUQuotaPeriodUSec  two numbers, as they are
 *   cpus    AllowedCPUs                             a CPU list, "" unset
 *   memory  MemoryHigh                              bytes, "" unset
 *   io      IO{Read,Write}BandwidthMax              lines "r /dev/vda BYTES", "w ...", sorted
 */
#pragma once
#include <stdbool.h>
#include <systemd/sd-bus.h>
#include "actuate/actuate.h"
#include "actuate/entry.h"
#include "kernel/cgroup.h"
#include "model/action.h"

enum unit_property { UNIT_WEIGHT, UNIT_CAP, UNIT_CPUS, UNIT_MEMORY, UNIT_IO, UNIT_PROPERTIES };

/* All of one unit. */
struct unit_state {
	char group[4096];
	char text[UNIT_PROPERTIES][KNOB_TEXT_MAX];
	uint64_t memory_high; /* UINT64_MAX: unset; text says the same */
};

/* The unit whose group path is, by its name: systemd has to confirm it. -ENOENT: no such name. */
must_check int unit_of_path(const char *path, char *buf, size_t size);
/* D-Bus interface of its properties; NULL: not a kind of unit that has a group. */
const char *unit_interface(const char *unit);
/* -EOPNOTSUPP: no property says that. Of KNOB_IO_MAX `to` is what io.max holds. */
must_check int unit_text_of_knob(enum knob knob, const char *to, enum unit_property *ret_p,
				 char *buf, size_t size);
/* The same of an action in force: which disks a limit of io is of, only io.max says. */
must_check int unit_text_of_entry(const struct cgroup_fs *fs, const struct journal_entry *e,
				  enum unit_property *ret_p, char to[KNOB_TEXT_MAX]);
/* Is what the file of the knob holds (v2: cpu.weight, cpu.max, cpuset.cpus, memory.high, io.max)
 * what the property makes systemd write? */
bool unit_agrees(enum unit_property p, const char *text, const char *file);

enum knob_file unit_file(enum unit_property p);

/* The reply of GetAll. */
must_check int unit_state_read(sd_bus_message *m, struct unit_state *ret);
/* Appends "a(sv)". */
must_check int unit_append(sd_bus_message *m, enum unit_property p, const char *text);

/* Where systemd keeps a property that lasts until the next boot. */
bool unit_has_drop_in(const char *unit, enum unit_property p);
void unit_remove_drop_in(const char *unit, enum unit_property p);
