/* SPDX-License-Identifier: MIT */
/*
 * v2 only: which controllers a group hands on to its children (cgroup.subtree_control). A zone
 * needs them on in its parent; what czd turned on in the root is turned off again when nobody needs
 * it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "kernel/cgroup.h"

/* A set of them; as text "cpu memory", for a file. */
typedef uint32_t controllers_mask;
#define CONTROLLERS_TEXT_MAX 64
char *controllers_format(controllers_mask m, char *buf, size_t size);
controllers_mask controllers_parse(const char *text); /* unknown words are passed over */

bool group_has_processes(int dirfd);
/*
 * Turns on what children of that group need: cpu, cpuset, memory, io and pids as far as there are
 * such. Only cpu is indispensable. root: the group is the root, where processes may be as well;
 * elsewhere -EBUSY if there are some.
 * threaded: the children are to be threaded groups: only what can tell threads apart.
 */
must_check int controllers_enable(const struct cgroup_fs *fs, int hierarchy, int parent, bool root,
				  bool threaded, struct error *reterr);
/* What controllers_enable() would turn on in the root. 0 on v1. */
controllers_mask controllers_missing(const struct cgroup_fs *fs);
/* Turns these off in the root, unless a group uses them: passes them on, or has a setting that is
 * not the default. Returns those that are still on. */
controllers_mask controllers_disable(const struct cgroup_fs *fs, controllers_mask m);
