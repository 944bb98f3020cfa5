/* SPDX-License-Identifier: MIT */
/* The bus (bus.h) as user space writes it. All return 0 or -Exxx. */
#pragma once
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"
#include "sched/bus.h"

enum { BUS_MAP_CLASS, BUS_MAP_TASK_CLASS, BUS_MAPS };

struct bus {
	int fd[BUS_MAPS];
};
#define BUS_CLOSED                                                                                 \
	(struct bus)                                                                               \
	{                                                                                          \
		.fd = { -1, -1 }                                                                   \
	}

/* Opens the pinned maps, or makes them; they stay when it is closed. Needs bpffs. */
must_check int bus_open(struct bus *bus, struct error *reterr);
void bus_close(struct bus *bus);

/* All of these do nothing on a bus that is closed. -E2BIG: the map is full. guarantee_ppm 0: the
 * policy's own. */
must_check int bus_set_class(struct bus *bus, uint64_t cgroup_id, enum bus_class_id class,
			     uint32_t guarantee_ppm);
/* -ENOENT: there was none. */
int bus_drop_class(struct bus *bus, uint64_t cgroup_id);
must_check int bus_set_task_class(struct bus *bus, uint32_t tid, enum bus_class_id class);
int bus_drop_task_class(struct bus *bus, uint32_t tid);
