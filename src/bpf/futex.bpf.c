/* SPDX-License-Identifier: MIT */
/*
 * Waits at futexes per zone, and who ended them: a lock's waiter is woken by the task that gives
 * the lock up. The time from the call to the waking is charged to the pair of zones.
 *
 * Limits: a condition or an idle pool of threads waits at futexes too, and the kernel cannot tell
 * these from locks; so it says who woke whom, and how long that took. One that ends by time-out or
 * signal is counted, and charged to nobody.
 */
#define ZONE_SUMS_FIELDS 2 /* waits, ns */
#include "zone-pairs.bpf.h"
#include "syscall-nr.bpf.h"
#include <bpf/bpf_tracing.h>

#define FUTEX_CMD_MASK 127
#define WAIT_COMMANDS  (1 << 0 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 13)
#define NOT_SLEPT      -11 /* EAGAIN: the value had changed */

struct call {
	u64 since_ns; /* of a wait; 0: none */
	bool wakes;   /* in a call that wakes */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline bool waits(long nr, u64 command)
{
	if (!CALL_IS_FUTEX(nr))
		return CALL_IS_FUTEX_WAIT(nr);
	command &= FUTEX_CMD_MASK;
	return command < 32 && WAIT_COMMANDS & 1u << command;
}

static __always_inline int enter(struct pt_regs *regs, long nr)
{
	struct call *c;

	if (!CALL_IS_FUTEX(nr) && !CALL_IS_FUTEX_WAIT(nr) && !CALL_IS_FUTEX_WAKE(nr))
		return 0;
	c = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL,
				 BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!c) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	c->wakes = !waits(nr, PT_REGS_PARM2_CORE_SYSCALL(regs));
	c->since_ns = c->wakes ? 0 : bpf_ktime_get_ns();
	return 0;
}

static __always_inline int leave(long nr, long ret)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct call *c;
	u64 zone;

	if (!CALL_IS_FUTEX(nr) && !CALL_IS_FUTEX_WAIT(nr) && !CALL_IS_FUTEX_WAKE(nr))
		return 0;
	c = bpf_task_storage_get(&calls, p, NULL, 0);
	if (!c)
		return 0;
	if (c->since_ns && ret != NOT_SLEPT) {
		zone = task_zone(p);
		zone_add(zone, 0, 1);
		zone_add(zone, 1, bpf_ktime_get_ns() - c->since_ns);
	}
	c->since_ns = 0;
	c->wakes = false;
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long nr)
{
	return enter(regs, nr);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_exit, struct pt_regs *regs, long ret)
{
	return leave(CALL_NR(regs), ret);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *p)
{
	struct call *c = bpf_task_storage_get(&calls, p, NULL, 0), *by;
	struct task_struct *waker;

	if (!c || !c->since_ns)
		return 0;
	waker = bpf_get_current_task_btf();
	by = bpf_task_storage_get(&calls, waker, NULL, 0);
	if (by && by->wakes) /* else an interrupt: a time-out */
		pair_add(task_zone(p), task_zone(waker), bpf_ktime_get_ns() - c->since_ns);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
