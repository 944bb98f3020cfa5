/* SPDX-License-Identifier: MIT */
/*
 * The bus between user space, schedulers and other BPF programs: maps pinned under BUS_DIR, made by
 * whoever comes first, all with these layouts and sizes. docs/zone-protocol.md says who writes
 * what.
 */
#pragma once
#include <linux/types.h>

#define BUS_DIR		   "/sys/fs/bpf/cz"
#define BUS_CLASS_MAX	   1024
#define BUS_TASK_CLASS_MAX 4096

/* enum zone_class of model/zone.h, as numbers on the bus */
enum bus_class_id { BUS_NORMAL = 0, BUS_LC = 1, BUS_BE = 2 };

/* cz_class: hash, cgroup id (u64) -> this. A cgroup without an entry is as its parent. */
struct bus_class {
	__u32 class;
	__u32 guarantee_ppm; /* of a CPU's time that the class gets even behind others; 0: the
				policy's own */
};

/* cz_task_class: hash, pid (u32, of a thread) -> class (u32); stronger than the cgroup's */

/* cz_epoll: per-CPU array of one */
struct bus_epoll {
	__u64 returns_total; /* of epoll_wait */
	__u64 events_total;  /* that it returned */
};
