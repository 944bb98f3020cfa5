/* SPDX-License-Identifier: MIT */
/*
 * What epoll_wait returns to the tasks of a zone: how often, and how many events. An event loop
 * that is not full returns about once an event; one that is gets many at a time. Two ways to see
 * it: at the end of do_epoll_wait, or where functions cannot be hooked, at the end of every system
 * call.
 */
#define ZONE_SUMS_FIELDS 2 /* returns, events */
#include "zone-sums.bpf.h"
#include "syscall-nr.bpf.h"
#include <bpf/bpf_tracing.h>

static __always_inline void returned(long events)
{
	u64 zone = task_zone(bpf_get_current_task_btf());

	zone_add(zone, 0, 1);
	if (events > 0)
		zone_add(zone, 1, events);
}

SEC("fexit/do_epoll_wait")
int on_function(void *ctx)
{
	u64 events = 0;

	if (bpf_get_func_ret(ctx, &events) == 0)
		returned((int)events);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_call, void *regs, long events)
{
	long nr = CALL_NR(regs);

	if (CALL_IS_EPOLL_WAIT(nr))
		returned(events);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
