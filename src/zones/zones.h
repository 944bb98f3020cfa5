/* SPDX-License-Identifier: MIT */
/*
 * The zones of this host: every cgroup of the cpu controller's hierarchy, followed through
 * creation, removal, rename (v1) and id reuse by inotify, without rescanning the tree.
 *
 * A zone is its kernfs id. The same path created again is another zone: the old one is removed
 * first. Pointers to zones are borrowed and valid until on_remove for that zone has returned.
 * Nothing here blocks: directory scans are cut into slices.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "kernel/cgroup.h"
#include "kernel/kernel.h"
#include "kernel/slice.h"
#include "model/config.h"
#include "model/zone.h"

struct zone {
	uint64_t id;
	struct zone *parent; /* NULL: the root */
	struct zone *first_child;
	struct zone *next_sibling, *prev_sibling;
	struct zone *next, *prev; /* all zones, parents before children, oldest first */
	char *path;		  /* raw, as the kernel has it: escape it for display */
	char *name;		  /* friendly and escaped; not necessarily unique */
	enum zone_kind kind;
	enum zone_class class;	    /* own, or inherited from the nearest classed ancestor */
	bool class_is_own;	    /* a rule or an override names this very zone */
	bool class_is_override;	    /* set by zones_set_class(): rules do not touch it */
	struct slo slo;		    /* its own; never inherited */
	enum control control;	    /* the last rule's that names it; overrides leave it */
	const char *off_limits_why; /* static text; NULL: may be acted on (if its class allows) */
	uint64_t first_seen_ns;
	uint32_t depth;		    /* root 0 */
	uint32_t index;		    /* the caller's: e.g. position in the snapshot being built */
	uint64_t told_seq;	    /* the owner's as well: when its name or class last changed, */
	uint32_t version;	    /* which of its readings were taken over last, */
	const struct zone_row *row; /* and where they are */

	/* this folder's own */
	int wd;			  /* inotify watch, -1 none */
	uint8_t marks, marks_new; /* critical processes seen here or below: offlimits.c */
	bool off_limits_inherits; /* children are off-limits for the same reason */
	bool scan_queued, scan_deep, seen;
};

struct zones;

/* All may be NULL. Called from zones_process(), zones_set_class(), zones_clear_class(),
 * zones_reclassify() and zones_free() (on_remove only); they must not add or remove zones. */
struct zones_events {
	void (*on_add)(const struct zone *z, void *arg);
	void (*on_remove)(const struct zone *z, void *arg); /* children before their parent */
	void (*on_rename)(const struct zone *z, const char *old_path,
			  void *arg); /* descendants too */
	/* class, class_is_own, slo, control or off_limits_why changed (not called for a zone's
	 * first value)
	 */
	void (*on_class)(const struct zone *z, void *arg);
	void *arg;
};

/*
 * cfg is borrowed until zones_free() or zones_reclassify() replaces it. Adds nothing yet: the first
 * zones_process() calls find the tree. On a captured root nothing is watched.
 */
must_check int zones_new(const struct kernel *k, const struct cgroup_fs *fs,
			 const struct config *cfg, const struct zones_events *ev,
			 struct zones **ret, struct error *reterr);
void zones_free(struct zones *zs);

/* Poll for EPOLLIN, then call zones_process(). -1 on a captured root. */
int zones_fd(const struct zones *zs);
/*
 * Take in what changed, until done or the slice is over. Returns true when more is waiting (call
 * again soon). Call at least once a tick as well: it also drives rescans and the periodic look for
 * off-limits processes.
 */
bool zones_process(struct zones *zs, uint64_t now_ns, const struct slice *slice);
/* Only what events have to tell by now, without rescans or looking at processes: when a zone is too
 * new to be known and the caller is in a hurry. What the slice has no time for, the next
 * zones_process() takes in. */
void zones_catch_up(struct zones *zs, uint64_t now_ns, const struct slice *slice);
/* The first complete look at the tree (and at the processes) is over. */
bool zones_ready(const struct zones *zs);

const struct zone *zones_first(const struct zones *zs); /* the root; NULL: none yet */
#define zones_for_each(zs, z) for (const struct zone *z = zones_first(zs); z; z = (z)->next)
size_t zones_count(const struct zones *zs);
const struct zone *zones_by_id(const struct zones *zs, uint64_t id);
const struct zone *zones_by_path(const struct zones *zs, const char *path);
/*
 * What a person calls a zone: its path, its name, or a suffix of its path at a '/' boundary, or a
 * container id's prefix of at least 6 characters. -ENOENT: none, with candidates in the hint;
 * -ENOTUNIQ: several, they are named in the message.
 */
must_check int zones_by_name(const struct zones *zs, const char *name, const struct zone **ret,
			     struct error *reterr);

/* Explicit class and goals of one zone (slo may be NULL: none). -ENOENT. */
must_check int zones_set_class(struct zones *zs, uint64_t id, enum zone_class class,
			       const struct slo *slo);
/* Where a path does not tell the kind, but the caller knows it. */
void zones_set_kind(struct zones *zs, uint64_t id, enum zone_kind kind);
/* Back to what the rules say. -ENOENT. */
must_check int zones_clear_class(struct zones *zs, uint64_t id);
/* A new configuration: classes and off-limits are worked out anew; overrides stay. */
void zones_reclassify(struct zones *zs, const struct config *cfg);

struct zones_stats {
	size_t count, watches;
	uint64_t added_total, removed_total, renamed_total;
	uint64_t events_total;
	uint64_t overflows_total; /* inotify queue overflows, each followed by a rescan */
	uint64_t rescans_total;	  /* full looks at the tree, the first included */
	uint64_t refused_total;	  /* cgroups not followed: max_zones reached */
	const char *degraded;	  /* static text; NULL: every zone is watched */
};
void zones_stats(const struct zones *zs, struct zones_stats *ret);

/* lookup.c: "b/c" ends /a/b/c, a component at least. */
bool path_has_end(const char *path, const char *name);
/* names.c: pure. Is a component of the path (pointing into it) below slices alone? Then it has its
 * name from systemd, and not from somebody to whom a cgroup was delegated. */
bool path_only_slices_above(const char *path, const char *component);

/* names.c: pure. Friendly name of a cgroup path into buf (escaped), and its kind. Returns buf. */
char *zone_friendly_name(const char *path, char *buf, size_t size, enum zone_kind *ret_kind);
