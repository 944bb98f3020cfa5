/* SPDX-License-Identifier: MIT */
/* Host totals: CPU time by kind, memory, PSI. Once a tick, before the zones. */
#include <stdio.h>

#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "probes/internal.h"

#define SQUEEZED_PART 200 /* stalled for 1/200 of the time */

static void host_cpu_begin(void *state, struct probes *p)
{
	struct proc_cpu_times t;

	if (proc_cpu_times(p->k, &t) < 0) {
		p->stats.errors_total++;
		return;
	}
	host_set(&p->host, HM_CPU_BUSY_NS, t.busy_ns);
	host_set(&p->host, HM_CPU_IDLE_NS, t.idle_ns);
	host_set(&p->host, HM_STEAL_NS, t.steal_ns);
	host_set(&p->host, HM_IRQ_NS, t.irq_ns);
	host_set(&p->host, HM_SOFTIRQ_NS, t.softirq_ns);
}

static void host_memory_begin(void *state, struct probes *p)
{
	uint64_t total, available;

	if (proc_meminfo(p->k, &total, &available) < 0) {
		p->stats.errors_total++;
		return;
	}
	host_set(&p->host, HM_MEM_TOTAL_BYTES, total);
	host_set(&p->host, HM_MEM_AVAILABLE_BYTES, available);
}

static const struct {
	const char *path;
	enum host_metric metric;
} psi_files[] = {
    {"proc/pressure/cpu", HM_PSI_CPU_SOME_NS},
    {"proc/pressure/memory", HM_PSI_MEM_SOME_NS},
    {"proc/pressure/io", HM_PSI_IO_SOME_NS},
};

static int host_psi_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	char buf[512];

	if (kio_read_text_at(p->k->root_fd, psi_files[0].path, buf, sizeof(buf)) >= 0)
		return 0;
	snprintf(why, size, "the kernel has no PSI (CONFIG_PSI), or it is off (psi=1)");
	return -EOPNOTSUPP;
}

/* Is the host short of memory, or at its disks? Then what that did to zones is looked at more
 * often. */
static void note_squeeze(struct probes *p, enum host_metric m, uint64_t stalled_ns, uint32_t *tick)
{
	const struct host_row *before = &p->host;

	if (before->valid & METRIC_BIT(m) &&
	    stalled_ns - before->value[m] > (p->now_ns - p->previous_ns) / SQUEEZED_PART)
		*tick = p->tick;
}

static void host_psi_begin(void *state, struct probes *p)
{
	for (size_t i = 0; i < sizeof(psi_files) / sizeof(psi_files[0]); i++) {
		struct psi_line psi;
		char buf[512];
		ssize_t n = kio_read_text_at(p->k->root_fd, psi_files[i].path, buf, sizeof(buf));

		if (n < 0 || psi_parse(buf, &psi) < 0) {
			p->stats.errors_total++;
			continue;
		}
		if (psi_files[i].metric == HM_PSI_MEM_SOME_NS)
			note_squeeze(p, HM_PSI_MEM_SOME_NS, psi.some_ns, &p->squeezed_tick);
		if (psi_files[i].metric == HM_PSI_IO_SOME_NS)
			note_squeeze(p, HM_PSI_IO_SOME_NS, psi.some_ns, &p->io_tick);
		host_set(&p->host, psi_files[i].metric, psi.some_ns);
	}
}

const struct probe probe_host_cpu = {
    .name = "host_cpu",
    .summary = "CPU time of the host: busy, idle, steal, irq, softirq",
    .needs = "/proc/stat",
    .when = WHEN_HOST,
    .begin = host_cpu_begin,
};
const struct probe probe_host_memory = {
    .name = "host_memory",
    .summary = "memory of the host",
    .needs = "/proc/meminfo",
    .when = WHEN_HOST,
    .begin = host_memory_begin,
};
const struct probe probe_host_psi = {
    .name = "host_psi",
    .summary = "time tasks of the host stalled on CPU, memory and io",
    .needs = "PSI",
    .when = WHEN_HOST,
    .open = host_psi_open,
    .begin = host_psi_begin,
};
