/* SPDX-License-Identifier: MIT */
/*
 * czd's own zones, for `czctl run` and the scopes of VMs: one directory of the same path in every
 * hierarchy there is. Only groups whose path begins with "/cz-" are made or removed.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "kernel/cgroup.h"

struct zone_make_options {
	const char *cpus; /* CPU list; NULL: those of the parent */
	bool threaded;	  /* v2: for threads of a process whose other threads are elsewhere */
};

/* A component of a path: letters, digits and ._@:- only, no leading dot, 1 to 64. */
bool zone_name_valid(const char *name);

/*
 * Makes path ("/cz-NAME", or below one that exists) everywhere, or nowhere on failure. On v1 the
 * cpuset is set up from the parent's. On v2 cpu, cpuset, memory, io and pids are enabled for the
 * parent's children if the parent is the root, or one of ours without processes of its own.
 * ret_id: the cpu hierarchy's. -EINVAL the name; -EPERM not below "/cz-"; -EEXIST.
 */
must_check int zone_make(const struct cgroup_fs *fs, const char *path,
			 const struct zone_make_options *o, uint64_t *ret_id, struct error *reterr);
/* Moves a process with all its threads, in every hierarchy; back again on failure. */
must_check int zone_attach_pid(const struct cgroup_fs *fs, const char *path, pid_t pid,
			       struct error *reterr);
/* Removes an empty zone everywhere. -EBUSY: something runs or lies in it (nothing was removed);
 * -ENOENT: there was none. What an earlier attempt left over is removed as well. */
must_check int zone_remove(const struct cgroup_fs *fs, const char *path);
