/* SPDX-License-Identifier: MIT */
/*
 * scx-vtime: CPU time by cgroup weights (cpu.weight), down the whole tree.
 *
 * Start-time fair queueing with cgroups as flows. A cgroup's share is the product, level by level,
 * of its weight over the sum of its active siblings' ("active": something in it wants to run). One
 * queue for all CPUs is ordered by tags. A task that wants to run gets its cgroup's next tag, and
 * the cgroup's tag moves on by slice / share; when the task stops, that is corrected to what was
 * really used. The clock is the largest tag that has run in its turn; a cgroup that was idle starts
 * at the clock, with no credit. One that never stopped wanting may lie behind the clock, because a
 * task that was interrupted gave time back, or because the hypervisor stopped a CPU that held its
 * tasks: it keeps that, up to CREDIT_SLICES of CPU time, beyond which it has too few tasks for its
 * share. So the shares of cgroups that want more than they get are exact, whatever the number of
 * their tasks, and short runs are not rounded up.
 *
 * For zones with several apps whose weights are meant: the kernel's weights are rarely honoured by
 * other sched_ext policies. No task waits for longer than about --max-wait, whatever its weight:
 * the tag is never further ahead of the clock, and what a cgroup used beyond that is forgiven. That
 * also keeps the watchdog away.
 *
 * Limits. Tasks of one cgroup take turns: nice values mean nothing. Tasks in a cgroup that has
 * children (the root) count together as a child of weight 100. cpu.max and cpu.idle are not
 * honoured. Up to NODES_MAX cgroups have weights of their own, at most DEPTH_MAX deep; those beyond
 * count with their parent. A share that needs more CPUs than the cgroup has tasks goes to the
 * others. Tasks bound to a CPU make shares approximate. A slice ends at a tick; what is too much is
 * charged.
 */
#include "sched/common.bpf.h"
#include "sched/counters.h"
#include "sched/scx-vtime.h"

enum { VTIME_COUNTERS(COUNTER_NUMBER) COUNT_NR };
COUNTERS(COUNT_NR)

#define QUEUE	      0
#define NODES_MAX     4096
#define DEPTH_MAX     16
#define OWN_WEIGHT    100
#define SHARE_ONE     (1ull << 32)
#define SHARE_MIN     (1ull << 15)
#define CREDIT_SLICES 64

const volatile u64 slice_ns = 4 * NSEC_PER_MSEC;
const volatile u64 max_wait_ns = 10 * NSEC_PER_SEC;

/* A cgroup. Its active state, as the parent sees it, is made to fit by node_sync(). */
struct node {
	u64 parent; /* cgroup id; 0: the root */
	u64 tag;    /* where its next request starts */
	u32 weight;
	u32 children; /* sum of the counted weights of active children */
	u32 active_children;
	u32 runnable; /* tasks of its own that want to run */
	u32 counted;  /* the weight that the parent's sum holds; 0: not active */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NODES_MAX);
	__type(key, u64);
	__type(value, struct node);
} nodes SEC(".maps");

struct tree_lock {
	struct bpf_spin_lock lock;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tree_lock);
} tree_lock SEC(".maps");

struct task_ctx {
	u64 cgroup; /* id of its node */
	u64 tag;
	u64 charged;	  /* in tag units: what the request was taken for, and not yet corrected */
	u64 started_ns;	  /* 0: not running */
	bool runnable;	  /* counted in its node */
	bool out_of_turn; /* runs whatever its tag is: that says nothing of the clock */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

static u64 clock_tag; /* the largest tag that has run */
static u64 root_id;

static struct task_ctx *task_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, NULL, 0);
}

static struct node *node_of(u64 id)
{
	struct node *n = bpf_map_lookup_elem(&nodes, &id);

	return n ?: bpf_map_lookup_elem(&nodes, &root_id);
}

/* Makes the parent's sum hold what the node is now. True when the parent has to be looked at. */
static bool node_sync_one(struct node *n, struct node *parent)
{
	u32 zero = 0, want, had;
	struct tree_lock *tree = bpf_map_lookup_elem(&tree_lock, &zero);

	if (!tree)
		return false;
	bpf_spin_lock(&tree->lock);
	want = n->runnable || n->active_children ? n->weight : 0;
	had = n->counted;
	n->counted = want;
	parent->children += want - had;
	parent->active_children += !!want - !!had;
	bpf_spin_unlock(&tree->lock);
	return !want != !had;
}

