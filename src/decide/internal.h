/* SPDX-License-Identifier: MIT */
/*
 * What the parts of decide share. An action is public; its `trial` beside it is what only the guard
 * needs. A `pair` is (victim, base): base is the zone at which the guard works on a culprit, and
 * the pair remembers how far up the ladder it is, what failed, and how long to keep off.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "decide/decide.h"

#define PPM		1000000u
#define ACTIONS_MAX	256
#define PAIRS_MAX	256
#define VICTIMS_MAX	128
#define HANDS_OFF_MAX	128
#define HANDS_OFF_NS	3600000000000ull /* a knob somebody else changed stays theirs so long */
#define BACKOFF_MAX_NS	3600000000000ull
#define PROBE_DOUBLINGS 32 /* longest hold before a probe, in quiet_ns */
#define CPI2_CAP_NS	300000000000ull
#define CULPRIT_MIN_PPM 100000 /* smaller parts of the waiting are not worth an action */

/* One ladder a resource, each from its first rung to its freeze. */
enum rung {
	RUNG_IDLE,
	RUNG_WEIGHT,
	RUNG_CPUSET,
	RUNG_CAP,
	RUNG_CAP_FLOOR,
	RUNG_FREEZE,
	RUNG_MEM_HOLD,
	RUNG_MEM_HALF,
	RUNG_MEM_QUARTER,
	RUNG_MEM_CAP,
	RUNG_MEM_FREEZE,
	RUNG_IO_HALF,
	RUNG_IO_EIGHTH,
	RUNG_IO_FLOOR,
	RUNG_IO_FREEZE,
	RUNG_NET_HALF,
	RUNG_NET_EIGHTH,
	RUNG_NET_FLOOR,
	RUNG_NET_FREEZE,
	RUNG_CPI2_CAP, /* not of the guard: rule cpi2-cap */
	RUNG_NR
};

enum phase { PHASE_RESTING, PHASE_APPLYING, PHASE_UNDOING };

/* Sums over whole windows: of the victim's ledger, or of its stalls. */
struct measure {
	uint64_t window_ns, wait_ns, foreign_ns, part_ns; /* part: caused below the target */
	uint64_t victim_use_ns, target_use_ns, waits, wait_p99_ns, feed_p99_ns;
	uint64_t victim_bytes, target_bytes; /* memory; done or sent in the window */
	bool usage_known, blind;	     /* blind: the ledger was estimated meanwhile */
	bool target_ended;		     /* it had no tasks any more */
	uint64_t ref_cycles, instructions;   /* the victim's */
};

struct trial {
	enum phase phase;
	enum rung rung;
	uint64_t base_id; /* the pair's, may lie above or below target_id */
	bool approved;	  /* by a person: stands in observe mode, ends with its lease */
	uint64_t approved_ns;
	bool want_undo;
	bool release; /* the undo is a probe: harm may return at once */
	uint64_t measure_from_ns, busy_ns, refreshed_ns, retry_ns;
	uint32_t retries, usual_stall_ppm; /* of the victim, when nothing is wrong; cache: its
					    * usual CPI */
	uint64_t victim_bytes;		   /* most memory that the victim had since the write */
	uint64_t target_per_sec;	   /* bytes at disks, or sent, before */
	struct measure before, after;
};

struct pair {
	uint64_t victim_id, base_id;
	enum resource resource;
	enum rung rung;		    /* next to try */
	uint64_t since_ns;	    /* its harm began */
	uint64_t harm_ns;	    /* latest harm by it: finding or fast event */
	uint64_t approved_until_ns; /* by a person: what was approved comes back with the harm */
	enum rung approved_rung;    /* up to this one */
	uint64_t approved_target_id;
	uint64_t changed_ns;	/* latest apply or undo */
	uint64_t released_ns;	/* latest probe, 0 none */
	uint64_t hold_until_ns; /* nothing before */
	bool held_by_hand;	/* why so: undone by a person, or the whole ladder did not help */
	uint64_t probe_ns;	/* quiet this long before a rung is taken back */
	uint64_t backoff_ns;	/* hold after the whole ladder did not help */
	uint64_t seen_ns;
};

struct temporary_mode {
	enum guard_mode mode;
	uint64_t until_ns; /* 0: not in force */
};
struct victim {
	uint64_t id, seen_ns;
	bool has_mode;
	enum guard_mode mode;
	struct temporary_mode temp;
	uint64_t permitted_ns; /* its own mode is enforce since; 0: since the start */
	uint64_t finding_seq;  /* the one last seen */
	uint32_t unwatched;    /* ticks without a ledger */
	char note[192];
};

struct hands_off {
	uint64_t zone_id, until_ns;
	enum knob knob;
};

/* The zone tree of one snapshot, indexed: fast events must not walk ten thousand zones. */
struct tree {
	uint64_t seq;
	const struct zone_view *zones;
	size_t nr, slots_cap, zones_cap;
	uint32_t *slots;      /* hash of ids -> index + 1 */
	uint32_t *bystanders; /* non-BE zones with work strictly below */
	uint8_t *blocked;     /* an off-limits zone is strictly below */
};

