/* SPDX-License-Identifier: MIT */
/*
 * Inside zones/: tree.c keeps the tree, scan.c compares it with the directories, watch.c takes in
 * inotify events, classes.c and offlimits.c work out what may be done to a zone, zones.c wires.
 *
 * Every step checks against the file system what an event or a directory entry claimed, so events
 * and scans may come in any order, twice, or late.
 */
#pragma once
#include <dirent.h>

#include "base/hash.h"
#include "zones/zones.h"

#define EVENT_BUF_SIZE 16384

struct scan_queue {
	uint64_t *ids; /* a ring; a zone that is gone meanwhile is skipped */
	size_t cap, head, count;
};

struct process_scan {
	DIR *dir; /* NULL: not running */
	uint64_t next_ns;
	bool done_once;
};

struct zones {
	const struct kernel *k;
	const struct cgroup_fs *fs;
	const struct config *cfg;
	struct zones_events ev;
	uint64_t now_ns;

	struct hash by_id, by_path, by_wd;
	struct zone *first, *last;

	int inotify_fd;
	size_t event_pos, event_len;
	char event_buf[EVENT_BUF_SIZE] __attribute__((aligned(8)));

	struct scan_queue queue;
	DIR *scan_dir; /* NULL: no directory half read */
	struct zone *scan_zone;
	struct zone *sweep; /* next child to be looked at once the directory was read */
	bool sweeping;
	bool scanned_once;
	bool refused;	 /* some cgroup is not followed: look again when there is room */
	bool incomplete; /* something could not be read: look again soon */
	size_t unwatched;
	uint64_t rescan_ns, watch_retry_ns;
	const char *degraded;

	struct process_scan processes;
	struct zones_stats stats;
};

/* tree.c */
struct zone *tree_add(struct zones *zs, struct zone *parent, const char *path, uint64_t id);
void tree_remove(struct zones *zs, struct zone *z); /* with everything below, children first */
int tree_rename(struct zones *zs, struct zone *z, const char *path);
struct zone *tree_child(const struct zones *zs, const struct zone *parent, const char *name);
struct zone *tree_by_path(const struct zones *zs, const char *path);
must_check int tree_child_path(const struct zone *parent, const char *name, char *buf, size_t size);

/* scan.c */
/* Take in the directory `name` below parent, whatever is there now. -ENOENT: nothing is. */
int scan_adopt(struct zones *zs, struct zone *parent, const char *name);
void scan_enqueue(struct zones *zs, struct zone *z, bool deep);
void scan_all(struct zones *zs);
bool scan_step(struct zones *zs); /* one small unit; false: nothing to scan */
void scan_forget(struct zones *zs, const struct zone *z);
int scan_root(struct zones *zs);

/* watch.c */
int watch_open(struct zones *zs, struct error *reterr);
int watch_add(struct zones *zs, int dirfd); /* a wd, or -Exxx */
void watch_attach(struct zones *zs, struct zone *z, int wd);
void watch_remove(struct zones *zs, struct zone *z);
bool watch_step(struct zones *zs); /* one event; false: none waiting */

/* classes.c */
void class_update(struct zones *zs, struct zone *z, bool tell); /* z and all below */
void class_update_marks(struct zones *zs, struct zone *z); /* z's marks changed: z, rarely more */
bool zone_pattern_match(const char *pattern, const struct zone *z);

/* offlimits.c */
const char *offlimits_why(const struct zones *zs, const struct zone *z, bool *ret_inherits);
bool offlimits_step(struct zones *zs); /* one process; false: not running */
void offlimits_begin(struct zones *zs);
void offlimits_stop(struct zones *zs);
