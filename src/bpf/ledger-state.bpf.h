/* SPDX-License-Identifier: MIT */
/* State of the wait ledger's BPF side: maps, globals, and what the kernel may or may not have. */
#pragma once
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "bpf/ledger.h"

#define PF_EXITING     0x00000004
#define PF_KTHREAD     0x00200000
#define TASK_RUNNING   0
#define TASK_DEAD      0x80
#define ROOT_CGROUP_ID 1
#define NS_PER_MS      1000000ull

/* Fields that only some kernels have. */
struct rq___irq {
	u64 prev_irq_time;
} __attribute__((preserve_access_index));
struct rq___steal {
	u64 prev_steal_time_rq;
} __attribute__((preserve_access_index));
struct cfs_rq___throttle {
	int throttle_count;
	int runtime_enabled;
} __attribute__((preserve_access_index));
struct cfs_rq___self {
	u64 throttled_clock_self;
	u64 throttled_clock_self_time;
} __attribute__((preserve_access_index));

/* Set by user space before loading. */
const volatile u32 max_slots = SLOT_FIRST;
const volatile u32 max_cpus = 1;
const volatile bool track_kernel;	/* run_delay exists, and every move of a task is seen */
const volatile bool may_create_storage; /* creating is safe under the runqueue lock */

u64 victim_id[LEDGER_NR_VICTIMS]; /* 0: free */
u64 threshold_ns[LEDGER_NR_VICTIMS];
u64 counters[COUNTER_NR];
u64 zone_cache[LEDGER_CACHE_SIZE];
u64 hist[LEDGER_NR_VICTIMS * LEDGER_NR_BUCKETS];
struct ledger_task task_table[LEDGER_TASKS];
u64 lookup_all_until; /* rq clock until which every task switched in is looked up */
u32 cache_gen;
u32 nr_victims;
u32 next_slot = SLOT_FIRST;

/* [max_cpus], in a section of their own that user space sizes: their address is known when loading,
 * which a map's is not. */
struct ledger_cpu cpus[1] SEC(".data.cpus");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ledger_task);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} cells SEC(".maps"); /* [victim * max_slots + slot] */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ledger_slot_info);
} slot_info SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, u32);
} slots SEC(".maps"); /* cgroup id -> slot */

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, u32);
} free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LEDGER_NR_VICTIMS);
	__type(key, u64);
	__type(value, u32);
} protected_zones SEC(".maps"); /* cgroup id -> victim */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

/* One (CPU, victim): what only quotas and the fast path need. */
struct pair {
	struct bpf_timer timer;
	u64 cfs_rq; /* where its latest waiter queues; an address, to be read with probes */
	u64 throttled_ns,
	    throttled_clock; /* of cfs_rq, at the last flush or the first wait since */
	u64 overlap_since;   /* rq clock; valid while the bit in overlap_mask is set */
	u64 foreign_ns;	     /* time with a waiter here and a foreign zone running */
	u64 armed_foreign_ns, armed_clock, armed_mono_ns; /* at the start of the watched window */
	u64 window_ns;
	u64 seen, reported; /* slots (modulo 64) that overlapped since, and up to, the last event */
	u32 armed;
	u32 foreign_slot; /* the last foreign zone that ran meanwhile */
	s32 foreign_pid;
	u32 backoff_ms; /* 0: no event in this stretch of harm yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct pair);
} pairs SEC(".maps"); /* [cpu * LEDGER_NR_VICTIMS + victim] */

static __always_inline void count(enum ledger_counter c)
{
	__sync_fetch_and_add(&counters[c], 1);
}

static __always_inline struct ledger_cpu *cpu_state(u32 cpu)
{
	u64 i = cpu;

	if (i >= max_cpus)
		return NULL;
	barrier_var(i); /* the address is made after the check, as the verifier wants it */
	return &cpus[i];
}

static __always_inline struct pair *pair_state(u32 cpu, u32 v)
{
	u32 key = cpu * LEDGER_NR_VICTIMS + v;

	return bpf_map_lookup_elem(&pairs, &key);
}

/* By the CPU itself: only zones' cells are shared with others. */
static __always_inline void charge(struct ledger_cpu *cs, u32 v, u32 slot, u64 ns)
{
	u32 key = v * max_slots + slot;
	u64 *cell;

	if (!ns)
		return;
	if (slot < SLOT_FIRST) {
		cs->own_ns[slot][v & (LEDGER_NR_VICTIMS - 1)] += ns;
		return;
	}
	cell = bpf_map_lookup_elem(&cells, &key);
	if (cell)
		__sync_fetch_and_add(cell, ns);
}
