/* SPDX-License-Identifier: MIT */
/* What actuate.c and undo.c share. */
#pragma once
#include "actuate/actuate.h"
#include "actuate/journal.h"

struct actuator {
	const struct cgroup_fs *fs;
	bool captured;
	struct journal journal;
};

/* Directory of a part, by its id. -ENOENT: gone. */
must_check int part_open(const struct actuator *act, const struct entry *e, const struct part *p);
/* Writes and reads back; -EIO: the kernel made something else of it. */
must_check int write_checked(int dirfd, enum knob_file f, bool v2, const char *text);
/* As actuator_undo(). e is gone unless it failed. */
must_check int undo_entry(struct actuator *act, struct entry *e, struct error *reterr);
/* After the nr-th part of an apply failed for `why`: all back, and off the journal; else e stays
 * open there for a later undo. Returns why. */
int roll_back(struct actuator *act, struct entry *e, size_t nr, int why, struct error *reterr);
