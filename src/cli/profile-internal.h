/* SPDX-License-Identifier: MIT */
/* Between profile.c, which samples, and profile-fold.c, which names what was sampled. */
#pragma once
#include <sys/types.h>
#include "base/hash.h"
#include "cli/perf-ring.h"
#include "cli/profile.h"
#include "kernel/cgroup.h"

#define PROCESSES_MAX 1024

struct process {
	pid_t pid;
	int procfd; /* -1: it had ended already */
	char comm[64];
	uint64_t samples;
};

struct chain {
	size_t process;
	uint32_t nr, nr_kernel;
	uint64_t samples;
	uint64_t addrs[]; /* innermost first */
};

struct sampler {
	struct kernel kernel;
	struct cgroup_fs fs;
	const char *path;
	struct perf_ring *rings;
	size_t nr_rings;
	struct hash chains, processes_by_pid, is_member; /* the last: of this round, by thread */
	struct hash comms; /* of processes without samples so far that called exec(): by pid */
	struct process processes[PROCESSES_MAX];
	size_t nr_processes;
	struct profile *out;
};

/* Fills out->stacks, processes, unnamed. -ENOMEM. */
must_check int profile_fold(struct sampler *s);
