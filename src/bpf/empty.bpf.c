/* SPDX-License-Identifier: MIT */
/* Programs that do nothing on the ledger's hooks: the floor against which its cost is measured. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EMPTY(hook)                                                                                \
	SEC("tp_btf/" #hook)                                                                       \
	int BPF_PROG(empty_##hook)                                                                 \
	{                                                                                          \
		return 0;                                                                          \
	}

EMPTY(sched_switch)
EMPTY(sched_wakeup)
EMPTY(sched_wakeup_new)
EMPTY(sched_migrate_task)
EMPTY(sched_process_fork)
EMPTY(cgroup_attach_task)
EMPTY(cgroup_mkdir)
EMPTY(cgroup_rmdir)
EMPTY(irq_handler_entry)
EMPTY(irq_handler_exit)
EMPTY(softirq_entry)
EMPTY(softirq_exit)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
