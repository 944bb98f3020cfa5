/* SPDX-License-Identifier: MIT */
/* Returns of epoll_wait per zone (src/bpf/epolls.bpf.c). Where the kernel lets functions be hooked,
 * it costs those calls only; else every system call, as probe syscalls does. */
#include "base/cleanup.h"
#include "probes/zone-sums.h"
#include "epolls.skel.h"

static const char *const hooks[] = {"sys_exit"};
static const struct sums_spec spec = {
    .elf = epolls_bpf__elf_bytes,
    .hooks = hooks,
    .nr_hooks = ARRAY_SIZE(hooks),
    .ways = {{{"on_function"}}, {{"on_call"}}},
    .nr_fields = 2,
    .metrics = {ZM_EPOLL_RETURNS, ZM_EPOLL_EVENTS},
};

static int epoll_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	return sums_open(&spec, p, ret_state, why, size);
}

const struct probe probe_epoll = {
    .name = "epoll",
    .summary = "how often epoll_wait returns to a zone, and with how many events",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_EPOLL_RETURNS) | METRIC_BIT(ZM_EPOLL_EVENTS),
    .open = epoll_open,
    .close = sums_close,
    .read = sums_read,
    .end = sums_end,
    .forget = sums_forget,
};
