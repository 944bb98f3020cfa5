/* SPDX-License-Identifier: MIT */
/* The guest's cgroups: one for each app below /cz, one for terminals. cgroup v2 only. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "kernel/cgroup.h"
#include "model/zone-spec.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Turns on all controllers below the root and below /cz, and makes /cz. */
must_check int cgroups_init(struct error *reterr);
/* Makes /cz/NAME where it is not; its directory, and the id that BPF sees. */
must_check int app_cgroup_open(const char *name, int *ret_fd, uint64_t *ret_id,
			       struct error *reterr);
/* Limits as in the spec; what is not set there is set back. The first error is told, the rest is
 * done all the same. */
must_check int app_cgroup_limit(int fd, const struct zone_app *spec, struct error *reterr);
/* SIGKILL to all in it; or another signal, to each. */
void app_cgroup_kill(int fd);
void app_cgroup_signal(int fd, int signal);
/* All UINT64_MAX where it cannot be read. */
struct cgroup_mem_events app_cgroup_oom(int fd);
/* -EBUSY: something is still ending in it. */
must_check int app_cgroup_remove(const char *name);
/* Each thread in it. */
void app_cgroup_threads(int fd, void (*what)(pid_t tid, void *arg), void *arg);
/* All tasks of it into the class of sched_ext, or back into the fair one. */
void app_cgroup_set_ext(int fd, bool ext);
