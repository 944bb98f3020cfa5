/* SPDX-License-Identifier: MIT */
/*
 * The directory of a cgroup by its kernfs id. The path is tried first; a cgroup that was renamed,
 * or whose ancestor was, is then found through its file handle (CAP_DAC_READ_SEARCH).
 */
#pragma once
#include "kernel/cgroup.h"

/* Directory fd; -ENOENT: no cgroup of that id is left. */
must_check int open_dir_by_id(const struct cgroup_fs *fs, enum cgroup_controller c,
			      const char *path, uint64_t id);