struct decide {
	struct guard_config cfg;
	uint64_t tick_ns, now_ns, last_snapshot_ns, next_seq;
	bool cannot_apply;
	enum guard_mode mode;
	struct temporary_mode temp;
	uint64_t permitted_ns; /* the mode of all is enforce since; 0: since the start */
	uint32_t knob_missing; /* bit k: the host lacks knob k */
	size_t nr_actions, nr_pairs, nr_victims, nr_hands_off;
	struct action actions[ACTIONS_MAX];
	struct trial trials[ACTIONS_MAX];
	struct pair pairs[PAIRS_MAX];
	struct victim victims[VICTIMS_MAX];
	struct hands_off hands_off[HANDS_OFF_MAX];
	struct tree tree;
};

/* tree.c */
must_check int tree_update(struct tree *t, const struct snapshot *s);
void tree_done(struct tree *t);
uint32_t tree_find(const struct tree *t, uint64_t id); /* index or NO_ZONE */
/* NULL: this zone's knobs may be turned; else why not. */
const char *tree_why_not(const struct tree *t, uint32_t zone);

/* modes.c */
struct victim *victim_get(struct decide *d, uint64_t id); /* NULL: table full */
struct victim *victim_find(const struct decide *d, uint64_t id);
void victim_forget(struct decide *d, uint64_t id);
bool mode_is_enforce(const struct decide *d, uint64_t victim_id);
uint64_t permitted_ns(const struct decide *d, uint64_t victim_id); /* enforcing for it since */
void modes_expire(struct decide *d);
/* What is found by CPI is the affair of cpi2-cap, all else the guard's. NULL: of its controller. */
const char *control_why_not(const struct zone_view *victim, enum resource resource);

/* table.c: actions, pairs, hands-off */
bool action_in_force(const struct action *a); /* its knob is (or may be) turned */
bool action_is_settled(const struct action *a);
int action_find(const struct decide *d, uint64_t seq); /* index or -1 */
int action_add(struct decide *d);		       /* index, or -1 when all are open */
void action_settle(struct decide *d, size_t i, enum action_state state, const char *why);
void action_want_undo(struct decide *d, size_t i, const char *why);
int action_holding(const struct decide *d, uint64_t target_id, enum knob knob);
size_t actions_in_force(const struct decide *d);
/* Of action i; NULL: forgotten. */
struct pair *pair_of(struct decide *d, size_t i);
struct pair *pair_get(struct decide *d, uint64_t victim_id, uint64_t base_id, enum resource res);
bool pair_has(const struct pair *p, const struct action *a, const struct trial *t);
bool pair_is_busy(const struct decide *d,
		  const struct pair *p); /* written, undone or measured right now */
void pairs_forget_quiet(struct decide *d);
void hands_off_add(struct decide *d, uint64_t zone_id, enum knob knob);
bool hands_off_has(const struct decide *d, uint64_t zone_id, enum knob knob);

/* ladder.c */
struct contest { /* who against whom, in one snapshot */
	const struct snapshot *s;
	const struct finding *finding;	/* NULL on the fast path */
	const struct culprit *culprit;	/* NULL on the fast path */
	const struct fast_event *event; /* NULL on the slow path */
	enum resource resource;
	uint32_t victim, zone, base; /* zone: the culprit */
	bool base_contends; /* base is a sibling of the victim's side: idle and weight work */
};
/* Chooses base. NULL on success, else why nothing can be done. */
const char *contest_init(struct contest *c, const struct decide *d, const struct snapshot *s,
			 enum resource resource, uint64_t victim_id, uint64_t culprit_id,
			 const struct culprit *culprit);
/* The first rung of a resource's ladder; RUNG_NR: there is none. */
enum rung ladder_first(enum resource resource);
/* Fills knob, to, target, expect, reason. False: this rung is not available here. */
bool rung_build(const struct decide *d, const struct contest *c, enum rung r, struct action *ret);
/* The first available rung from `from` on, built; RUNG_NR: none left. */
enum rung ladder_next(const struct decide *d, const struct contest *c, enum rung from,
		      struct action *ret);
/* cpi2-cap: a zone is capped once at a time, whoever asks for it. */
bool is_capped_already(const struct decide *d, const struct contest *c);
/* The pair's own kept action that holds the knob of its next rung: index, or -1. */
int ladder_in_the_way(const struct decide *d, const struct contest *c, const struct pair *p);

/* outcome.c */
void measure_add(struct measure *m, const struct snapshot *s, const struct ledger_view *l,
		 enum resource resource, uint32_t target);
void outcome_before(struct action *a, struct trial *t, const struct contest *c, uint32_t target);
void outcomes_run(struct decide *d, const struct snapshot *s);

/* recover.c */
void victims_watch(struct decide *d, const struct snapshot *s);
void actions_check(struct decide *d, const struct snapshot *s);
void recover_run(struct decide *d, const struct snapshot *s);
void proposals_expire(struct decide *d, const struct finding_set *f);
void clock_jump(struct decide *d, uint64_t gap_ns);

static inline uint32_t share_ppm(uint64_t part, uint64_t whole)
{
	if (!whole)
		return 0;
	unsigned __int128 q = (unsigned __int128)part * PPM / whole;

	return q > UINT32_MAX ? UINT32_MAX : (uint32_t)q;
}
static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}
static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
static inline uint64_t since_ns(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}
