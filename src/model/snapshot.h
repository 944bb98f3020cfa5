/* SPDX-License-Identifier: MIT */
/*
 * What is known at one instant: published once a tick, then immutable until the next. Detect and
 * decide read only this; API and CLI print it. Owned by the pipeline; pointers are valid until the
 * next publication.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cpuset.h"
#include "model/cause.h"
#include "model/metric.h"
#include "model/zone.h"

#define COMM_MAX 16
#define NO_ZONE	 UINT32_MAX
/* One zone. `value` holds the latest reading; `delta` the growth of a counter over `window_ns`. */
struct zone_view {
	uint64_t id;	 /* kernfs id in the cpu controller's hierarchy */
	uint32_t parent; /* index into snapshot.zones, NO_ZONE for the root */
	uint32_t depth;	 /* root = 0 */
	const char *name, *path;
	enum zone_kind kind;
	enum zone_class class; /* own, or inherited from the nearest classed ancestor */
	bool class_is_own;     /* set on this zone itself, not inherited */
	bool off_limits;       /* never acted on: root, czd's own, init, sshd, engines, kubelet */
	const char *off_limits_why; /* static text, NULL unless off_limits */
	struct slo slo;
	enum control control;
	bool has_quota; /* its own or an ancestor's CPU quota is finite */
	uint64_t first_seen_ns;
	uint64_t told_seq; /* czd's tree_seq when its name, path or class last changed */
	metric_set moved;  /* bit m: value[m] differs from the previous snapshot's, is new in this
			    * one  or no longer known */
	bool quota_moved, interface_moved; /* has_quota, interface: the same */
	metric_set valid;		   /* bit m: value[m] is known */
	metric_set delta_valid;		   /* bit m: delta[m] is known */
	uint64_t value[ZM_NR];
	uint64_t delta[ZM_NR];
	/* The latest growth of the counters of io, and of memory.stat, took so long; 0: a window.
	 */
	uint64_t io_span_ns, memory_span_ns;
	char interface[16]; /* through which it sends most; "" not known */
};

/* One cell of the ledger: this much of the victim's wait, that zone (or cause) ran. */
struct ledger_part {
	enum cause cause;    /* CAUSE_NEIGHBOUR: culprit_id says who */
	uint64_t culprit_id; /* leaf cgroup that ran; 0 unless neighbour */
	uint32_t zone;	     /* its index in snapshot.zones, NO_ZONE if already gone */
	uint64_t ns;	     /* in this window */
	int32_t pid;	     /* a task of it that ran meanwhile; 0 unknown */
	int32_t cpu;	     /* the CPU on which it last did; -1 unknown */
	char comm[COMM_MAX]; /* its command; "" unknown */
};

/* A protected zone's waiting over one window. parts[].ns sum to wait_ns exactly. */
struct ledger_view {
	uint32_t zone; /* the victim: index into snapshot.zones */
	uint64_t window_ns;
	uint64_t wait_ns; /* task-time runnable but not running */
	uint64_t cause_ns[CAUSE_NR];
	uint64_t waits; /* completed waits in the window (0: percentiles unknown) */
	/* p99: over the waits, or of what an arrival at a random instant finds; the longer of both
	 */
	uint64_t wait_p50_ns, wait_p99_ns, wait_max_ns;
	uint64_t feed_count; /* application latencies reported in the window */
	uint64_t feed_p50_ns, feed_p99_ns;
	bool estimated; /* no BPF: wait_ns from run delay, causes not attributed */
	size_t nr_parts;
	const struct ledger_part *parts; /* largest first */
};

struct cpu_topology {
	struct cpuset online;
	uint32_t nr_cpus;	 /* highest possible number + 1 */
	const uint32_t *core_of; /* [nr_cpus]: same value = SMT siblings; NULL: no SMT known */
};

/* A disk that lies on no other, and its requests that ended in this window. */
#define DISKS_MAX 64
struct disk_view {
	char name[32];
	uint32_t dev;		    /* major << 20 | minor */
	uint64_t requests, wait_ns; /* how many, and how long they took, one after the other */
};

/* What a zone did at a disk, in the time that its io_span_ns says. */
struct disk_use {
	uint64_t zone_id;
	uint32_t zone; /* its index in snapshot.zones, NO_ZONE if already gone */
	uint32_t dev;
	uint64_t bytes, ops;
};

struct snapshot {
	uint64_t seq;
	uint64_t now_ns;    /* CLOCK_MONOTONIC */
	uint64_t window_ns; /* since the previous snapshot */
	size_t nr_zones;
	const struct zone_view *zones; /* parents before children; zones[0] is the root */
	size_t nr_ledgers;
	const struct ledger_view *ledgers; /* one a protected zone */
	/* None where all io is at one disk: the zones' sums say the same. */
	size_t nr_disks, nr_disk_uses;
	const struct disk_view *disks;
	const struct disk_use *disk_uses;
	struct cpu_topology cpus;
	metric_set host_valid;
	uint64_t host_value[HM_NR], host_delta[HM_NR];
};

const struct zone_view *snapshot_zone(const struct snapshot *s,
				      uint64_t id); /* NULL: not there; linear */
const struct ledger_view *snapshot_ledger(const struct snapshot *s, uint32_t zone);
/*
 * Time that some task of the zone stalled on memory and on io. PSI counts reading back what reclaim
 * took as io, unless the page was much used: as large a part of it as of the bytes read were
 * refaults is taken for memory. False: PSI is not known.
 */
struct zone_stalls {
	uint64_t memory_ns, io_ns;
};
bool zone_stalls(const struct zone_view *z, struct zone_stalls *ret);
/* Of what it sent in the window, so much TCP had to send again. False: not known, or it sent too
 * little to tell. */
bool zone_resent(const struct zone_view *z, uint32_t *ret_ppm);
/* True if `zone` is `ancestor` or below it (indices). */
bool snapshot_is_below(const struct snapshot *s, uint32_t zone, uint32_t ancestor);
/* The child of the lowest common ancestor of victim and culprit on the culprit's side, or NO_ZONE
 * when one contains the other: the level at which idle class and weights decide between them. */
uint32_t snapshot_contender(const struct snapshot *s, uint32_t victim, uint32_t culprit);

/* The fast path: a protected zone has waited too long behind a foreign zone, now. */
struct fast_event {
	uint64_t now_ns;		/* when BPF saw it */
	uint64_t since_ns;		/* when the first overlap of this wait began */
	uint64_t foreign_ns;		/* how long foreign zones have run meanwhile */
	uint64_t victim_id, culprit_id; /* protected zone; leaf cgroup running now */
	int32_t cpu, pid;
	char comm[COMM_MAX];
};
