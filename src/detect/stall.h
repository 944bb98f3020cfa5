/* SPDX-License-Identifier: MIT */
/*
 * Stalls on memory and io, and whose doing they are. PSI says how long a zone stalled, not behind
 * whom; that is told from what the other zones took meanwhile in the same domain (below the same
 * limit, or of the same host): memory they grew by or keep reclaim busy with, io they did. The
 * stall is split by these claims; without any it stays unknown.
 */
#pragma once
#include "base/hash.h"
#include "detect/internal.h"

/* What a zone took lately, in bytes, its children's included. */
struct claim {
	uint64_t id, bytes, usual, churn; /* usual: scaled by CLAIM_SCALE */
	uint64_t seen;
};
#define CLAIM_SCALE 1024

struct stalls {
	struct hash claims; /* id -> struct claim */
	uint64_t runs, start_ns;
	bool frozen; /* some zone is hurt: what is usual is not learned now */
	/* Scratch, [cap], by zone of one snapshot: what it took, and its children together. */
	uint64_t *totals, *below;
	size_t cap;
};

void stalls_done(struct stalls *st);
/* Once a snapshot, before any zone is looked at. -ENOMEM: nobody can be blamed in this run. */
must_check int stalls_update(struct stalls *st, const struct snapshot *s);
/* Fills win->memory and win->io of the zone. */
void stalls_measure(struct stalls *st, const struct snapshot *s, uint32_t victim,
		    struct window *win);

/* The claims of one domain: of the victim, and of the others, largest first. */
struct split {
	uint64_t self, others;
	size_t nr;
	struct window_part parts[PARTS_KEPT]; /* ns: the claim */
};
/* From st->totals. Those of a parent hold its children's: each zone is left with its own. */
void split_claims(struct stalls *st, const struct snapshot *s, uint32_t victim, uint32_t domain,
		  struct split *sp);
/* The stall, in proportion to the claims. Small ones are no evidence: their part is nobody's, as is
 * what rounding leaves. */
void split_stall(const struct split *sp, struct blame *b);
/* False: too short to be looked into. */
bool stall_begin(struct stall *st, uint64_t ns, uint64_t window_ns);
void stall_all_to(struct blame *b, enum cause cause);
uint64_t stall_delta(const struct zone_view *z, enum zone_metric m);
uint64_t stall_portion(uint64_t ns, uint64_t part, uint64_t whole);
/* The zone's index in the snapshot; 0, the root: it is gone. */
uint32_t stall_index_of(const struct snapshot *s, uint64_t id);

/* stall-io.c */
void io_measure(struct stalls *st, const struct snapshot *s, uint32_t victim, uint64_t stall_ns,
		struct window *win);

/* It stalls on memory, not only by its own doing. */
bool stalls_may_have_culprit(const struct window *win);

/* claims.c */
const struct claim *claim_of(const struct stalls *st, const struct snapshot *s, uint32_t zone);
uint64_t claim_grown(const struct claim *c);
/* It has a memory limit of its own: what it churns there is its own affair. */
bool zone_is_limited(const struct zone_view *z);
bool zone_at_limit(const struct zone_view *z);
