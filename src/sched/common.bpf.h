/* SPDX-License-Identifier: MIT */
/*
 * What every policy shares: the kernel's functions under the names they have had since 6.12, how
 * the end is reported, counters.
 *
 * Calls to kernel functions are macros here: clang 14 drops the BTF of one that is only called in
 * an inline function. libbpf strips the last ___suffix of a name, so the same function can be
 * declared in the forms of several kernels; the verifier removes the branches that this kernel
 * lacks.
 */
#pragma once
#include "sched/types.bpf.h"

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   bool *is_idle) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
s32 scx_bpf_pick_idle_cpu(const struct cpumask *allowed, u64 flags) __ksym;
bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
bool scx_bpf_task_running(const struct task_struct *p) __ksym;
u32 scx_bpf_nr_cpu_ids(void) __ksym;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;
int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym __weak;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym __weak;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym __weak;

void scx_bpf_dsq_insert___new(struct task_struct *p, u64 dsq_id, u64 slice,
			      u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch___old(struct task_struct *p, u64 dsq_id, u64 slice,
			    u64 enq_flags) __ksym __weak;
bool __scx_bpf_dsq_insert_vtime___args(struct task_struct *p,
				       struct scx_bpf_dsq_insert_vtime_args *args) __ksym __weak;
void scx_bpf_dsq_insert_vtime___new(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
				    u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_vtime___old(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
				  u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_move_to_local___new(u64 dsq_id) __ksym __weak;
bool scx_bpf_consume___old(u64 dsq_id) __ksym __weak;
bool scx_bpf_task_set_slice___new(struct task_struct *p, u64 slice) __ksym __weak;
bool scx_bpf_task_set_dsq_vtime___new(struct task_struct *p, u64 vtime) __ksym __weak;
u64 scx_bpf_now___new(void) __ksym __weak;

#define dsq_insert(p, dsq_id, slice, enq_flags)                                                    \
	({                                                                                         \
		if (bpf_ksym_exists(scx_bpf_dsq_insert___new))                                     \
			scx_bpf_dsq_insert___new(p, dsq_id, slice, enq_flags);                     \
		else                                                                               \
			scx_bpf_dispatch___old(p, dsq_id, slice, enq_flags);                       \
	})

#define dsq_insert_vtime(p, dsq, slice_ns_, vtime_, flags_)                                        \
	({                                                                                         \
		if (bpf_ksym_exists(__scx_bpf_dsq_insert_vtime___args)) {                          \
			struct scx_bpf_dsq_insert_vtime_args args_ = {                             \
			    .dsq_id = (dsq),                                                       \
			    .slice = (slice_ns_),                                                  \
			    .vtime = (vtime_),                                                     \
			    .enq_flags = (flags_),                                                 \
			};                                                                         \
			__scx_bpf_dsq_insert_vtime___args(p, &args_);                              \
		} else if (bpf_ksym_exists(scx_bpf_dsq_insert_vtime___new)) {                      \
			scx_bpf_dsq_insert_vtime___new(p, dsq, slice_ns_, vtime_, flags_);         \
		} else {                                                                           \
			scx_bpf_dispatch_vtime___old(p, dsq, slice_ns_, vtime_, flags_);           \
		}                                                                                  \
	})

/* true when a task was moved */
#define dsq_move_to_local(dsq_id)                                                                  \
	(bpf_ksym_exists(scx_bpf_dsq_move_to_local___new)                                          \
	     ? scx_bpf_dsq_move_to_local___new(dsq_id)                                             \
	     : scx_bpf_consume___old(dsq_id))

#define task_set_slice(p, slice_ns_)                                                               \
	({                                                                                         \
		if (bpf_ksym_exists(scx_bpf_task_set_slice___new))                                 \
			scx_bpf_task_set_slice___new(p, slice_ns_);                                \
		else                                                                               \
			(p)->scx.slice = (slice_ns_);                                              \
	})

#define task_set_vtime(p, vtime_)                                                                  \
	({                                                                                         \
		if (bpf_ksym_exists(scx_bpf_task_set_dsq_vtime___new))                             \
			scx_bpf_task_set_dsq_vtime___new(p, vtime_);                               \
		else                                                                               \
			(p)->scx.dsq_vtime = (vtime_);                                             \
	})

#define now_ns() (bpf_ksym_exists(scx_bpf_now___new) ? scx_bpf_now___new() : bpf_ktime_get_ns())

/* Ends the scheduler with a sentence; the loader prints it in its exit event. */
#define policy_error(text, ...)                                                                    \
	({                                                                                         \
		static char fmt_[] = text;                                                         \
		unsigned long long args_[] = {0, ##__VA_ARGS__};                                   \
		scx_bpf_error_bstr(fmt_, &args_[1], sizeof(args_) - sizeof(args_[0]));             \
	})

#define STRUCT_OPS(name, args...)	    SEC("struct_ops/" #name) BPF_PROG(name, ##args)
#define STRUCT_OPS_SLEEPABLE(name, args...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##args)

/* Kernel threads bound to one CPU (softirq, RCU, work queues) hold up others: they come first. */
static inline bool is_cpu_kthread(const struct task_struct *p)
{
	return (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1;
}

/* A kernel thread interrupts when it begins to want a CPU; one that goes on lets others of its kind
 * have it. */
#define preempt_once(p) (scx_bpf_task_running(p) ? 0 : SCX_ENQ_PREEMPT)

/* Read, and by the member's name: of a struct cpumask that nobody looks into clang leaves the
 * declaration only, and the kernel's functions that take one do not load. */
static __always_inline bool may_run_on(const struct task_struct *p, u32 cpu)
{
	unsigned long word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), &p->cpus_ptr->bits[cpu / 64]);
	return word >> (cpu % 64) & 1;
}

/* times around the wrap of u64 */
static inline bool time_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* --- counters: COUNTERS(NR); the names are in scx-NAME.h --- */

#define COUNTERS(nr)                                                                               \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, nr);                                                           \
		__type(key, u32);                                                                  \
		__type(value, u64);                                                                \
	} counters SEC(".maps");                                                                   \
	static inline void count(u32 which)                                                        \
	{                                                                                          \
		u64 *value = bpf_map_lookup_elem(&counters, &which);                               \
		if (value)                                                                         \
			(*value)++;                                                                \
	}

/* --- the end --- */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} exits SEC(".maps");

static struct sched_exit exit_record; /* there is one end at a time */

void STRUCT_OPS_SLEEPABLE(common_exit, struct scx_exit_info *info)
{
	exit_record.kind = info->kind;
	exit_record.code = info->exit_code;
	bpf_probe_read_kernel_str(exit_record.reason, sizeof(exit_record.reason), info->reason);
	bpf_probe_read_kernel_str(exit_record.message, sizeof(exit_record.message), info->msg);
	bpf_ringbuf_output(&exits, &exit_record, sizeof(exit_record), 0);
}

/* Without these two the kernel ejects a scheduler when a CPU comes or goes. A policy that has to
 * know defines OWN_HOTPLUG, and its own. */
#ifndef OWN_HOTPLUG
void STRUCT_OPS(common_cpu_online, s32 cpu)
{
}

void STRUCT_OPS(common_cpu_offline, s32 cpu)
{
}
#define COMMON_HOTPLUG                                                                             \
	.cpu_online = (void *)common_cpu_online, .cpu_offline = (void *)common_cpu_offline,
#else
#define COMMON_HOTPLUG
#endif

/* The members that are the same everywhere. */
#define COMMON_OPS COMMON_HOTPLUG.exit = (void *)common_exit

char _license[] SEC("license") = "GPL";
