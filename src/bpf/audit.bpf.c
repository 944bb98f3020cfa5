/* SPDX-License-Identifier: MIT */
/*
 * Logs raw scheduler events and run_delay of the tasks of up to four cgroups, in the order in which
 * they happen, into one mapped array. It decides nothing: the replay is user space's. For tests
 * only.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "bpf/audit.h"
#include "task.bpf.h"

#define PF_KTHREAD 0x00200000
#define TASK_DEAD  0x00000080

const volatile u32 max_records = 1;
u32 watched[AUDIT_ZONES_MAX];
u64 nr_records, nr_lost;
u32 enabled;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct audit_record);
} records SEC(".maps");

static __always_inline u32 zone_id(struct task_struct *p)
{
	u64 id = 0;

	if (p->sched_task_group->css.cgroup)
		id = p->sched_task_group->css.cgroup->kn->id;
	return id ? (u32)id : 1;
}

static __always_inline bool is_watched(u32 zone)
{
	for (int i = 0; i < AUDIT_ZONES_MAX; i++)
		if (watched[i] == zone)
			return true;
	return false;
}

static __always_inline struct audit_record *record(void)
{
	u32 i = __sync_fetch_and_add(&nr_records, 1);
	struct audit_record *r = bpf_map_lookup_elem(&records, &i);

	if (!r)
		__sync_fetch_and_add(&nr_lost, 1);
	return r;
}

static __always_inline void log_task(struct task_struct *p, u32 zone, u32 kind, u32 cpu, u64 ns)
{
	struct audit_record *r = record();

	if (!r)
		return;
	r->ns = ns;
	r->a = p->pid;
	r->zone_a = zone;
	r->cpu = cpu;
	r->irq_ns = 0;
	r->steal_ns = 0;
	r->kind_flags = kind;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} last_next SEC(".maps"); /* pid + 1 */

/* Interrupts of this CPU, nested ones counted once. */
struct audit_cpu {
	u64 irq_ns, irq_start, steal;
	u32 depth;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct audit_cpu);
} irqs SEC(".maps");

struct rq___steal {
	u64 prev_steal_time_rq;
} __attribute__((preserve_access_index));

static __always_inline void log_interrupts(struct audit_record *r, struct rq *rq)
{
	struct rq___steal *steal = (void *)rq;
	struct audit_cpu *c;
	u32 key = 0;

	c = bpf_map_lookup_elem(&irqs, &key);
	if (!c)
		return;
	r->irq_ns = c->irq_ns;
	c->irq_ns = 0;
	if (!bpf_core_field_exists(steal->prev_steal_time_rq))
		return;
	r->steal_ns = steal->prev_steal_time_rq - c->steal;
	c->steal = steal->prev_steal_time_rq;
}

static __always_inline int irq(bool enter)
{
	u32 key = 0;
	struct audit_cpu *c = bpf_map_lookup_elem(&irqs, &key);

	if (!c || !enabled)
		return 0;
	if (enter && !c->depth++)
		c->irq_start = bpf_ktime_get_ns();
	if (!enter && c->depth && !--c->depth)
		c->irq_ns += bpf_ktime_get_ns() - c->irq_start;
	return 0;
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(audit_irq_enter)
{
	return irq(true);
}
SEC("tp_btf/irq_handler_exit")
int BPF_PROG(audit_irq_exit)
{
	return irq(false);
}
SEC("tp_btf/softirq_entry")
int BPF_PROG(audit_softirq_enter)
{
	return irq(true);
}
SEC("tp_btf/softirq_exit")
int BPF_PROG(audit_softirq_exit)
{
	return irq(false);
}

static __always_inline void log_unseen(struct task_struct *prev, u32 zone, u32 next_pid)
{
	u32 key = 0, *last = bpf_map_lookup_elem(&last_next, &key), flags = 0;

	if (!last)
		return;
	if (prev->flags & PF_KTHREAD)
		flags |= AUDIT_NEXT_KERNEL;
	if (*last && *last != (u32)prev->pid + 1 && prev->pid)
		log_task(prev, zone, AUDIT_UNSEEN | flags << 8, bpf_get_smp_processor_id(),
			 prev->sched_info.last_arrival);
	*last = next_pid + 1;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(audit_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	u32 zone = zone_id(prev), flags = 0;
	struct audit_record *r;

	if (!enabled)
		return 0;
	log_unseen(prev, zone, next->pid);
	r = record();
	if (!r)
		return 0;
	if (preempt || !prev_state)
		flags |= AUDIT_PREV_WAITS;
	if (preempt && prev_state)
		flags |= AUDIT_PREV_ASLEEP;
	if (next->flags & PF_KTHREAD)
		flags |= AUDIT_NEXT_KERNEL;
	r->ns = next->se.cfs_rq->rq->clock;
	r->a = prev->pid;
	r->b = next->pid;
	r->zone_a = zone;
	r->zone_b = zone_id(next);
	r->cpu = bpf_get_smp_processor_id();
	r->kind_flags = AUDIT_SWITCH | flags << 8;
	log_interrupts(r, next->se.cfs_rq->rq);
	if (prev_state & TASK_DEAD && is_watched(zone))
		log_task(prev, zone, AUDIT_DEAD, r->cpu, prev->sched_info.run_delay);
	return 0;
}

static __always_inline int woken(struct task_struct *p)
{
	u32 zone = zone_id(p);

	if (enabled && !task_on_cpu(p) && is_watched(zone))
		log_task(p, zone, AUDIT_WAKE, p->thread_info.cpu, p->se.cfs_rq->rq->clock);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(audit_wakeup, struct task_struct *p)
{
	return woken(p);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(audit_wakeup_new, struct task_struct *p)
{
	return woken(p);
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(audit_migrate, struct task_struct *p, int dest_cpu)
{
	u32 zone = zone_id(p);

	if (enabled && is_watched(zone))
		log_task(p, zone, AUDIT_MIGRATE, dest_cpu, p->se.cfs_rq->rq->clock);
	return 0;
}

SEC("iter/task")
int audit_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;
	struct audit_task out = {};

	if (!p || p->__state & TASK_DEAD) /* one that has ended is in the log */
		return 0;
	out.zone = zone_id(p);
	if (!is_watched(out.zone))
		return 0;
	out.pid = p->pid;
	out.run_delay_ns = p->sched_info.run_delay;
	out.waiting_cpu =
	    task_on_rq(p) == 1 && !task_on_cpu(p) && !p->__state ? (s32)p->thread_info.cpu : -1;
	bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
