/* SPDX-License-Identifier: MIT */
/*
 * What detectors share. A `watch` is one protected zone under observation: its last windows, what
 * is normal for it, and one track (raised or not) a detector. A detector only judges the newest
 * window and explains the harmful ones; numbering and hysteresis are detect.c's.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "detect/cpi2-zones.h"
#include "detect/detect.h"

#define PPM		  1000000u
#define RING_WINDOWS	  10
#define PARTS_KEPT	  24 /* a window; the smaller rest of the neighbours stays unnamed */
#define NAMES_KEPT	  16
#define NAMED_MIN_PPM	  10000 /* of the waiting: smaller culprits are not named */
#define WATCHES_MAX	  256
#define DETECTORS_MAX	  8
#define FOREIGN_FLOOR_PPM 30000	 /* least step above the habit that counts: neighbours */
#define ROBBED_FLOOR_PPM  100000 /* the same for quota, kernel, host */
#define MEMORY_FLOOR_PPM  50000	 /* the same for stalls on memory */
#define IO_FLOOR_PPM	  100000 /* and on io */
#define NETWORK_FLOOR_PPM 10000	 /* of its packets, sent again */
#define FEED_JUDGEABLE	  20	 /* latencies reported in a window */

struct window_part {
	uint64_t zone_id, ns;
	int32_t pid, cpu;
	char comm[COMM_MAX];
};

/* Time lost in one window, and whose doing it was: the causes sum to it. */
struct blame {
	uint64_t wait_ns;
	uint64_t cause_ns[CAUSE_NR];
	size_t nr_parts;
	struct window_part parts[PARTS_KEPT];
};

/* Stalled on memory or io, by PSI. */
struct stall {
	bool known;
	struct blame blame;
	char told[256]; /* the evidence, for people; "" none */
};

struct window {
	uint64_t now_ns, window_ns;
	struct blame cpu;
	struct stall memory, io;
	uint32_t disk; /* at which it waited most, or else did when it last did any io; 0: none */
	struct stall network; /* the part of the time that is the part of its packets sent again */
	struct cpi_harm cpi;
	uint64_t waits, wait_p99_ns;
	uint64_t feed_count, feed_p99_ns;
	uint64_t usage_ns;
	bool usage_known, estimated;
	uint32_t harm; /* bit d: detector d found harm in it */
};

/* Learned level of a share, in ppm scaled by 1024. See baseline.c. */
struct level {
	uint64_t mean, dev, use;
	uint64_t learned_ns;
};
struct baseline {
	struct level now, next; /* in force; the candidate after a phase change */
};
/* Above this the share is clearly not normal. `floor_ppm` is the least step that counts. */
uint32_t baseline_limit_ppm(const struct baseline *b, uint32_t floor_ppm);
uint32_t baseline_mean_ppm(const struct baseline *b);
void level_learn(struct level *l, uint32_t share, uint32_t use_ppm, uint64_t window_ns);
uint64_t level_ns(const struct level *l, uint64_t window_ns); /* this level's part of a window */
uint32_t level_ppm(const struct level *l);
/* use_ppm: CPU use of the zone itself in that window; UINT32_MAX: unknown. */
void baseline_learn(struct baseline *b, uint32_t floor_ppm, uint32_t share_ppm, uint32_t use_ppm,
		    uint64_t window_ns);

struct track {
	uint8_t history; /* bit 0: the newest window was harmful */
	uint32_t quiet;	 /* windows without harm since the last harmful one */
	bool raised;
	struct finding finding;
	/* How it last was with culprits, NULL: never; judged so often with, and without a cause. */
	struct finding *named;
	uint32_t nr_named, nr_unknown;
};

struct remembered {
	uint64_t id;
	enum zone_class class;
	char name[ZONE_NAME_MAX];
};

struct watch {
	uint64_t zone_id, seen_seq;
	struct window ring[RING_WINDOWS];
	size_t head, nr; /* ring[head] is the newest when nr > 0 */
	union {
		struct {
			struct baseline foreign, robbed, memory,
			    io;			       /* the last two: time stalled */
			struct baseline network;       /* packets sent again */
			struct level normal[CAUSE_NR]; /* waiting by cause in harmless windows */
			struct level io_usual;	       /* all stalling on io while it is no harm */
		};
		uint64_t learned[LEARNED_NUMBERS];
	};
	struct track tracks[DETECTORS_MAX];
	struct remembered names[NAMES_KEPT]; /* of the larger neighbours */
	size_t next_name;
};
/* Of a window's stalling on io, what counts as harm. */
uint64_t io_harm_ns(const struct watch *w, const struct window *win);
/* The i-th newest window, 0 the latest; NULL when there are not so many. */
const struct window *watch_window(const struct watch *w, size_t i);

