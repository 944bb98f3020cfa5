/* SPDX-License-Identifier: MIT */
/*
 * Inside probes/: sums per zone that a BPF program keeps (bpf/zone-sums.h), read into the rows of
 * zones. A program tells of the very cgroup of a task; a row includes those below it.
 */
#pragma once
#include <bpf/libbpf.h>

#include "probes/internal.h"

struct zone_sums_reader {
	int map_fd; /* the program's; borrowed */
	enum zone_metric count, ns;
	const unsigned long long *lost; /* the program's; borrowed */
	unsigned int nr_cpus;
	unsigned long long lost_seen;
	struct zone_sums *values; /* one a CPU */
	struct hash last;	  /* zone id -> what was read before */
};
must_check int zone_sums_init(struct zone_sums_reader *s, struct bpf_map *map);
void zone_sums_done(struct zone_sums_reader *s);
/* One zone: what came since the last reading is added to its row and to those above it. */
must_check int zone_sums_read(struct zone_sums_reader *s, struct probes *p, struct probe_zone *z);
void zone_sums_forget(struct zone_sums_reader *s, const struct probe_zone *z);

/* May this process load BPF, and has the kernel these trace points? 0, or -EOPNOTSUPP and why not.
 */
must_check int bpf_hooks_check(const char *const *hooks, size_t nr, char *why, size_t size);
/* How often the kernel did not run a program, because one was at work on that CPU. */
uint64_t bpf_misses(const struct bpf_program *program);
/* What a failed load or attach means, as -EOPNOTSUPP and a text. */
int bpf_refused(int err, char *why, size_t size);
