/* SPDX-License-Identifier: MIT */
#include "sched/exclusive-host.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/cpuset.h"
#include "base/io.h"
#include "sched/object.h"

struct exclusive_host *exclusive_host(struct policy_run *run)
{
	struct bpf_map *map = object_map(run->obj, ".data.host");
	size_t size = 0;
	void *data = map ? bpf_map__initial_value(map, &size) : NULL;

	return size >= sizeof(struct exclusive_host) ? data : NULL;
}

/* Until libbpf 1.6 what is written to an opened object's data stays with us once it is loaded: so
 * the map is told. All else in it stays as it was. */
void exclusive_restrain(struct policy_run *run, bool restrain)
{
	struct bpf_map *map = object_map(run->obj, ".data.host");
	size_t size = 0;
	struct exclusive_host *host = bpf_map__initial_value(map, &size);

	host->restrain = restrain;
	bpf_map__update_elem(map, &(uint32_t){0}, sizeof(uint32_t), host, size, 0);
}

/* A CPU whose siblings can't be read has none. */
static void read_siblings(struct exclusive_host *host, uint32_t cpu)
{
	int first = (int)cpu, next = (int)cpu;
	char path[96], text[512];
	struct cpuset set;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
		 cpu);
	if (read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 && cpuset_parse(text, &set) == 0 &&
	    cpuset_has(&set, cpu)) {
		first = cpuset_next(&set, 0);
		next = cpuset_next(&set, cpu + 1);
		if (next < 0)
			next = first;
	}
	if ((uint32_t)next != cpu)
		host->smt = 1;
	host->cpu[cpu].core = (uint32_t)first;
	host->cpu[cpu].next_sibling = (uint32_t)next;
}

int exclusive_open(struct policy_run *run, struct error *reterr)
{
	struct exclusive_host *host = exclusive_host(run);
	int cpus = libbpf_num_possible_cpus();

	if (!host)
		return error_set(reterr, -EINVAL, "the program of %s lacks .data.host",
				 run->policy->name);
	if (cpus < 1 || cpus > EXCLUSIVE_CPUS_MAX) {
		return error_set(reterr, -E2BIG, "%s works with at most %d CPUs, not %d",
				 run->policy->name, EXCLUSIVE_CPUS_MAX, cpus);
	}
	host->nr_cpus = (uint32_t)cpus;
	host->partial = run->settings->partial;
	host->agent[0] = (uint32_t)getpid();
	host->agent[1] = (uint32_t)getppid();
	for (uint32_t cpu = 0; cpu < host->nr_cpus; cpu++)
		read_siblings(host, cpu);
	return 0;
}
