/* SPDX-License-Identifier: MIT */
/* System calls per zone and the time they took (src/bpf/syscalls.bpf.c). Costs every call of the
 * host some 350 ns (tests/bench/probes-bench.py), so only where it is asked for. */
#include "base/cleanup.h"
#include "probes/zone-sums.h"
#include "syscalls.skel.h"

static const char *const hooks[] = {"sys_enter", "sys_exit"};
static const struct sums_spec spec = {
    .elf = syscalls_bpf__elf_bytes,
    .hooks = hooks,
    .nr_hooks = ARRAY_SIZE(hooks),
    .ways = {{{"on_enter_event", "on_exit_event"}}, {{"on_enter", "on_exit"}}},
    .nr_fields = 2,
    .metrics = {ZM_SYSCALLS, ZM_SYSCALL_NS},
};

static int syscalls_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	return sums_open(&spec, p, ret_state, why, size);
}

const struct probe probe_syscalls = {
    .name = "syscalls",
    .summary = "system calls per zone, and the time they took",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_SYSCALLS) | METRIC_BIT(ZM_SYSCALL_NS),
    .open = syscalls_open,
    .close = sums_close,
    .read = sums_read,
    .end = sums_end,
    .forget = sums_forget,
};
