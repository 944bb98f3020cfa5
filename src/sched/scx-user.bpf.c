// SPDX-License-Identifier: GPL-2.0
/*
 * scx-user: a process decides who runs next, and where.
 *
 * A task that becomes runnable is parked in one queue, and a request is put in a ring. User space
 * (the loader; user-pick.c is its policy: fair shares by weight) answers with decisions: this task,
 * that CPU, that slice. A program of type syscall moves the task from the park to the CPU's queue
 * and kicks the CPU. User space decides no more than about one task a CPU in advance, so its order
 * holds. What it wants to remember of a task (vtime) travels with the task.
 *
 * It can't take the machine with it. Kernel threads, the loader and its parent (the zone's agent)
 * never wait for a decision; the loader's memory is locked; when the ring is full a task goes to
 * the common queue; and when there is no decision for --stall (50 ms) while tasks are parked and no
 * CPU has anything queued, the park is served first come, first served until user space answers
 * again.
 *
 * Limits. Each turn costs two switches to the loader and a system call: for trying out policies in
 * any language and with any library, not for throughput. A CPU asked for is a wish: affinity goes
 * first, and a CPU that would idle takes what others have queued. A real-time task that keeps the
 * loader from all CPUs is a stall.
 */
#include "sched/common.bpf.h"
#include "sched/counters.h"
#include "sched/scx-user.h"

#define CPUS_MAX  512
#define PARK	  1 /* waiting for a decision */
#define COMMON	  2 /* decided, any CPU */
#define QUEUE_CPU 16
#define CHECK_NS  (10 * NSEC_PER_MSEC)
#define SYSTEM_NS (4 * NSEC_PER_MSEC)

const volatile __u64 slice_ns = 8 * NSEC_PER_MSEC;
const volatile __u64 stall_ns = 50 * NSEC_PER_MSEC;

enum { USER_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

struct user_shared shared SEC(".data.shared");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} requests SEC(".maps");

