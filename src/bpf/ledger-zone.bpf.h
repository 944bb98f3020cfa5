/* SPDX-License-Identifier: MIT */
/*
 * Task -> (culprit slot, victim). In the hooks of the scheduler a CPU first compares the task's
 * group with the one it looked up last. That is an address, which may be used again: so it is
 * forgotten when a cgroup is made or removed, a dying task's is not kept, and user space forgets
 * all of them with each tick, for groups that come and go unseen (autogroups, a controller switched
 * off and on: until that tick a group made so may pass for the one whose address it got).
 *
 * Otherwise a direct-mapped cache keyed by the css serial number answers almost always; a miss
 * walks up the task groups once. The zone is that of the cpu controller (sched_task_group), the
 * same expression on v1 and v2; on v2 a cgroup below which the controller is not enabled counts as
 * its nearest ancestor that has it, as for the scheduler itself.
 */
#pragma once
#include "ledger-state.bpf.h"

/* Cache word: serial (32) | generation (7) | slot (18) | victim (7). */
#define WORD_SLOT(w)   ((u32)((w) >> 7) & 0x3ffff)
#define WORD_VICTIM(w) ((u32)(w)&127)
#define WORD_TAG(w)    ((w) >> 25)

static __always_inline u64 group_cgroup_id(u64 group)
{
	struct task_group *tg = (void *)group;
	u64 id = BPF_CORE_READ(tg, css.cgroup, kn, id);

	return id ?: ROOT_CGROUP_ID; /* an autogroup has no cgroup: its tasks are in the root */
}

static __always_inline u32 slot_alloc(u64 id)
{
	struct ledger_slot_info *info;
	u32 slot, *other;

	if (bpf_map_pop_elem(&free_slots, &slot)) {
		if (next_slot >= max_slots)
			goto full;
		slot = __sync_fetch_and_add(&next_slot, 1);
		if (slot >= max_slots)
			goto full;
	}
	info = bpf_map_lookup_elem(&slot_info, &slot);
	if (!info)
		goto full;
	info->zone_id = id;
	if (!bpf_map_update_elem(&slots, &id, &slot, BPF_NOEXIST))
		return slot;
	/* Another CPU was first, or the table is full. */
	info->zone_id = 0;
	bpf_map_push_elem(&free_slots, &slot, 0);
	other = bpf_map_lookup_elem(&slots, &id);
	if (other)
		return *other;
full:
	count(COUNTER_SLOTS_OVERFLOW);
	return SLOT_UNKNOWN;
}

static __noinline u32 group_victim(u64 group)
{
	for (int i = 0; i < LEDGER_DEPTH_MAX && group; i++) {
		u64 id = group_cgroup_id(group);
		u32 *v = bpf_map_lookup_elem(&protected_zones, &id);

		if (v)
			return *v & (LEDGER_NR_VICTIMS - 1);
		group = (u64)BPF_CORE_READ((struct task_group *)group, parent);
	}
	return LEDGER_VICTIM_NONE;
}

/* Global, so that the verifier sees it once: the miss path. Returns the cache word. */
__noinline u64 zone_resolve(u64 group, u64 tag)
{
	u64 id = group_cgroup_id(group);
	u32 *known = bpf_map_lookup_elem(&slots, &id);
	u32 slot = known ? *known : slot_alloc(id);

	return tag << 25 | (u64)(slot & 0x3ffff) << 7 | group_victim(group);
}

static __noinline u64 zone_look(struct task_struct *p)
{
	struct task_group *tg = p->sched_task_group;
	u64 serial = tg->css.serial_nr;
	u64 tag = (serial & 0xffffffff) << 7 | (cache_gen & LEDGER_GEN_MASK);
	u32 i = ((u32)serial * 2654435769u) >> 18;
	u64 word = zone_cache[i & (LEDGER_CACHE_SIZE - 1)];
	u64 group = 0;

	if (WORD_TAG(word) == tag)
		return word;
	/* As a number: a global function takes no kernel pointers. */
	bpf_probe_read_kernel(&group, sizeof(group), &p->sched_task_group);
	word = zone_resolve(group, tag);
	zone_cache[i & (LEDGER_CACHE_SIZE - 1)] = word;
	return word;
}

/* What was looked up by the mapping of before user space's last change must not be kept: that
 * clears the memo after raising cache_gen, this looks at cache_gen after setting the memo. */
static __noinline u64 zone_memoize(struct ledger_cpu *cs, struct task_struct *p)
{
	u32 gen = cache_gen;
	u64 word;

	barrier();
	word = zone_look(p);
	if (!cs || p->flags & PF_EXITING)
		return word;
	cs->memo_word = word;
	__sync_lock_test_and_set(&cs->memo_group, (u64)p->sched_task_group);
	if (*(volatile u32 *)&cache_gen != gen)
		cs->memo_group = 0;
	return word;
}

/* The cache word of p's zone. Only with interrupts off may this CPU's memo be used: two words. */
static __always_inline u64 zone_of(struct task_struct *p, bool irqs_off)
{
	struct ledger_cpu *cs = cpu_state(bpf_get_smp_processor_id());

	if (!irqs_off)
		return zone_look(p);
	if (cs && __builtin_expect(cs->memo_group == (u64)p->sched_task_group, 1))
		return cs->memo_word;
	return zone_memoize(cs, p);
}
