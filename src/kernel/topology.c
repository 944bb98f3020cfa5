/* SPDX-License-Identifier: MIT */
/* CPUs, SMT siblings, NUMA nodes and the last-level cache, from sysfs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"

#define SYS_CPU "sys/devices/system/cpu/"

static int read_cpu_list(const struct kernel *k, const char *path, struct cpuset *ret)
{
	char buf[8192];
	ssize_t n = kio_read_text_at(k->root_fd, path, buf, sizeof(buf));

	return n < 0 ? (int)n : cpuset_parse(buf, ret);
}

static int read_cores(const struct kernel *k, struct topology *t)
{
	t->core_of = calloc(t->nr_cpus, sizeof(*t->core_of));
	if (!t->core_of)
		return -ENOMEM;
	for (uint32_t cpu = 0; cpu < t->nr_cpus; cpu++) {
		struct cpuset siblings;
		char path[96];
		int first = -1;

		snprintf(path, sizeof(path), SYS_CPU "cpu%u/topology/thread_siblings_list", cpu);
		/* an offline CPU has no topology: it stands alone */
		if (read_cpu_list(k, path, &siblings) == 0) {
			first = cpuset_next(&siblings, 0);
			t->smt = t->smt || cpuset_count(&siblings) > 1;
		}
		t->core_of[cpu] = first < 0 ? cpu : (uint32_t)first;
	}
	return 0;
}

static uint64_t read_llc_bytes(const struct kernel *k, int cpu)
{
	uint64_t best_level = 0, best_bytes = 0;

	for (int i = 0; i < 8; i++) {
		char path[96], buf[32];
		uint64_t level, bytes;
		ssize_t n;

		snprintf(path, sizeof(path), SYS_CPU "cpu%d/cache/index%d/level", cpu, i);
		n = kio_read_text_at(k->root_fd, path, buf, sizeof(buf));
		if (n <= 0)
			break;
		buf[strcspn(buf, "\n")] = '\0';
		if (parse_u64(buf, &level) < 0 || level <= best_level)
			continue;
		snprintf(path, sizeof(path), SYS_CPU "cpu%d/cache/index%d/size", cpu, i);
		n = kio_read_text_at(k->root_fd, path, buf, sizeof(buf));
		if (n <= 0)
			continue;
		buf[strcspn(buf, "\n")] = '\0';
		if (parse_size_bytes(buf, &bytes) < 0)
			continue;
		best_level = level;
		best_bytes = bytes;
	}
	return best_bytes;
}

int topology_read(const struct kernel *k, struct topology *ret)
{
	_cleanup_(topology_done) struct topology t = {0};
	struct cpuset nodes;
	int r, last = -1;

	r = read_cpu_list(k, SYS_CPU "online", &t.online);
	if (r < 0)
		return r;
	if (cpuset_count(&t.online) == 0)
		return -EINVAL;
	r = read_cpu_list(k, SYS_CPU "possible", &t.possible);
	if (r < 0)
		t.possible = t.online;
	cpuset_or(&t.possible, &t.possible, &t.online);
	for (int cpu = cpuset_next(&t.possible, 0); cpu >= 0;
	     cpu = cpuset_next(&t.possible, (unsigned int)cpu + 1))
		last = cpu;
	t.nr_cpus = (uint32_t)last + 1;
	/* without CONFIG_NUMA there is no node directory: one node */
	t.nr_nodes = read_cpu_list(k, "sys/devices/system/node/online", &nodes) == 0
			 ? cpuset_count(&nodes)
			 : 1;
	t.llc_bytes = read_llc_bytes(k, cpuset_next(&t.online, 0));
	r = read_cores(k, &t);
	if (r < 0)
		return r;
	*ret = t;
	t.core_of = NULL;
	return 0;
}

void topology_done(struct topology *t)
{
	free(t->core_of);
	t->core_of = NULL;
}
