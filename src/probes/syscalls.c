/* SPDX-License-Identifier: MIT */
/* System calls per zone and the time they took (src/bpf/syscalls.bpf.c). Costs every call of the
 * host some 350 ns (tests/bench/probes-bench.py), so only where it is asked for. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/zone-sums.h"
#include "probes/zone-sums.h"
#include "syscalls.skel.h"

struct syscalls {
	struct syscalls_bpf *skel;
	struct zone_sums_reader sums;
	uint64_t missed;
};

static void syscalls_close(void *state)
{
	struct syscalls *s = state;

	if (!s)
		return;
	syscalls_bpf__destroy(s->skel);
	zone_sums_done(&s->sums);
	free(s);
}
DEFINE_CLEANUP(void *, syscalls_close)

static void choose_hooks(struct syscalls_bpf *skel)
{
	bool events = access("/sys/kernel/tracing/events/raw_syscalls/sys_exit/id", R_OK) == 0;

	bpf_program__set_autoload(skel->progs.on_enter_event, events);
	bpf_program__set_autoload(skel->progs.on_exit_event, events);
	bpf_program__set_autoload(skel->progs.on_enter, !events);
	bpf_program__set_autoload(skel->progs.on_exit, !events);
}

static int syscalls_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	static const char *const hooks[] = {"sys_enter", "sys_exit"};
	_cleanup_(syscalls_closep) void *state = NULL;
	struct syscalls *s;
	int r;

	r = bpf_hooks_check(hooks, ARRAY_SIZE(hooks), why, size);
	if (r < 0)
		return r;
	state = s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->sums.count = ZM_SYSCALLS;
	s->sums.ns = ZM_SYSCALL_NS;
	s->skel = syscalls_bpf__open();
	if (!s->skel)
		return bpf_refused(-errno, why, size);
	choose_hooks(s->skel);
	r = syscalls_bpf__load(s->skel);
	if (r < 0)
		return bpf_refused(r, why, size);
	s->sums.lost = &s->skel->bss->lost;
	r = zone_sums_init(&s->sums, s->skel->maps.sums);
	if (r == 0)
		r = syscalls_bpf__attach(s->skel);
	if (r < 0)
		return bpf_refused(r, why, size);
	*ret_state = TAKE_PTR(state);
	return 0;
}

static int syscalls_read(void *state, struct probes *p, struct probe_zone *z)
{
	return zone_sums_read(&((struct syscalls *)state)->sums, p, z);
}

/* Calls that the kernel let pass unseen: said, never guessed. */
static void syscalls_end(void *state, struct probes *p)
{
	struct syscalls *s = state;
	uint64_t missed = bpf_misses(s->skel->progs.on_enter) + bpf_misses(s->skel->progs.on_exit);

	if (missed != s->missed)
		p->stats.errors_total++;
	s->missed = missed;
}

static void syscalls_forget(void *state, const struct probe_zone *z)
{
	zone_sums_forget(&((struct syscalls *)state)->sums, z);
}

const struct probe probe_syscalls = {
    .name = "syscalls",
    .summary = "system calls per zone, and the time they took",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_SYSCALLS) | METRIC_BIT(ZM_SYSCALL_NS),
    .open = syscalls_open,
    .close = syscalls_close,
    .read = syscalls_read,
    .end = syscalls_end,
    .forget = syscalls_forget,
};
