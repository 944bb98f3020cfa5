/* SPDX-License-Identifier: MIT */
/*
 * System calls per zone: how many ended, and how long they took. One that never returns (exit) or
 * began before the probe does not count.
 */
#define ZONE_SUMS_FIELDS 2 /* calls, ns */
#include "zone-timed.bpf.h"
#include <bpf/bpf_tracing.h>

/* Two ways to the same hooks, of which one is loaded. Kernels since 7.0 may preempt a program on a
 * raw trace point, and then miss the call of another task on that CPU; as a trace event (it needs
 * tracefs) it is never preempted. */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter)
{
	return timed_begin();
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_exit)
{
	return timed_end();
}

SEC("tp/raw_syscalls/sys_enter")
int on_enter_event(void *ctx)
{
	return timed_begin();
}

SEC("tp/raw_syscalls/sys_exit")
int on_exit_event(void *ctx)
{
	return timed_end();
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
