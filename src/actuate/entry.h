/* SPDX-License-Identifier: MIT */
/*
 * An open action as the journal keeps it: the files it writes, in order, each with its native text
 * before and after. Undo walks the parts backwards, so that every state on the way back is one
 * that the kernel accepted on the way there.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/action.h"

/* The files behind the knobs: name in the journal, knob, controller, v1 file, v2 file. */
#define KNOB_FILES(X)                                                                              \
	X(IDLE, "cpu.idle", KNOB_CPU_IDLE, CG_CPU, "cpu.idle", "cpu.idle")                         \
	X(WEIGHT, "cpu.weight", KNOB_CPU_WEIGHT, CG_CPU, "cpu.shares", "cpu.weight")               \
	X(QUOTA, "cpu.quota", KNOB_CPU_MAX, CG_CPU, "cpu.cfs_quota_us", NULL)                      \
	X(PERIOD, "cpu.period", KNOB_CPU_MAX, CG_CPU, "cpu.cfs_period_us", NULL)                   \
	X(MAX, "cpu.max", KNOB_CPU_MAX, CG_CPU, NULL, "cpu.max")                                   \
	X(BURST, "cpu.burst", KNOB_CPU_BURST, CG_CPU, "cpu.cfs_burst_us", "cpu.max.burst")         \
	X(CPUS, "cpuset.cpus", KNOB_CPUSET, CG_CPUSET, "cpuset.cpus", "cpuset.cpus")               \
	X(MEM_HIGH, "memory.high", KNOB_MEMORY_HIGH, CG_MEMORY, NULL, "memory.high")               \
	X(OOM_PAUSE, "memory.oom_pause", KNOB_MEMORY_HIGH, CG_MEMORY, "memory.oom_control", NULL)  \
	X(MEM_LIMIT, "memory.limit", KNOB_MEMORY_HIGH, CG_MEMORY, "memory.limit_in_bytes", NULL)   \
	X(IO_MAX, "io.max", KNOB_IO_MAX, CG_IO, NULL, "io.max")                                    \
	X(IO_READ, "io.read_bps", KNOB_IO_MAX, CG_IO, "blkio.throttle.read_bps_device", NULL)      \
	X(IO_WRITE, "io.write_bps", KNOB_IO_MAX, CG_IO, "blkio.throttle.write_bps_device", NULL)   \
	X(NET, "net.max", KNOB_NET_MAX, CG_UNIFIED, NULL, "tc class of")                           \
	X(LLC, "llc", KNOB_LLC, CG_CPU, "resctrl L3", "resctrl L3")                                \
	X(MEMBW, "membw", KNOB_MEMBW, CG_CPU, "resctrl MB", "resctrl MB")                          \
	X(FREEZE, "freeze", KNOB_FREEZE, CG_FREEZER, "freezer.state", "cgroup.freeze")
#define X(id, ...) KF_##id,
enum knob_file { KNOB_FILES(X) KF_NR };
#undef X

#define PARTS_MAX 128
struct part {
	enum knob_file file;
	bool side;   /* not written: another part's write resets it (cpu.idle resets the weight) */
	uint64_t id; /* kernfs id of the directory in the hierarchy the file lives in */
	char *path;  /* owned; NULL: the entry's own */
	char old[KNOB_TEXT_MAX], new[KNOB_TEXT_MAX]; /* native; new is "" for a side effect */
};

struct entry {
	uint64_t seq, zone_id, at_ns;
	enum knob knob;
	char *path;				     /* owned */
	char from[KNOB_TEXT_MAX], to[KNOB_TEXT_MAX]; /* canonical */
	size_t nr;
	struct part *parts; /* in the order they are written */
};

must_check int entry_new(uint64_t seq, uint64_t zone_id, const char *path, struct entry **ret);
void entry_free(struct entry *e);
/* Adds file := new (NULL: a side effect) of the directory id at path; nothing when old equals new.
 * -E2BIG beyond PARTS_MAX, -ENAMETOOLONG. */
must_check int entry_add(struct entry *e, enum knob_file file, uint64_t id, const char *path,
			 const char *old, const char *new);
/* A file that stays as it is but that an older open action holds: should that one be undone first,
 * it hands its old text on to this part. */
must_check int entry_pin(struct entry *e, enum knob_file file, uint64_t id, const char *path,
			 const char *text);
/* Does any part change anything? */
bool entry_changes(const struct entry *e);
static inline const char *part_path(const struct entry *e, const struct part *p)
{
	return p->path ? p->path : e->path;
}
/* Absolute, normal ("/a/b": no "..", no empty component), not the root, not too long. */
bool zone_path_valid(const char *path);
