// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what epoll_wait returns to latency-critical tasks into the bus map cz_epoll, per CPU. Two
 * ways to see it, of which epoll-probe.c attaches one: at the end of do_epoll_wait (costs nothing
 * else), or at the end of every system call (where the kernel can't be hooked at functions).
 */
#include "sched/bus.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, u32);
	__type(value, struct bus_epoll);
} cz_epoll SEC(".maps");

static __always_inline void returned(long events)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct bus_epoll *sum;
	u32 zero = 0;

	if (class_of(p, bpf_ktime_get_ns()).class != BUS_LC)
		return;
	sum = bpf_map_lookup_elem(&cz_epoll, &zero);
	if (!sum)
		return;
	sum->returns_total++;
	if (events > 0)
		sum->events_total += events;
}

SEC("fexit/do_epoll_wait")
int epoll_function(void *ctx)
{
	u64 events = 0;

	if (bpf_get_func_ret(ctx, &events) == 0)
		returned((int)events);
	return 0;
}

#if defined(__TARGET_ARCH_x86)
#define EPOLL_CALLS(nr) ((nr) == 232 || (nr) == 281 || (nr) == 441) /* wait, pwait, pwait2 */
struct pt_regs___calls {
	unsigned long orig_ax;
} __attribute__((preserve_access_index));
#define CALL_NR(regs) BPF_CORE_READ((struct pt_regs___calls *)(regs), orig_ax)
#else /* the numbers of the generic table: arm64, riscv */
#define EPOLL_CALLS(nr) ((nr) == 22 || (nr) == 441)
struct pt_regs___calls {
	int syscallno;
} __attribute__((preserve_access_index));
#define CALL_NR(regs)	BPF_CORE_READ((struct pt_regs___calls *)(regs), syscallno)
#endif

SEC("tp_btf/sys_exit")
int BPF_PROG(epoll_call, void *regs, long events)
{
	long nr = CALL_NR(regs);

	if (EPOLL_CALLS(nr))
		returned(events);
	return 0;
}