struct task_state {
	u64 used_ns, started_ns;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");
#define task_state(p) ((struct task_state *)bpf_task_storage_get(&tasks, p, 0, 0))

struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
bool scx_bpf_dsq_move___new(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p, u64 dsq_id,
			    u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_move_set_slice___new(struct bpf_iter_scx_dsq *it__iter, u64 slice) __ksym __weak;
bool scx_bpf_dispatch_from_dsq___old(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
				     u64 dsq_id, u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_slice___old(struct bpf_iter_scx_dsq *it__iter,
					       u64 slice) __ksym __weak;

static __always_inline bool is_system(struct task_struct *p)
{
	u32 tgid = p->tgid;

	return p->flags & PF_KTHREAD || tgid == shared.agent[0] || tgid == shared.agent[1];
}

static __always_inline bool ask(struct task_struct *p, struct task_state *t)
{
	struct user_request *r = bpf_ringbuf_reserve(&requests, sizeof(*r), 0);

	if (!r)
		return false;
	r->pid = p->pid;
	r->cpu = scx_bpf_task_cpu(p);
	r->weight = p->scx.weight;
	r->unused = 0;
	r->vtime = p->scx.dsq_vtime;
	r->used_ns = t->used_ns;
	t->used_ns = 0;
	bpf_ringbuf_submit(r, 0);
	return true;
}

void STRUCT_OPS(user_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_state *t = task_state(p);

	if (is_system(p)) {
		count(COUNT_system);
		if (enq_flags & SCX_ENQ_WAKEUP)
			enq_flags |= SCX_ENQ_PREEMPT;
		dsq_insert(p, SCX_DSQ_LOCAL, SYSTEM_NS, enq_flags);
		return;
	}
	/* The park takes it only after this callback: an answer may come too early, see scx-user.c.
	 */
	if (t && ask(p, t)) {
		count(COUNT_asked);
		dsq_insert(p, PARK, slice_ns, enq_flags);
		return;
	}
	count(COUNT_overflow);
	dsq_insert(p, COMMON, slice_ns, enq_flags);
}

static __noinline bool take_other(s32 cpu)
{
	int i;

	bpf_for(i, 1, (int)shared.nr_cpus)
	{
		u32 other = (u32)cpu + i;

		if (other >= shared.nr_cpus)
			other -= shared.nr_cpus;
		if (dsq_move_to_local(QUEUE_CPU + other))
			return true;
	}
	return false;
}

void STRUCT_OPS(user_dispatch, s32 cpu, struct task_struct *prev)
{
	struct user_request *r;

	if (dsq_move_to_local(QUEUE_CPU + cpu) || dsq_move_to_local(COMMON) || take_other(cpu))
		return;
	if (shared.stalled) {
		if (dsq_move_to_local(PARK))
			count(COUNT_fallback);
		return;
	}
	if (scx_bpf_dsq_nr_queued(PARK) <= 0)
		return;
	r = bpf_ringbuf_reserve(&requests, sizeof(*r), 0);
	if (!r)
		return;
	count(COUNT_idle_asked);
	__builtin_memset(r, 0, sizeof(*r));
	bpf_ringbuf_submit(r, 0);
}

void STRUCT_OPS(user_running, struct task_struct *p)
{
	struct task_state *t = task_state(p);

	if (t)
		t->started_ns = now_ns();
}

void STRUCT_OPS(user_stopping, struct task_struct *p, bool runnable)
{
	struct task_state *t = task_state(p);

	if (t)
		t->used_ns += now_ns() - t->started_ns;
}

s32 STRUCT_OPS_SLEEPABLE(user_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
}

static __always_inline bool move_from_park(struct task_struct *p, u64 dsq_id, u64 slice)
{
	struct bpf_iter_scx_dsq it;
	bool moved = false;

	bpf_rcu_read_lock();
	if (bpf_iter_scx_dsq_new(&it, PARK, 0) == 0) {
		if (bpf_ksym_exists(scx_bpf_dsq_move___new)) {
			scx_bpf_dsq_move_set_slice___new(&it, slice);
			moved = scx_bpf_dsq_move___new(&it, p, dsq_id, 0);
		} else {
			scx_bpf_dispatch_from_dsq_set_slice___old(&it, slice);
			moved = scx_bpf_dispatch_from_dsq___old(&it, p, dsq_id, 0);
		}
	}
	bpf_iter_scx_dsq_destroy(&it);
	bpf_rcu_read_unlock();
	return moved;
}

static __noinline u32 decide_one(struct user_decision *d)
{
	bool any = d->cpu < 0 || (u32)d->cpu >= shared.nr_cpus;
	u64 slice = d->slice_ns ?: slice_ns;
	struct task_struct *p = bpf_task_from_pid(d->pid);
	s32 cpu;
	bool moved;

	if (!p)
		return 0;
	cpu = any ? scx_bpf_task_cpu(p) : d->cpu;
	task_set_vtime(p, d->vtime);
	moved = move_from_park(p, any ? COMMON : QUEUE_CPU + cpu, slice);
	bpf_task_release(p);
	if (moved) {
		count(COUNT_decided);
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	}
	return moved;
}

SEC("syscall")
int user_decide(struct user_decisions *d)
{
	u32 moved = 0;
	int i;

	shared.decided_at_ns = bpf_ktime_get_ns();
	shared.stalled = 0;
	bpf_for(i, 0, USER_DECISIONS_MAX)
	{
		struct user_decision one;

		if ((u32)i >= d->nr)
			break;
		bpf_probe_read_kernel(&one, sizeof(one), &d->list[i]);
		moved += decide_one(&one);
	}
	d->moved = moved;
	d->queued = scx_bpf_dsq_nr_queued(COMMON);
	bpf_for(i, 0, (int)shared.nr_cpus)
	{
		d->queued += scx_bpf_dsq_nr_queued(QUEUE_CPU + i);
	}
	return 0;
}

/* --- user space's absence --- */

struct watch {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct watch);
} watch SEC(".maps");

static int watch_user(void *map, u32 *key, struct watch *w)
{
	s32 parked = scx_bpf_dsq_nr_queued(PARK);
	u64 now = bpf_ktime_get_ns();
	int cpu;

	if (parked < 0)
		return 0; /* detached */
	if (parked == 0 && !shared.stalled)
		shared.decided_at_ns = now;
	if (parked > 0 && (s64)(now - shared.decided_at_ns) > (s64)stall_ns) {
		if (!shared.stalled)
			count(COUNT_stalls);
		shared.stalled = 1;
		bpf_for(cpu, 0, (int)shared.nr_cpus)
		{
			scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		}
	}
	bpf_timer_start(&w->timer, CHECK_NS, 0);
	return 0;
}

s32 STRUCT_OPS_SLEEPABLE(user_init)
{
	u32 zero = 0;
	struct watch *w = bpf_map_lookup_elem(&watch, &zero);
	int r, cpu;

	r = scx_bpf_create_dsq(PARK, -1);
	r = r ?: scx_bpf_create_dsq(COMMON, -1);
	bpf_for(cpu, 0, (int)shared.nr_cpus)
	{
		r = r ?: scx_bpf_create_dsq(QUEUE_CPU + cpu, -1);
	}
	if (r || !w)
		return r ?: -12;
	shared.stalled = 1; /* until the first decision */
	r = bpf_timer_init(&w->timer, &watch, 1 /* CLOCK_MONOTONIC */);
	if (r && r != -16) /* EBUSY: attached before */
		return r;
	r = bpf_timer_set_callback(&w->timer, watch_user);
	return r ?: bpf_timer_start(&w->timer, CHECK_NS, 0);
}

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    .enqueue = (void *)user_enqueue,
    .dispatch = (void *)user_dispatch,
    .running = (void *)user_running,
    .stopping = (void *)user_stopping,
    .init_task = (void *)user_init_task,
    .init = (void *)user_init,
    COMMON_OPS,
    .flags = SCX_OPS_ENQ_EXITING,
    .name = "cz_user",
};
