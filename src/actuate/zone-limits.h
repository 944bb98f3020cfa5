/* SPDX-License-Identifier: MIT */
/*
 * Desired limits of czd's own zones ("/cz-..."). They are not experiments: nothing is journalled
 * and nothing undone, a value that is not set goes back to the kernel's default.
 */
#pragma once
#include "base/error.h"
#include "kernel/cgroup.h"
#include "model/zone-spec.h"

struct zone_limits { /* 0 everywhere: no limit, or the kernel's default */
	uint64_t cpu_max_ppm, cpu_burst_us;
	uint32_t cpu_weight;
	uint64_t memory_bytes;
	struct zone_io_limit io; /* each block device; bursts are not for cgroups */
};
/* Error: the first limit that could not be set; the rest was still tried. A limit that is asked for
 * and that no controller here can hold is -EOPNOTSUPP. */
must_check int zone_limits_set(const struct cgroup_fs *fs, const char *path,
			       const struct zone_limits *l, struct error *reterr);
/*
 * The idle class of the CPU controller, which counts among siblings only: everything beside the
 * zone goes first. While it is on no weight may be written, and it resets the weight. Where a
 * kernel has none: 0.
 */
must_check int zone_idle_set(const struct cgroup_fs *fs, const char *path, bool idle);
/*
 * The CPUs of a zone; empty: those of its parent. Children that would stick out get them too: on v1
 * a group's CPUs must be among its parent's, so the parent is widened first and narrowed last.
 */
must_check int zone_cpus_set(const struct cgroup_fs *fs, const char *path,
			     const struct cpuset *cpus, struct error *reterr);
/* Moves one thread, in the hierarchies of cpu, cpuacct and cpuset. */
must_check int zone_attach_tid(const struct cgroup_fs *fs, const char *path, pid_t tid);
/* SIGKILL to everything in it and below. Returns how many processes there were. */
int zone_kill(const struct cgroup_fs *fs, const char *path);
/* As zone_remove(), with everything below. */
must_check int zone_remove_tree(const struct cgroup_fs *fs, const char *path);
