/* SPDX-License-Identifier: MIT */
/*
 * Sources -> one row of metrics a zone, and host totals. One probe a file: a const descriptor and
 * an instance; the list is list.c. Reading a tick is cut into slices, because 10,000 zones are read
 * in a loop that must not block. A zone that vanishes meanwhile is skipped, a lack of fds makes
 * reading dearer (open, read, close) and is counted; neither is ever a failure.
 *
 * Probes know zones by id and path only; the daemon tells them (zones' on_add and kin).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "kernel/cgroup.h"
#include "kernel/kernel.h"
#include "kernel/slice.h"
#include "model/metric.h"
#include "model/snapshot.h"

struct probes;

/* What a zone did at a disk: up to the latest reading of its io, and since the one before. */
struct zone_disk {
	uint32_t dev; /* major << 20 | minor */
	uint64_t bytes, ops, grew_bytes, grew_ops;
};

/* The latest readings of a zone; counters as the kernel has them. Deltas are the pipeline's. */
struct zone_row {
	metric_set valid; /* bit m: value[m] is known */
	uint32_t version; /* grows with each change of a value */
	bool own_quota;	  /* a finite CPU quota on this very cgroup */
	/* Used CPU since the previous tick; less than 0.2 % of a CPU may show later (tick.c). */
	bool active;
	/* What the counters of io, and of memory.stat, grew by in the latest reading took so long:
	 * more than a tick where they are not read in each. 0: first reading. */
	uint64_t io_span_ns, memory_span_ns;
	char interface[16]; /* through which it sent most, in the latest tick that it sent */
	uint64_t value[ZM_NR];
	/* With its io; kept only while more than one disk is in use. The probes'. */
	struct zone_disk *disks;
	size_t nr_disks;
	bool disks_known; /* as of a reading */
};
struct host_row {
	metric_set valid;
	uint64_t value[HM_NR];
};

enum probe_interest {
	PROBE_NORMAL,
	PROBE_BE,	 /* its tasks are counted */
	PROBE_PROTECTED, /* all metrics, every tick; run delay (children not protected are included)
			  */
};

struct probes_options {
	uint32_t fd_budget;  /* kept-open files at most; config.fd_budget */
	uint32_t slow_every; /* dear metrics every so many ticks; 0: the default, 5 */
	/* Probe counters counts what the kernel itself counts, in place of the hardware: its way
	 * through the kernel is the same, and can be tried where there is no PMU. */
	bool software_counters;
};

must_check int probes_new(const struct kernel *k, const struct cgroup_fs *fs,
			  const struct probes_options *o, struct probes **ret);
void probes_free(struct probes *p);

/* path is borrowed until zone_remove or the next zone_rename. parent_id 0: the root. Parents first.
 * -ENOMEM, -EEXIST, -ENOENT (parent unknown). */
must_check int probes_zone_add(struct probes *p, uint64_t id, uint64_t parent_id, const char *path);
void probes_zone_remove(struct probes *p, uint64_t id);
void probes_zone_rename(struct probes *p, uint64_t id, const char *path);
void probes_zone_interest(struct probes *p, uint64_t id, enum probe_interest interest);

/* Switch a probe on or off by name, with the reason shown to people (static text). -ENOENT no such
 * probe; -EOPNOTSUPP the host lacks it. The daemon switches run_delay off while the ledger runs.
 * Probes that cost others are off at first; they are loaded when switched on, unloaded when off. */
must_check int probes_switch(struct probes *p, const char *name, bool on, const char *why);

/* One tick: begin, then step until it returns false. begin while a tick is unfinished starts anew
 * with the zones not reached yet last time first (and counts a late tick). */
void probes_tick_begin(struct probes *p, uint64_t now_ns);
bool probes_tick_step(struct probes *p, const struct slice *slice); /* true: more to do */

/* Polls readable when a tick should begin at once (probe psi_triggers); nothing is to be read from
 * it, and polling it takes the event. -1: there is none. */
int probes_wake_fd(const struct probes *p);

const struct zone_row *probes_row(const struct probes *p, uint64_t id); /* NULL: unknown zone */
const struct host_row *probes_host(const struct probes *p);
/* The disks that have done any io since the host started, if there are several; else 0. Valid until
 * the next tick begins. */
size_t probes_disks(const struct probes *p, const struct disk_view **ret);

/*
 * Who did what to a zone in the latest tick, itself included. Returns how many were stored; 0 where
 * nothing is known.
 */
enum holder_kind {
	HELD_NONE,
	HELD_DISK, /* probe block: had it while requests of a protected zone were there; ns of them
		    */
	HELD_MEMORY, /* probe reclaimers: took pages of the zone because it needed memory; pages */
	HELD_LOCKS,  /* probe futex: ended waits of the zone's tasks at a futex; ns waited */
};
#define HOLDER_KERNEL UINT64_MAX
struct holder {
	uint64_t zone_id; /* 0: unknown */
	uint64_t amount;
};
size_t probes_holders(const struct probes *p, enum holder_kind kind, uint64_t zone_id,
		      struct holder *ret, size_t max);
/* The probe of this kind if it is off, and why: NULL if it is on. */
const char *probes_holders_off(const struct probes *p, enum holder_kind kind, const char **ret_why);

struct probe_status {
	const char *name, *summary, *needs;
	bool on;
	char why[128]; /* why it is off, or "" */
};
size_t probes_status(const struct probes *p, struct probe_status *ret,
		     size_t max); /* how many there are */

struct probes_stats {
	size_t zones, active;
	size_t fds_kept, fd_budget; /* budget: shrinks when the process runs out of fds */
	uint64_t reads_total, opens_total;
	uint64_t fd_shortage_total; /* EMFILE, ENFILE: read without keeping, or skipped */
	uint64_t vanished_total;    /* zones gone mid-read */
	uint64_t errors_total;	    /* readings that failed or did not parse */
	uint64_t late_ticks_total;  /* begun before the previous tick had ended */
};
void probes_stats(const struct probes *p, struct probes_stats *ret);