/* After every change of runnable or weight. Whoever comes last leaves the tree right. */
static __noinline int node_sync(u64 id)
{
	for (int i = 0; i < DEPTH_MAX; i++) {
		struct node *n = bpf_map_lookup_elem(&nodes, &id), *parent;

		if (!n || !n->parent)
			return 0;
		id = n->parent;
		parent = bpf_map_lookup_elem(&nodes, &id);
		if (!parent || !node_sync_one(n, parent))
			return 0;
	}
	return 0;
}

/* What part of the machine the tasks of a cgroup are due now, of SHARE_ONE. */
static __noinline u64 node_share(u64 id)
{
	struct node *n = node_of(id);
	u64 share = SHARE_ONE;

	if (n && n->children)
		share = share * OWN_WEIGHT / (n->children + OWN_WEIGHT);
	for (int i = 0; i < DEPTH_MAX && n && n->parent; i++) {
		struct node *parent = bpf_map_lookup_elem(&nodes, &n->parent);
		u64 sum;

		if (!parent)
			break;
		sum = parent->children + (parent->runnable ? OWN_WEIGHT : 0);
		if (n->weight < sum)
			share = share * n->weight / sum;
		n = parent;
	}
	return share < SHARE_MIN ? SHARE_MIN : share;
}

/* CPU time -> tags: at a share of one, a nanosecond is one. */
static u64 to_tags(u64 ns, u64 share)
{
	return ns * ((SHARE_ONE << 16) / share) >> 16;
}

static void give_back(struct task_ctx *t, struct node *n)
{
	__sync_fetch_and_add(&n->tag, -t->charged);
	t->charged = 0;
}

/* Takes the next tag of the task's cgroup, for a slice. */
static void request(struct task_struct *p, struct task_ctx *t)
{
	u64 share = node_share(t->cgroup), now = clock_tag, last = now + max_wait_ns, tag;
	struct node *n = node_of(t->cgroup);

	if (!n)
		return;
	give_back(t, n); /* it was queued, and is queued again without having run */
	t->charged = to_tags(slice_ns, share);
	tag = n->tag;
	if (time_before(tag, now - CREDIT_SLICES * t->charged)) {
		count(COUNT_forfeited);
		__sync_val_compare_and_swap(&n->tag, tag, now - CREDIT_SLICES * t->charged);
	} else if (time_before(last, tag)) {
		count(COUNT_hurried);
		__sync_val_compare_and_swap(&n->tag, tag, last);
	}
	t->tag = __sync_fetch_and_add(&n->tag, t->charged);
}

/* Corrects the request that ran to what it used. */
static void account(struct task_ctx *t, u64 now)
{
	struct node *n = node_of(t->cgroup);

	if (!n || !t->started_ns)
		return;
	__sync_fetch_and_add(&n->tag,
			     to_tags(now - t->started_ns, node_share(t->cgroup)) - t->charged);
	t->charged = 0;
	t->started_ns = now;
}

/* Racy: a clock that is late by one tag gives a newcomer that much of a start. */
static void clock_advance(u64 tag)
{
	if (time_before(clock_tag, tag))
		clock_tag = tag;
}

s32 STRUCT_OPS(vtime_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(COUNT_to_idle);
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	}
	return cpu;
}

void STRUCT_OPS(vtime_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = task_ctx(p);

	if (!t)
		return;
	request(p, t);
	t->out_of_turn = is_cpu_kthread(p);
	if (t->out_of_turn) {
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags | preempt_once(p));
		return;
	}
	count(COUNT_queued);
	dsq_insert_vtime(p, QUEUE, slice_ns, t->tag, enq_flags);
}

/* Is there a task in the queue that comes before this tag? */
static bool is_behind(u64 tag)
{
	struct task_struct *first;

	bpf_for_each(scx_dsq, first, QUEUE, 0) return time_before(first->scx.dsq_vtime, tag);
	return false;
}

/* prev is not in the queue: it is only put there when another was found. So its next request is
 * made here, and it goes on when that is the earliest. */
void STRUCT_OPS(vtime_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_ctx *t = prev && (prev->scx.flags & SCX_TASK_QUEUED) ? task_ctx(prev) : NULL;

	if (!t) {
		dsq_move_to_local(QUEUE);
		return;
	}
	account(t, now_ns());
	request(prev, t);
	if (is_behind(t->tag) && dsq_move_to_local(QUEUE))
		return;
	clock_advance(t->tag);
	task_set_slice(prev, slice_ns);
}

