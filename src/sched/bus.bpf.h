/* SPDX-License-Identifier: MIT */
/*
 * The bus as policies read it: which class a task is of. The thread's own entry wins, then that of
 * its cgroup, then of the nearest parent that has one. The answer is kept with the task for
 * CLASS_FRESH_NS: a change takes effect within that time.
 */
#pragma once
#include "sched/bus.h"
#include "sched/common.bpf.h"

#define CLASS_FRESH_NS	 (100 * NSEC_PER_MSEC)
#define CGROUP_DEPTH_MAX 16
#ifndef CLASS_UNKNOWN /* what a task is that nobody named; a policy may have a rule of its own */
#define CLASS_UNKNOWN(p) BUS_NORMAL
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BUS_CLASS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, u64);
	__type(value, struct bus_class);
} cz_class SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BUS_TASK_CLASS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, u32);
	__type(value, u32);
} cz_task_class SEC(".maps");

struct class_cache {
	struct bus_class class;
	u64 read_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct class_cache);
} class_cache SEC(".maps");

static __noinline void class_read(struct task_struct *p, struct bus_class *ret)
{
	u32 pid = p->pid, *own = bpf_map_lookup_elem(&cz_task_class, &pid);
	struct cgroup *cgrp = p->sched_task_group->css.cgroup;
	int level = cgrp->level;

	ret->class = CLASS_UNKNOWN(p);
	ret->guarantee_ppm = 0;
	for (int i = 0; i < CGROUP_DEPTH_MAX && level >= 0; i++, level--) {
		u64 id = BPF_CORE_READ(cgrp, ancestors[level], kn, id);
		struct bus_class *found = bpf_map_lookup_elem(&cz_class, &id);

		if (found) {
			*ret = *found;
			break;
		}
	}
	if (own)
		ret->class = *own;
}

/* Call it where p is the callback's task. Without memory for the cache every task is normal. */
static inline struct bus_class class_of(struct task_struct *p, u64 now)
{
	struct class_cache *cache =
	    bpf_task_storage_get(&class_cache, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct bus_class normal = {.class = BUS_NORMAL};

	if (!cache)
		return normal;
	if (!cache->read_ns || now - cache->read_ns > CLASS_FRESH_NS) {
		class_read(p, &cache->class);
		cache->read_ns = now;
	}
	return cache->class;
}
