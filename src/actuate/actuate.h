/* SPDX-License-Identifier: MIT */
/*
 * The only code that changes the host. Every write is journalled before it happens, read back
 * after, and undone through an id-checked directory fd. A value that somebody else has changed
 * meanwhile is left alone (hands off).
 *
 * Journal: `<run_dir>/journal`, JSON lines, append only; compacted when nothing is open. Its header
 * carries the boot id: a journal of another boot is set aside, since knobs die with the boot. An
 * intent line is complete before the knob is written; a torn last line is thus an unwritten knob.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "kernel/cgroup.h"
#include "kernel/kernel.h"
#include "model/action.h"

struct actuator;

/*
 * run_dir e.g. "/run/cz" (created by the caller; borrowed, as is fs). Never undoes by itself.
 * 0 also when the journal can't be written (full, read-only): what it holds can be undone all the
 * same, applying is refused (actuator_can_apply() says why) until actuator_retry() succeeds, and
 * observing goes on. -EBUSY: another process has the journal.
 */
must_check int actuator_open(const struct kernel *k, const struct cgroup_fs *fs, int run_dirfd,
			     struct actuator **ret, struct error *reterr);
void actuator_close(struct actuator *a); /* does not undo */
bool actuator_can_apply(const struct actuator *a, const char **ret_why_not);
must_check int actuator_retry(struct actuator *a, struct error *reterr);

/*
 * Apply a->knob := a->to on zone (target_id, path). Fills a->from (canonical), a->written_ns is the
 * caller's. Errors: -ESTALE/-ENOENT the zone is gone; -EALREADY it has that value already;
 * -EBUSY this knob is already held by an open action; -EOPNOTSUPP the host lacks the knob;
 * -EROFS no journal; -EIO read-back differs (rolled back), or a cpuset without effect (v2: outside
 * the parent's); -EINVAL not a value of the knob, or one the kernel can't take now (a weight in the
 * idle class); -EPERM the root or no proper path. On any error nothing stays changed; should the
 * rolling back itself fail, the action is still open in the journal, and the message says so.
 */
must_check int actuator_apply(struct actuator *act, struct action *a, const char *path,
			      uint64_t now_ns, struct error *reterr);
/* Undo one action. 0: restored; -ENOENT: the zone is gone (nothing to restore); -ECANCELED:
 * somebody else changed it (hands off). All three close the entry; after any other error it is
 * still open. A file that a younger open action holds as well is left to that one, which then
 * restores it to what it was before this action. Works with a journal that can't be written, too.
 */
must_check int actuator_undo(struct actuator *act, uint64_t action_seq, struct error *reterr);

/* Does an open action still hold what it wrote? -ECANCELED: somebody else changed it; 0 also when
 * that can't be told now. */
must_check int actuator_check(const struct actuator *act, uint64_t action_seq);

struct undo_report {
	uint32_t restored, gone, hands_off, failed;
};
/* Undo all open entries, youngest first. Also used by `czd --undo` after a crash and ExecStopPost.
 */
must_check int actuator_undo_all(struct actuator *act, struct undo_report *ret,
				 struct error *reterr);
/* Lines of the journal of this boot that could not be read: what they say is not undone. */
uint32_t actuator_unread_lines(const struct actuator *act);
/* Highest action seq the journal knows: decide numbers on from there. */
uint64_t actuator_last_seq(const struct actuator *act);
size_t actuator_open_count(const struct actuator *act);
struct journal_entry {
	uint64_t seq, zone_id;
	enum knob knob;
	const char *path, *from, *to; /* canonical */
};
/* Calls cb for every open entry; stops on nonzero. */
int actuator_each(const struct actuator *act, int (*cb)(const struct journal_entry *e, void *arg),
		  void *arg);

/* Current canonical value of a knob; a cpuset's is what is configured ("" on v2: inherited).
 * -EOPNOTSUPP, -ENOENT, -ESTALE. */
must_check int knob_read(const struct cgroup_fs *fs, enum knob knob, const char *path, uint64_t id,
			 char *buf, size_t size);

/*
 * The baseline behind `czctl verify`: all knobs of all zones as first seen by czd. baseline_note()
 * only queues; baseline_step() reads, some 50 us a zone, so that 10,000 zones do not block the
 * loop. A knob that an open action of `act` (may be NULL) holds is noted as it was before. verify
 * compares, and reports what differs; first it notes what is still queued. A walk does the same
 * some zones at a time, over those known when it began.
 */
struct baseline;
must_check int baseline_new(const struct cgroup_fs *fs, struct baseline **ret);
void baseline_free(struct baseline *b);
/* A new zone; or the new path of a known one. */
must_check int baseline_note(struct baseline *b, uint64_t id, const char *path);
/* Reads up to max_zones queued zones: some each tick until it returns 0. Still queued, or -ENOMEM.
 */
must_check int baseline_step(struct baseline *b, const struct actuator *act, uint32_t max_zones);
void baseline_forget(struct baseline *b, uint64_t id); /* it is gone */
struct verify_report {
	uint32_t checked;   /* knob files read */
	uint32_t differing; /* differ from what czd found */
	uint32_t held;	    /* of these: held by an open action (expected) */
};
/* found, now: as `file` of this host has them, to the letter. held_by: the oldest open action that
 * touches it, maybe by turning another knob (cpu.idle takes the weight along); 0 none. Nonzero
 * stops it and is returned. */
struct difference {
	uint64_t id, held_by;
	const char *path, *file, *found, *now;
	enum knob knob;
};
typedef int (*difference_fn)(const struct difference *d, void *arg);
must_check int baseline_verify(struct baseline *b, const struct actuator *act, difference_fn cb,
			       void *arg, struct verify_report *ret);
struct verify_walk;
must_check int verify_walk_new(struct baseline *b, struct verify_walk **ret); /* b: borrowed */
void verify_walk_free(struct verify_walk *w);
/* Up to max_zones more. 1: go on; 0: all seen. *report adds up. */
must_check int verify_walk_step(struct verify_walk *w, const struct actuator *act,
				uint32_t max_zones, difference_fn cb, void *arg,
				struct verify_report *report);
