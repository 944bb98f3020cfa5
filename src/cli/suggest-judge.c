/* SPDX-License-Identifier: MIT */
/*
 * Points for and against, each with the observation that gave them. No single one decides: a
 * parallel computation wakes often and briefly too, and a service that idles does not.
 */
#include "cli/suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"

#define SECOND_NS	 1000000000ull
#define BRIEF_NS	 2000000ull  /* of CPU a wake-up: a request's worth */
#define LONG_NS		 20000000ull /* somebody who waits for an answer would notice */
#define VERY_LONG_NS	 100000000ull
#define OFTEN_PER_SECOND 10
#define RAN_PPM		 1000  /* of a CPU; less says nothing */
#define BUSY_PPM	 50000 /* of a CPU */

#define POINTS_LOW	3
#define POINTS_MEDIUM	4
#define POINTS_HIGH	6
#define WATCH_MEDIUM_NS (5 * SECOND_NS) /* less: low at most */
#define WATCH_HIGH_NS	(20 * SECOND_NS)

#define GOAL_VALUES_MIN	  5
#define GOAL_MIN_NS	  100000ull /* below, the scheduler's own noise is judged */
#define GOAL_MIN_GUESS_NS 500000ull
#define GOAL_MAX_NS	  50000000ull
#define GOAL_MARGIN	  2
#define GOAL_GUESS_MARGIN 20 /* from a mean to a p99, and the margin */

static const struct {
	const char *glob, *what;
} best_effort_paths[] = {
    {"/kubepods/besteffort/**", "a pod of Kubernetes' QoS class BestEffort"},
    {"/kubepods.slice/kubepods-besteffort.slice/**", "a pod of Kubernetes' QoS class BestEffort"},
    {"/**/background.slice/**", "in the session's background.slice"},
    {"/system.slice/apt-daily*.service", "a known job of the system's upkeep"},
    {"/system.slice/man-db.service", "a known job of the system's upkeep"},
    {"/system.slice/fstrim.service", "a known job of the system's upkeep"},
    {"/system.slice/logrotate.service", "a known job of the system's upkeep"},
    {"/system.slice/plocate-updatedb.service", "a known job of the system's upkeep"},
    {"/system.slice/e2scrub*.service", "a known job of the system's upkeep"},
};

static const char *known_best_effort(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(best_effort_paths); i++)
		if (path_glob_match(best_effort_paths[i].glob, path))
			return best_effort_paths[i].what;
	return NULL;
}

const char *confidence_name(enum confidence c)
{
	static const char *const names[] = {"none", "low", "medium", "high"};

	return names[c];
}

void proposal_done(struct proposal *p)
{
	strbuf_done(&p->why);
}

struct judgement {
	const struct zone_seen *z;
	uint64_t watched_ns;
	uint64_t run_ppm;     /* of a CPU */
	uint64_t wakes_per_s; /* rounded down */
	uint64_t per_wake_ns; /* CPU; UINT64_MAX: it never woke */
	int lc, be;
	struct strbuf *why;
};

static void note(struct judgement *j, int lc, int be, const char *fmt, ...) printf_like(4, 5);
static void note(struct judgement *j, int lc, int be, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	j->lc += lc;
	j->be += be;
	strbuf_printf(j->why, "%s%s", j->why->len ? "; " : "", text);
}

static void judge_wakes(struct judgement *j)
{
	const struct zone_seen *z = j->z;
	char each[24], run[24];

	format_ppm(j->run_ppm, run, sizeof(run));
	if (!z->has_children && z->used_ns != UINT64_MAX && z->used_ns / 2 > z->run_ns) {
		/* those that were seen are not what it does */
		note(j, 0, 2, "its CPU time, %s of a CPU, is mostly of processes that live briefly",
		     run);
		return;
	}
	if (j->per_wake_ns == UINT64_MAX || j->per_wake_ns >= VERY_LONG_NS) {
		if (j->run_ppm >= BUSY_PPM)
			note(j, -3, 4, "computes without a pause, %s of a CPU", run);
		return;
	}
	format_duration(j->per_wake_ns, each, sizeof(each));
	if (j->per_wake_ns >= LONG_NS && j->run_ppm >= BUSY_PPM)
		note(j, -3, 3, "computes for %s at a stretch, %s of a CPU", each, run);
	else if (j->wakes_per_s >= OFTEN_PER_SECOND)
		note(j, j->per_wake_ns <= BRIEF_NS ? 3 : 1, j->per_wake_ns <= BRIEF_NS ? -3 : -1,
		     "wakes %" PRIu64 " times a second for %s of CPU each, %s of a CPU",
		     j->wakes_per_s, each, run);
}

static void judge_sockets(struct judgement *j)
{
	const struct zone_seen *z = j->z;

	if (z->serves)
		note(j, 3, -3, "serves %u connection%s", z->serves, z->serves == 1 ? "" : "s");
	else if (z->listens)
		note(j, 2, -2, "listens on %u socket%s", z->listens, z->listens == 1 ? "" : "s");
	else if (z->closed)
		note(j, 0, 0, "sockets of %u process%s may not be seen", z->closed,
		     z->closed == 1 ? "" : "es");
	else
		note(j, 0, 1, "nothing listens");
}

