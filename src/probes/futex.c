/* SPDX-License-Identifier: MIT */
/* Waits at futexes per zone, and who ended them (src/bpf/futex.bpf.c). Costs every system call of
 * the host, as probe syscalls does, so only where it is asked for. */
#include "base/cleanup.h"
#include "probes/zone-sums.h"
#include "futex.skel.h"

static const char *const hooks[] = {"sys_enter", "sys_exit", "sched_waking"};
static const struct sums_spec spec = {
    .elf = futex_bpf__elf_bytes,
    .hooks = hooks,
    .nr_hooks = ARRAY_SIZE(hooks),
    .nr_fields = 2,
    .metrics = {ZM_FUTEX_WAITS, ZM_FUTEX_WAIT_NS},
    .has_pairs = true,
    .owners = CG_CPU,
    .foreign = ZM_FUTEX_FOREIGN_NS,
};

static int futex_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	return sums_open(&spec, p, ret_state, why, size);
}

const struct probe probe_futex = {
    .name = "futex",
    .summary = "waits of a zone at locks (futexes), and who ended them",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics =
	METRIC_BIT(ZM_FUTEX_WAITS) | METRIC_BIT(ZM_FUTEX_WAIT_NS) | METRIC_BIT(ZM_FUTEX_FOREIGN_NS),
    .open = futex_open,
    .close = sums_close,
    .read = sums_read,
    .end = sums_end,
    .forget = sums_forget,
    .holds = HELD_LOCKS,
    .holders = sums_holders,
};
