/* SPDX-License-Identifier: MIT */
/* Classes of apps for the schedulers: the map cz_class of src/sched/bus.h. */
#pragma once
#include <stdint.h>
#include "base/error.h"
#include "model/zone.h"

/* Makes the map, or takes the one that is pinned. Without it (no BPF) the calls below do nothing.
 */
must_check int bus_open(struct error *reterr);
must_check int bus_set_class(uint64_t cgroup_id, enum zone_class class);
void bus_forget(uint64_t cgroup_id);
