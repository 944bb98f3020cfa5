/* SPDX-License-Identifier: MIT */
/*
 * At which frequency CPUs run, as cpufreq tells it; on x86 the kernel takes it from the APERF and
 * MPERF counters. Asking a CPU may interrupt it, so a few are asked each tick, in turn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "kernel/text.h"
#include "probes/internal.h"

#define CPUS_A_TICK 4

struct frequency {
	uint32_t nr_cpus, next;
	uint64_t khz[]; /* 0: not known */
};

static int read_khz(const struct probes *p, uint32_t cpu, uint64_t *ret)
{
	char path[96], buf[64];
	ssize_t n;

	snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cpufreq/scaling_cur_freq", cpu);
	n = kio_read_text_at(p->k->root_fd, path, buf, sizeof(buf));
	return n < 0 ? (int)n : text_u64(buf, ret);
}

static int frequency_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	struct frequency *s;
	struct topology t;
	uint32_t nr_cpus;
	uint64_t khz;

	if (topology_read(p->k, &t) < 0) {
		snprintf(why, size, "the CPUs are not known");
		return -EOPNOTSUPP;
	}
	nr_cpus = t.nr_cpus;
	topology_done(&t);
	for (uint32_t cpu = 0; cpu < nr_cpus; cpu++) {
		if (read_khz(p, cpu, &khz) < 0)
			continue;
		s = calloc(1, sizeof(*s) + nr_cpus * sizeof(s->khz[0]));
		if (!s)
			return -ENOMEM;
		s->nr_cpus = nr_cpus;
		*ret_state = s;
		return 0;
	}
	snprintf(why, size, "no CPU has cpufreq: a virtual machine, or no driver for this CPU");
	return -EOPNOTSUPP;
}

static void frequency_begin(void *state, struct probes *p)
{
	struct frequency *s = state;
	uint64_t sum = 0, nr = 0, min = UINT64_MAX;

	for (int i = 0; i < CPUS_A_TICK; i++) {
		if (read_khz(p, s->next, &s->khz[s->next]) < 0)
			s->khz[s->next] = 0; /* it is offline */
		s->next = (s->next + 1) % s->nr_cpus;
	}
	for (uint32_t cpu = 0; cpu < s->nr_cpus; cpu++) {
		if (!s->khz[cpu])
			continue;
		nr++;
		sum += s->khz[cpu];
		min = s->khz[cpu] < min ? s->khz[cpu] : min;
	}
	if (!nr)
		return;
	host_set(&p->host, HM_CPU_FREQUENCY_HZ, sum / nr * 1000);
	host_set(&p->host, HM_CPU_FREQUENCY_MIN_HZ, min * 1000);
}

const struct probe probe_frequency = {
    .name = "frequency",
    .summary = "at which frequency the host's CPUs run",
    .needs = "cpufreq",
    .when = WHEN_HOST,
    .open = frequency_open,
    .close = free,
    .begin = frequency_begin,
};
