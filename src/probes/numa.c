/* SPDX-License-Identifier: MIT */
/*
 * On which NUMA node a zone's memory lies, and how much of it is remote for certain: on nodes whose
 * CPUs the zone may not use. The file is dear, and memory moves slowly: read in each slow round for
 * protected and best-effort zones, now and then for others.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cpuset.h"
#include "kernel/hostio.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "probes/internal.h"

#define NORMAL_ROUNDS 6 /* slow rounds between two looks at other zones */

struct numa {
	struct cpuset cpus[NUMA_NODES_MAX]; /* of the nodes; empty: no such node, or memory only */
};

static int numa_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	struct numa *s;
	unsigned int nr = 0;

	if (!cgroup_file_exists(p->fs, CGF_NUMA)) {
		snprintf(why, size, "the memory controller is not mounted");
		return -EOPNOTSUPP;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (unsigned int node = 0; node < NUMA_NODES_MAX; node++) {
		char path[96], buf[4096];

		snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", node);
		if (kio_read_text_at(p->k->root_fd, path, buf, sizeof(buf)) >= 0 &&
		    cpuset_parse(buf, &s->cpus[node]) == 0)
			nr++;
	}
	if (nr > 1) {
		*ret_state = s;
		return 0;
	}
	free(s);
	snprintf(why, size, "this host has one NUMA node: all memory is near");
	return -EOPNOTSUPP;
}

/* The CPUs that the zone may use; false: not told. */
static bool allowed_cpus(struct probes *p, struct probe_zone *z, struct cpuset *ret)
{
	char buf[4096];

	return kept_read(p, z, CGF_CPUS, buf, sizeof(buf)) >= 0 && cpuset_parse(buf, ret) == 0 &&
	       cpuset_count(ret);
}

static void tell(const struct numa *s, const struct numa_bytes *b, const struct cpuset *allowed,
		 struct zone_row *row)
{
	uint64_t remote = 0, most = 0;

	for (unsigned int node = 0; node < NUMA_NODES_MAX; node++) {
		struct cpuset both;

		most = b->bytes[node] > most ? b->bytes[node] : most;
		if (!allowed || !b->bytes[node])
			continue;
		cpuset_and(&both, &s->cpus[node], allowed);
		remote += cpuset_count(&both) ? 0 : b->bytes[node];
	}
	row_set(row, ZM_NUMA_MOST_BYTES, most);
	row->valid &= ~METRIC_BIT(ZM_NUMA_REMOTE_BYTES);
	if (allowed)
		row_set(row, ZM_NUMA_REMOTE_BYTES, remote);
}

static int numa_read(void *state, struct probes *p, struct probe_zone *z)
{
	uint32_t every =
	    z->interest == PROBE_NORMAL ? p->slow_every * NORMAL_ROUNDS : p->slow_every;
	struct numa_bytes b;
	struct cpuset cpus;
	char buf[16384];
	ssize_t n;
	int r;

	if (!z->parent ||
	    (z->row.valid & METRIC_BIT(ZM_NUMA_MOST_BYTES) && !probe_turn(p, z, every)))
		return 0;
	n = kept_read(p, z, CGF_NUMA, buf, sizeof(buf));
	r = n < 0 ? (int)n : cgroup_numa_parse(cgroup_file_v2(p->fs, CGF_NUMA), buf, &b);
	if (r == 0)
		tell(state, &b, allowed_cpus(p, z, &cpus) ? &cpus : NULL, &z->row);
	return r;
}

const struct probe probe_numa = {
    .name = "numa",
    .summary = "on which NUMA node a zone's memory lies, and what of it is remote",
    .needs = "memory controller, and more than one NUMA node",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_NUMA_MOST_BYTES) | METRIC_BIT(ZM_NUMA_REMOTE_BYTES),
    .open = numa_open,
    .close = free,
    .read = numa_read,
};
