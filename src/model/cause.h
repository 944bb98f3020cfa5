/* SPDX-License-Identifier: MIT */
/*
 * What a runnable task waited for. The parts of a wait always sum to the wait. `neighbour` is the
 * sum over foreign zones; the others are causes of their own and are never blamed on a zone.
 */
#pragma once

#define CAUSES(X)                                                                                  \
	X(NEIGHBOUR, "neighbour", "other zones ran on the CPU")                                    \
	X(SELF, "self", "the zone's own tasks ran on the CPU")                                     \
	X(THROTTLED, "throttled", "the zone's own CPU quota was used up")                          \
	X(KERNEL, "kernel", "kernel threads, interrupts and soft interrupts ran")                  \
	X(HOST, "host", "the hypervisor took the CPU (steal)")                                     \
	X(IDLE, "idle", "the CPU was idle or still waking up")                                     \
	X(UNKNOWN, "unknown", "not attributed (events lost, table full)")

#define X(id, name, help) CAUSE_##id,
enum cause { CAUSES(X) CAUSE_NR };
#undef X
const char *cause_name(enum cause c);
const char *cause_help(enum cause c);
