/* SPDX-License-Identifier: MIT */
/*
 * Findings + policy -> what to do: pure, no I/O, no clock; the same calls in the same order give
 * the same plan (replay). Owns the state of every action: ladder, outcome, cool-down, lease,
 * recovery.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/action.h"
#include "model/config.h"
#include "model/finding.h"
#include "model/snapshot.h"

enum step_kind { STEP_APPLY, STEP_UNDO };
struct step {
	enum step_kind kind;
	struct action action; /* STEP_APPLY: to be applied; STEP_UNDO: action.seq */
};
#define STEPS_MAX 64
struct plan {
	size_t nr;
	struct step steps[STEPS_MAX];
};

struct decide;
must_check int decide_new(const struct config *cfg, uint64_t first_seq, struct decide **ret);
void decide_free(struct decide *d);
/* The number that the next action gets: first_seq of a replay that goes on from here. */
uint64_t decide_next_seq(const struct decide *d);

/* The slow path, once a tick: opens, measures, keeps, reverts, recovers. It may be called again
 * with the same snapshot (after a change of mode, an approval, an undo): nothing is measured twice.
 */
void decide_tick(struct decide *d, const struct snapshot *s, const struct finding_set *f,
		 struct plan *ret);
/* The fast path: one event, the latest snapshot. At most one apply. */
void decide_fast(struct decide *d, const struct snapshot *s, const struct fast_event *e,
		 struct plan *ret);
/* What became of a step: err 0 or actuate's -Exxx; from: the canonical old value; when written. */
void decide_result(struct decide *d, uint64_t seq, enum step_kind kind, int err, const char *from,
		   uint64_t written_ns);

/* Mode: for all (victim 0) or one victim. until_ns 0: for good; else falls back by itself and
 * undoes. */
void decide_set_mode(struct decide *d, enum guard_mode mode, uint64_t victim_id, uint64_t until_ns,
		     uint64_t now_ns);
enum guard_mode decide_mode(const struct decide *d, uint64_t victim_id, uint64_t now_ns,
			    uint64_t *ret_until_ns);
/* May anything be enforced, for whichever victim? */
bool decide_enforces(const struct decide *d, uint64_t now_ns);
/* Observe, everywhere: trials and single victims' own enforcing end too. */
void decide_observe(struct decide *d);
/* Enforcing until a time (a trial): the one for all (victim_id 0) and those of single victims that
 * are in force at now_ns. Returns how many were put into ret, at most max. */
struct mode_trial {
	uint64_t victim_id, until_ns;
};
size_t decide_trials(const struct decide *d, uint64_t now_ns, struct mode_trial *ret, size_t max);
/* Victims with a lasting mode of their own, which wins over the mode for all. Returns how many were
 * put into ret, at most max. */
struct own_mode {
	uint64_t victim_id;
	enum guard_mode mode;
};
size_t decide_own_modes(const struct decide *d, struct own_mode *ret, size_t max);
/* Approve a proposal: it is applied with the next tick. For one lease it is taken back while there
 * is no harm, and applied again when there is, without asking. -ENOENT no such action, -EALREADY
 * not a proposal. */
must_check int decide_approve(struct decide *d, uint64_t seq, uint64_t now_ns);
/* Approvals that stand: what was approved comes back with the harm until then, without asking.
 * Returns how many were put into ret, at most max. */
struct approval {
	uint64_t victim_id, target_id, until_ns;
	enum resource resource;
};
size_t decide_approvals(const struct decide *d, uint64_t now_ns, struct approval *ret, size_t max);
/* Undo by hand, all (seq 0) or one: the steps come with the next plan; for one lease nothing new is
 * tried on those pairs. -ENOENT no such action, -EALREADY it holds no knob (any more). */
must_check int decide_undo(struct decide *d, uint64_t seq, uint64_t now_ns);
/* Somebody else changed a knob that this action holds: it ends, and the knob is theirs. */
void decide_foreign(struct decide *d, uint64_t seq);
void decide_zone_gone(struct decide *d, uint64_t zone_id);

/* The actuator can (again) or cannot apply. A result of -EROFS says `false` by itself; after
 * actuator_retry() succeeded the daemon says `true` (as does setting the mode to enforce). While
 * false only undo steps are planned. */
void decide_can_apply(struct decide *d, bool can);

/* All actions known, oldest first; settled ones are kept up to a bound (256). Valid until the next
 * call that is not const. */
size_t decide_actions(const struct decide *d, const struct action **ret);
/* Why nothing (more) can be done about a victim's open finding ("not best-effort", "bystanders",
 * "every rung tried", ...); "" when there is no such reason. Valid until the next decide_tick(). */
const char *decide_note(const struct decide *d, uint64_t victim_id);