static void judge_rest(struct judgement *j)
{
	const struct zone_seen *z = j->z;
	const char *known = known_best_effort(z->path);

	if (z->feeds)
		note(j, 5, -5, "reports its latency");
	if (known)
		note(j, -4, 4, "%s", known);
	if (z->run_ns && z->modest_ns >= z->run_ns / 10 * 8)
		note(j, -3, 3, "is nice, batch or idle by its own choice");
	if (z->run_ns && z->realtime_ns >= z->run_ns / 10 * 5)
		note(j, 2, -2, "runs at a real-time priority");
}

/* --- the goal */

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The lower quarter: what is above may be the very harm that is to be found. */
static bool quiet_value(uint64_t *values, size_t nr, uint64_t *ret)
{
	if (nr < GOAL_VALUES_MIN)
		return false;
	qsort(values, nr, sizeof(*values), by_value);
	*ret = values[nr / 4];
	return true;
}

/* 1, 2 or 5 times a power of ten. */
static uint64_t round_up(uint64_t ns)
{
	uint64_t unit = 1;

	while (unit * 10 <= ns)
		unit *= 10;
	return ns <= unit	? unit
	       : ns <= unit * 2 ? unit * 2
	       : ns <= unit * 5 ? unit * 5
				: unit * 10;
}

static uint64_t goal_of(struct zone_seen *z, struct judgement *j)
{
	uint64_t quiet, goal;
	char text[24];

	if (quiet_value(z->p99s_ns, z->nr_p99s, &quiet)) {
		goal = quiet * GOAL_MARGIN > GOAL_MIN_NS ? quiet * GOAL_MARGIN : GOAL_MIN_NS;
		note(j, 0, 0, "goal: %u times its wait p99 when quiet, %s (measured)", GOAL_MARGIN,
		     format_duration(quiet, text, sizeof(text)));
	} else if (quiet_value(z->means_ns, z->nr_means, &quiet)) {
		goal = quiet * GOAL_GUESS_MARGIN;
		goal = goal > GOAL_MIN_GUESS_NS ? goal : GOAL_MIN_GUESS_NS;
		note(j, 0, 0,
		     "goal: guessed from the mean wait when quiet, %s; once it is protected, the "
		     "p99 is measured",
		     format_duration(quiet, text, sizeof(text)));
	} else {
		note(j, 0, 0, "no goal: too few looks at it while it ran");
		return 0;
	}
	if (z->wait_ns > z->run_ns)
		note(j, 0, 0, "it waits more than it runs now, so the goal may be loose");
	if (goal > GOAL_MAX_NS) {
		note(j, 0, 0, "no goal: it waits long even when it is quiet");
		return 0;
	}
	return round_up(goal);
}

static enum confidence confidence_of(int points, uint64_t watched_ns)
{
	enum confidence c = points >= POINTS_HIGH     ? CONFIDENCE_HIGH
			    : points >= POINTS_MEDIUM ? CONFIDENCE_MEDIUM
			    : points >= POINTS_LOW    ? CONFIDENCE_LOW
						      : CONFIDENCE_NONE;
	enum confidence most = watched_ns >= WATCH_HIGH_NS     ? CONFIDENCE_HIGH
			       : watched_ns >= WATCH_MEDIUM_NS ? CONFIDENCE_MEDIUM
							       : CONFIDENCE_LOW;

	return c < most ? c : most;
}

void suggest_judge(struct zone_seen *z, uint64_t watched_ns, struct proposal *ret)
{
	struct judgement j = {.z = z, .watched_ns = watched_ns, .why = &ret->why};
	uint64_t ran_ns = z->run_ns;

	*ret = (struct proposal){0};
	if (!z->has_children && z->used_ns != UINT64_MAX && z->used_ns > ran_ns)
		ran_ns = z->used_ns;
	j.run_ppm = (uint64_t)((__uint128_t)ran_ns * 1000000 / (watched_ns ? watched_ns : 1));
	j.wakes_per_s =
	    (uint64_t)((__uint128_t)z->wakes * SECOND_NS / (watched_ns ? watched_ns : 1));
	j.per_wake_ns = z->wakes ? z->run_ns / z->wakes : UINT64_MAX;
	if (z->is_vm) {
		note(&j, 0, 0, "a virtual machine: what its guest does is not seen from here");
		return;
	}
	judge_rest(&j);
	if (j.run_ppm < RAN_PPM && !z->feeds && !known_best_effort(z->path)) {
		note(&j, 0, 0, "it hardly ran meanwhile");
		ret->is_idle = true;
		return;
	}
	judge_wakes(&j);
	judge_sockets(&j);
	ret->class = j.lc >= j.be ? CLASS_LC : CLASS_BE;
	ret->confidence = confidence_of(j.lc >= j.be ? j.lc : j.be, watched_ns);
	if (ret->confidence == CONFIDENCE_NONE)
		note(&j, 0, 0, "that fits either class");
	else if (ret->class == CLASS_LC)
		ret->wait_p99_ns = goal_of(z, &j);
}
