/* SPDX-License-Identifier: MIT */
/*
 * The kernel types that schedulers touch, and no more: the build machine's kernel may have no
 * sched_ext in its BTF. Where a field really is is found when a program is loaded (CO-RE), and
 * sched_ext_ops is laid out by libbpf, by the names of its members. The numbers are sched_ext's
 * interface and have not changed since 6.12.
 */
#pragma once
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "sched/exit.h"

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#ifndef NULL
#define NULL ((void *)0)
#endif
#define NSEC_PER_MSEC	      1000000ull
#define NSEC_PER_SEC	      1000000000ull
#define MAP_TYPE_CGRP_STORAGE 32 /* newer than Debian 12's headers */

#define SCX_DSQ_LOCAL	 0x8000000000000002ull
#define SCX_DSQ_LOCAL_ON 0xc000000000000000ull
#define SCX_SLICE_INF	 (~0ull)

#define SCX_ENQ_WAKEUP	(1ull << 0)
#define SCX_ENQ_HEAD	(1ull << 16)
#define SCX_ENQ_PREEMPT (1ull << 32)
#define SCX_ENQ_REENQ	(1ull << 40)
#define SCX_ENQ_LAST	(1ull << 41)

#define SCX_OPS_KEEP_BUILTIN_IDLE (1ull << 0)
#define SCX_OPS_ENQ_LAST	  (1ull << 1)
#define SCX_OPS_ENQ_EXITING	  (1ull << 2)
#define SCX_OPS_SWITCH_PARTIAL	  (1ull << 3)

#define SCX_KICK_IDLE	 (1ull << 0)
#define SCX_KICK_PREEMPT (1ull << 1)

#define SCX_TASK_QUEUED (1u << 0)

#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cpumask {
	unsigned long bits[8]; /* at least */
};
struct kernfs_node {
	u64 id;
};
struct cgroup {
	struct kernfs_node *kn;
	int level;
	struct cgroup *ancestors[];
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
struct task_group {
	struct cgroup_subsys_state css;
};

struct sched_ext_entity {
	u32 flags;
	u32 weight;
	u64 slice;
	u64 dsq_vtime;
};

struct task_struct {
	unsigned int flags;
	int prio;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	int pid;
	int tgid;
	struct task_group *sched_task_group;
	struct sched_ext_entity scx;
	char comm[16];
};

struct scx_init_task_args {
	bool fork;
	struct cgroup *cgroup;
};
struct scx_exit_task_args {
	bool cancelled;
};
struct scx_cgroup_init_args {
	u32 weight;
};
struct scx_cpu_acquire_args;
struct scx_cpu_release_args;
struct scx_exit_info {
	enum scx_exit_kind kind;
	s64 exit_code;
	const char *reason;
	char *msg;
};

#pragma clang attribute pop

/* arguments of kernel functions: by value, so not relocated */
struct scx_bpf_dsq_insert_vtime_args {
	u64 dsq_id;
	u64 slice;
	u64 vtime;
	u64 enq_flags;
};

/* as the kernel lays it out for programs: opaque */
struct bpf_iter_scx_dsq {
	u64 opaque[6];
} __attribute__((aligned(8)));
#ifndef BPF_FOR_EACH_ITER
#define BPF_FOR_EACH_ITER (&___it) /* the iterator, within bpf_for_each() */
#endif
struct bpf_iter_num {
	u64 opaque[1];
} __attribute__((aligned(8)));

struct sched_ext_ops {
	s32 (*select_cpu)(struct task_struct *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dequeue)(struct task_struct *p, u64 deq_flags);
	void (*dispatch)(s32 cpu, struct task_struct *prev);
	void (*tick)(struct task_struct *p);
	void (*runnable)(struct task_struct *p, u64 enq_flags);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, bool runnable);
	void (*quiescent)(struct task_struct *p, u64 deq_flags);
	bool (*yield)(struct task_struct *from, struct task_struct *to);
	void (*set_weight)(struct task_struct *p, u32 weight);
	void (*update_idle)(s32 cpu, bool idle);
	s32 (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*exit_task)(struct task_struct *p, struct scx_exit_task_args *args);
	void (*enable)(struct task_struct *p);
	void (*disable)(struct task_struct *p);
	s32 (*cgroup_init)(struct cgroup *cgrp, struct scx_cgroup_init_args *args);
	void (*cgroup_exit)(struct cgroup *cgrp);
	void (*cgroup_move)(struct task_struct *p, struct cgroup *from, struct cgroup *to);
	void (*cgroup_set_weight)(struct cgroup *cgrp, u32 weight);
	void (*cpu_online)(s32 cpu);
	void (*cpu_offline)(s32 cpu);
	void (*cpu_acquire)(s32 cpu, struct scx_cpu_acquire_args *args);
	void (*cpu_release)(s32 cpu, struct scx_cpu_release_args *args);
	s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	u64 flags;
	u32 timeout_ms;
	u32 exit_dump_len;
	char name[128];
};