void STRUCT_OPS(vtime_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = task_ctx(p);
	struct node *n = t && !t->runnable ? node_of(t->cgroup) : NULL;
	u64 tag;

	if (!n)
		return;
	t->runnable = true;
	if (__sync_fetch_and_add(&n->runnable, 1) > 0)
		return;
	tag = n->tag;
	if (time_before(tag, clock_tag))
		__sync_val_compare_and_swap(&n->tag, tag, clock_tag);
	node_sync(t->cgroup);
}

void STRUCT_OPS(vtime_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = task_ctx(p);
	struct node *n = t && t->runnable ? node_of(t->cgroup) : NULL;

	if (!n)
		return;
	give_back(t, n);
	t->runnable = false;
	if (__sync_fetch_and_add(&n->runnable, -1) == 1)
		node_sync(t->cgroup);
}

void STRUCT_OPS(vtime_running, struct task_struct *p)
{
	struct task_ctx *t = task_ctx(p);

	if (!t)
		return;
	if (!t->charged) /* sent straight to an idle CPU, or goes on after an interruption */
		request(p, t);
	t->started_ns = now_ns();
	if (!t->out_of_turn)
		clock_advance(t->tag);
}

void STRUCT_OPS(vtime_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = task_ctx(p);

	if (!t)
		return;
	account(t, now_ns());
	t->started_ns = 0;
	/* with some of its slice left it goes on here before all others, and is not queued again */
	t->out_of_turn = runnable;
}

/* The nearest cgroup upwards that has a node. */
static u64 place(struct cgroup *cgrp)
{
	int level = cgrp->level;

	for (int i = 0; i < DEPTH_MAX && level >= 0; i++, level--) {
		u64 id = BPF_CORE_READ(cgrp, ancestors[level], kn, id);

		if (bpf_map_lookup_elem(&nodes, &id))
			return id;
	}
	return root_id;
}

s32 STRUCT_OPS_SLEEPABLE(vtime_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = bpf_task_storage_get(&tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -12; /* ENOMEM */
	*t = (struct task_ctx){.cgroup = place(args->cgroup)};
	return 0;
}

void STRUCT_OPS(vtime_cgroup_move, struct task_struct *p, struct cgroup *from, struct cgroup *to)
{
	struct task_ctx *t = task_ctx(p);
	struct node *n = t ? node_of(t->cgroup) : NULL;

	if (!n)
		return;
	give_back(t, n);
	t->cgroup = place(to);
}

/* Parents come first. */
s32 STRUCT_OPS_SLEEPABLE(vtime_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	u64 id = cgrp->kn->id;
	int level = cgrp->level;
	struct node n = {.weight = args->weight, .tag = clock_tag};

	if (level <= 0)
		root_id = id;
	else
		n.parent = BPF_CORE_READ(cgrp, ancestors[level - 1], kn, id);
	if (level >= DEPTH_MAX || (n.parent && !bpf_map_lookup_elem(&nodes, &n.parent)) ||
	    bpf_map_update_elem(&nodes, &id, &n, BPF_ANY) < 0)
		count(COUNT_unplaced);
	return 0;
}

void STRUCT_OPS_SLEEPABLE(vtime_cgroup_exit, struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;

	bpf_map_delete_elem(&nodes, &id);
}

void STRUCT_OPS(vtime_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	u64 id = cgrp->kn->id;
	struct node *n = bpf_map_lookup_elem(&nodes, &id);

	if (!n)
		return;
	n->weight = weight;
	node_sync(id);
}

s32 STRUCT_OPS_SLEEPABLE(vtime_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    .select_cpu = (void *)vtime_select_cpu,
    .enqueue = (void *)vtime_enqueue,
    .dispatch = (void *)vtime_dispatch,
    .runnable = (void *)vtime_runnable,
    .quiescent = (void *)vtime_quiescent,
    .running = (void *)vtime_running,
    .stopping = (void *)vtime_stopping,
    .init_task = (void *)vtime_init_task,
    .cgroup_init = (void *)vtime_cgroup_init,
    .cgroup_exit = (void *)vtime_cgroup_exit,
    .cgroup_move = (void *)vtime_cgroup_move,
    .cgroup_set_weight = (void *)vtime_cgroup_set_weight,
    .init = (void *)vtime_init,
    COMMON_OPS,
    .name = "cz_vtime",
};
