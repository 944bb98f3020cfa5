/* SPDX-License-Identifier: MIT */
/* Context switches and migrations per zone (src/bpf/switches.bpf.c). Costs every context switch of
 * the host (tests/bench/probes-bench.py), so only where it is asked for. */
#include "base/cleanup.h"
#include "probes/zone-sums.h"
#include "switches.skel.h"

static const char *const hooks[] = {"sched_switch", "sched_migrate_task"};
static const struct sums_spec spec = {
    .elf = switches_bpf__elf_bytes,
    .hooks = hooks,
    .nr_hooks = ARRAY_SIZE(hooks),
    .nr_fields = 3,
    .metrics = {ZM_VOLUNTARY_SWITCHES, ZM_INVOLUNTARY_SWITCHES, ZM_MIGRATIONS},
};

static int switches_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	return sums_open(&spec, p, ret_state, why, size);
}

const struct probe probe_switches = {
    .name = "switches",
    .summary = "context switches of a zone, and moves of its tasks between CPUs",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_VOLUNTARY_SWITCHES) | METRIC_BIT(ZM_INVOLUNTARY_SWITCHES) |
	       METRIC_BIT(ZM_MIGRATIONS),
    .open = switches_open,
    .close = sums_close,
    .read = sums_read,
    .end = sums_end,
    .forget = sums_forget,
};
