/* SPDX-License-Identifier: MIT */
/* An action: one knob of one zone, from old to new, why, and what came of it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/resource.h"
#include "model/zone.h"

/* Least drastic first. Values are canonical text, the same on v1 and v2:
 *   cpu.idle   "0" | "1"
 *   cpu.weight "1".."10000" (v2 scale; v1 shares = weight * 1024 / 100)
 *   cpuset     CPU list
 *   cpu.max    "max" | "QUOTA_US PERIOD_US"
 *   cpu.burst  microseconds
 *   memory.high  bytes ("max": none was set): above it, what it takes is taken back from itself
 *   (v1: it waits at a limit, without an OOM kill)
 *   io.max     bytes a second, each for reads and for writes, on every disk it used
 *   net.max    "BYTES INTERFACE": what it sends there in a second
 *   llc        "max" | ways of the last-level cache, in each of its domains
 *   membw      "max" | percent of the memory bandwidth
 *   freeze     "0" | "1"
 * The journal keeps the native text as well, so that undo restores it to the letter. */
#define KNOBS(X)                                                                                   \
	X(CPU_IDLE, "cpu.idle")                                                                    \
	X(CPU_WEIGHT, "cpu.weight")                                                                \
	X(CPUSET, "cpuset")                                                                        \
	X(CPU_MAX, "cpu.max")                                                                      \
	X(CPU_BURST, "cpu.burst")                                                                  \
	X(MEMORY_HIGH, "memory.high")                                                              \
	X(IO_MAX, "io.max")                                                                        \
	X(NET_MAX, "net.max")                                                                      \
	X(LLC, "llc")                                                                              \
	X(MEMBW, "membw")                                                                          \
	X(FREEZE, "freeze")
#define X(id, name) KNOB_##id,
enum knob { KNOBS(X) KNOB_NR };
#undef X
const char *knob_name(enum knob k);
must_check int knob_parse(const char *s, enum knob *ret);

enum action_state {
	ACTION_PROPOSED, /* observe mode: waits for approve */
	ACTION_APPLIED,	 /* written and read back; the effect is being measured */
	ACTION_KEPT,	 /* helped: holds until its lease ends or the harm is long gone */
	ACTION_REVERTED, /* undone: no help, no longer needed, lease over, user */
	ACTION_FAILED,	 /* could not be written; nothing changed */
	ACTION_LOST, /* somebody else changed the knob meanwhile, or the zone is gone: hands off */
	ACTION_EXPIRED, /* a proposal nobody approved and no longer needed */
};
enum outcome { OUTCOME_PENDING, OUTCOME_HELPED, OUTCOME_NO_HELP, OUTCOME_UNMEASURED };

#define KNOB_TEXT_MAX 256
struct action {
	uint64_t seq;	      /* > 0; given by decide, never reused in one boot */
	uint64_t finding_seq; /* 0: fast path, before a finding was numbered */
	uint64_t victim_id, culprit_id;
	uint64_t target_id; /* whose knob: the contender at the deciding level */
	char victim_name[ZONE_NAME_MAX], target_name[ZONE_NAME_MAX];
	enum resource resource; /* the one it is about */
	enum knob knob;
	char from[KNOB_TEXT_MAX], to[KNOB_TEXT_MAX]; /* canonical; from is filled by actuate */
	char reason[256];			     /* with the numbers */
	char expect[128];			     /* what it should do to the victim */
	char ended[64]; /* why it was reverted, failed, lost or expired; "" while it holds */
	enum action_state state;
	enum outcome outcome;
	uint64_t onset_ns;			     /* first instant of the harm that led to it */
	uint64_t permitted_ns;			     /* acting was allowed; 0: from the start */
	uint64_t decided_ns, written_ns, settled_ns; /* settled: kept, reverted, failed or lost */
	uint64_t lease_end_ns;			     /* undone by itself then */
	uint64_t before_wait_p99_ns, after_wait_p99_ns; /* of the victim */
	/* cpu: foreign wait share of the victim; memory, io: its stalls */
	uint32_t before_share_ppm, after_share_ppm;
	uint32_t before_behind_ppm,
	    after_behind_ppm; /* the part of it behind the target: this is judged. Stalls: all */
	uint32_t bystanders;  /* non-BE zones in the target's subtree (0, or it is not chosen) */
	bool fast;	      /* taken on the fast path */
};
const char *action_state_name(enum action_state s);
const char *outcome_name(enum outcome o);

enum guard_mode { MODE_OBSERVE, MODE_ENFORCE };
const char *guard_mode_name(enum guard_mode m);
must_check int guard_mode_parse(const char *s, enum guard_mode *ret);