struct verdict {
	uint64_t ratio_ppm; /* measured over goal; above PPM is harm */
	bool solid;	    /* rests on enough waits to be believed from one window alone */
	bool capped;	    /* never critical: no goal was promised */
	char why[256];
};

struct detector {
	const char *name, *summary;
	void (*judge)(const struct watch *w, const struct zone_view *z, struct verdict *ret);
	/* Fills resource, cause, shares, culprits and evidence from the harmful windows. */
	void (*explain)(const struct watch *w, uint32_t bit, const struct snapshot *s,
			uint32_t zone, struct finding *f);
};
extern const struct detector detector_cpu, detector_latency, detector_memory, detector_io,
    detector_network, detector_cache;
const struct detector *const *detectors(size_t *ret_nr);

/* Merges the harmful windows; shares by cause in f sum to one million. */
typedef const struct blame *(*blame_fn)(const struct window *win);
const struct blame *blame_cpu(const struct window *win);
struct evidence {
	blame_fn of;
	uint64_t window_ns, wait_ns, cause_ns[CAUSE_NR];
	bool estimated;
};
/* Harmful, and of the finding that is open now: an earlier culprit is not blamed for this harm. */
bool is_evidence(const struct watch *w, uint32_t bit, const struct window *win);
void evidence_sum(const struct watch *w, uint32_t bit, blame_fn of, struct evidence *ret);
void evidence_shares(const struct evidence *e, uint32_t ret_ppm[CAUSE_NR]);
/* Zones that went away keep the name under which they were last seen running. */
void names_remember(struct watch *w, const struct zone_view *z);
void culprits_name(const struct watch *w, uint32_t bit, const struct snapshot *s, uint32_t victim,
		   const struct evidence *e, struct finding *f);

/* The wait p99 of the newest window, joined with older ones while it alone has too few waits;
 * false: not known. */
bool wait_p99(const struct watch *w, uint64_t *ret_ns);
/* The newest window shows waiting that can explain a slow application. */
bool latency_has_wait_evidence(const struct window *w, const struct slo *slo);

static inline uint32_t share_ppm(uint64_t part, uint64_t whole)
{
	if (!whole)
		return 0;
	unsigned __int128 q = (unsigned __int128)part * PPM / whole;

	return q > UINT32_MAX ? UINT32_MAX : (uint32_t)q;
}

static inline uint64_t ratio_ppm(uint64_t measured, uint64_t goal)
{
	unsigned __int128 q = goal ? (unsigned __int128)measured * PPM / goal : 0;

	return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

/* Of what grew by `amount` over span_ns, the part of ns; all of it if that is no less. */
static inline uint64_t part_of_span(uint64_t amount, uint64_t span_ns, uint64_t ns)
{
	return span_ns > ns ? (uint64_t)((unsigned __int128)amount * ns / span_ns) : amount;
}

/* Kept off the CPU by something that is no zone. */
static inline uint64_t window_robbed_ns(const struct window *w)
{
	return w->cpu.cause_ns[CAUSE_THROTTLED] + w->cpu.cause_ns[CAUSE_KERNEL] +
	       w->cpu.cause_ns[CAUSE_HOST];
}

/* What is compared with the habit: the neighbours' part, or all when nothing is attributed. */
static inline uint64_t window_foreign_ns(const struct window *w)
{
	return w->estimated ? w->cpu.wait_ns : w->cpu.cause_ns[CAUSE_NEIGHBOUR];
}

/* An idle CPU waking up is latency, but nobody took the CPU away. */
static inline uint64_t window_contended_ns(const struct window *w)
{
	return w->cpu.wait_ns - w->cpu.cause_ns[CAUSE_IDLE];
}

/* Alone it would have stalled on its own io as well. */
static inline uint64_t stall_by_others_ns(const struct stall *st)
{
	return st->blame.wait_ns - st->blame.cause_ns[CAUSE_SELF];
}
