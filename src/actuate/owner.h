/* SPDX-License-Identifier: MIT */
/*
 * Tells systemd of knobs that czd has turned on groups of its units, as properties that last until
 * the next boot at most: else it would write its own idea of them again, with the next change of
 * such a unit. Knobs are written first, without waiting; systemd hears of them after, and what it
 * thought before is given back when they are. All of it is asynchronous: a systemd or D-Bus that
 * hangs stops nothing.
 *
 * Only of v2, of knobs that are properties (idle class and weight, CPU set, cap, memory.high,
 * io.max where the unit has no limits on io of its own), and only where systemd's idea agreed with
 * what czd found: a group that somebody else writes to is not changed by way of systemd. What it
 * was told is noted in RUN_DIR/owners first, and given back by whoever undoes the journal. A
 * property that is changed meanwhile is left alone.
 *
 * Limit: systemd keeps caps in whole percents over a daemon-reload.
 */
#pragma once
#include <systemd/sd-event.h>
#include "actuate/actuate.h"

struct owner;

/* Reads what a dead czd has noted. loop NULL: only for owner_settle(). run_dirfd, fs: borrowed.
 * -EOPNOTSUPP: no systemd here. */
must_check int owner_new(sd_event *loop, const struct cgroup_fs *fs, int run_dirfd,
			 struct owner **ret);
void owner_free(struct owner *o); /* gives nothing back; NULL is fine */
/* Brings systemd to what the journal says; sends, and does not wait. Cheap when nothing is new. */
void owner_sync(struct owner *o, const struct actuator *act);
/* The same, and waits so long at most for the answers. How much is still to be given back. */
size_t owner_settle(struct owner *o, const struct actuator *act, uint64_t timeout_ns);
