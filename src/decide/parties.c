/* SPDX-License-Identifier: MIT */
/*
 * PARTIES (Chen, Delimitrou, Martinez, ASPLOS'19): one unit of one resource at a time, by trial and
 * error. docs/algorithms/parties.md has the algorithm and where this differs from it.
 *
 * The interval after an action is the loop's next measurement too. Two variants: `parties` is the
 * paper, `parties-code` what the authors released (polls of 100 ms with a majority, blocks of 10 s,
 * any app's slack undoes a step down, no memory, no disk).
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "decide/controller.h"

#define SLACK_UP   0.05
#define SLACK_DOWN 0.2
#define POLLS	   5 /* a decision of parties-code */
#define MEAN_POLLS 10
#define MIGRATE_NS (60 * UINT64_C(1000000000))

enum dir { DIR_NONE, DIR_UP, DIR_DOWN };

struct variant {
	unsigned int polls;  /* steps that make one decision */
	uint64_t rest_ns;    /* no steps down after one that had to be undone */
	bool any_undoes;     /* any app's lack undoes a step down, not only the app's own */
	bool storage;	     /* memory and disk are managed */
	uint64_t migrate_ns; /* 0: never */
};

struct app_state {
	enum dir dir;
	enum res res;
	unsigned int turned; /* states of the compute wheel since it was entered */
	uint64_t rest_until_ns;
	double mean[MEAN_POLLS]; /* the last slacks */
	unsigned int nr_mean;
	unsigned int low, high, lacks; /* polls of this decision */
};

struct parties {
	const struct variant *variant;
	uint64_t random;
	bool started;
	unsigned int poll;
	struct app_state apps[CTL_APPS_MAX];
	/* the action whose effect the next decision sees */
	enum dir tried;
	size_t who;
	enum res what;
	int heir; /* to whom a step down gave the unit; -1: nobody */
	uint64_t latency_ns;
	uint64_t unmet_since_ns; /* 0: all targets are met */
};

static void *parties_create(const void *options, uint64_t seed)
{
	struct parties *s = calloc(1, sizeof(*s));

	if (s) {
		s->variant = options;
		s->random = seed;
	}
	return s;
}

static bool managed(const struct parties *s, const struct ctl_view *v, enum res r)
{
	return v->host.total[r] && r != RES_BW &&
	       (s->variant->storage || (r != RES_MEM && r != RES_DISK));
}

static bool can_move(const struct parties *s, const struct ctl_view *v, const struct ctl_plan *p,
		     size_t a, enum dir dir, enum res r)
{
	uint16_t held = p->alloc[a].units[r];

	/* The disk is nothing to an app that does not use it. */
	if (!managed(s, v, r) || (r == RES_DISK && !v->apps[a].uses_disk))
		return false;
	if (dir == DIR_UP)
		return held < v->host.total[r];
	if (held <= v->host.min[r])
		return false;
	/* Taking memory from what has no disk to fall back upon ends in the OOM killer. */
	return !(r == RES_MEM && !v->apps[a].uses_disk && v->apps[a].mem_slack_mib < 1024);
}

/* The state after `r`: a turn of the compute wheel, then the storage wheel if memory is short (up),
 * or to spare (down). */
static enum res wheel(struct parties *s, const struct ctl_view *v, size_t a, enum res r)
{
	struct app_state *app = &s->apps[a];
	bool spare = v->apps[a].mem_slack_mib >= 1024;

	if (r == RES_MEM)
		return RES_DISK;
	if (r == RES_DISK) {
		app->turned = 0;
		return (enum res)(random_next(&s->random) % 3);
	}
	if (++app->turned < 3 || !managed(s, v, RES_MEM) || spare == (app->dir == DIR_UP)) {
		app->turned %= 3;
		return r == RES_FREQ ? RES_CORE : (enum res)(r + 1);
	}
	return RES_MEM;
}

static void next_action(struct parties *s, const struct ctl_view *v, const struct ctl_plan *p,
			size_t a, enum dir dir)
{
	struct app_state *app = &s->apps[a];
	enum res r = app->res;

	if (app->dir != dir) {
		r = (enum res)(random_next(&s->random) % (managed(s, v, RES_MEM) ? 5 : 3));
		app->dir = dir;
		app->turned = 0;
	} else {
		r = wheel(s, v, a, r);
	}
	for (int i = 0; i < 2 * RES_NR && !can_move(s, v, p, a, dir, r); i++)
		r = wheel(s, v, a, r);
	app->res = r;
}

/* Best-effort work first, then the app that has most of the slack that counts. -1: none can give */
static int find_victim(const struct ctl_view *v, const struct ctl_plan *p, size_t a, enum res r)
{
	int by_slack = -1, by_mem = -1;

	for (size_t i = 0; i < v->nr; i++) {
		const struct ctl_app *app = &v->apps[i];

		if (i == a || p->alloc[i].units[r] <= v->host.min[r])
			continue;
		if (app->be)
			return (int)i;
		if (by_slack < 0 || ctl_slack(app) > ctl_slack(&v->apps[by_slack]))
			by_slack = (int)i;
		if (app->mem_slack_mib > 1024 &&
		    (by_mem < 0 || app->mem_slack_mib > v->apps[by_mem].mem_slack_mib))
			by_mem = (int)i;
	}
	return r == RES_MEM && by_mem >= 0 ? by_mem : by_slack;
}

/* One unit more for `a` of what its state says; false: nobody has one. */
static bool take_up(struct parties *s, const struct ctl_view *v, struct ctl_plan *p, size_t a)
{
	struct app_state *app = &s->apps[a];
	enum res r = app->res;
	int from = -1;

	if (!can_move(s, v, p, a, DIR_UP, r))
		return false;
	if (res_is_shared(r) && ctl_idle(v, p, r) <= 0) {
		from = find_victim(v, p, a, r);
		if (from < 0)
			return false;
		p->alloc[from].units[r]--;
		/* Two apps that want the same would take it from each other for ever. */
		if (!v->apps[from].be && s->apps[from].dir == DIR_UP && s->apps[from].res == r)
			next_action(s, v, p, (size_t)from, DIR_UP);
	}
	p->alloc[a].units[r]++;
	snprintf(p->why, sizeof(p->why),
		 "slack of app %zu is %.2f: one unit more of %s, from %s %d", a,
		 ctl_slack(&v->apps[a]), res_names[r], from < 0 ? "the free ones" : "app", from);
	return true;
}

static void upsize(struct parties *s, const struct ctl_view *v, struct ctl_plan *p, size_t a)
{
	if (s->apps[a].dir != DIR_UP)
		next_action(s, v, p, a, DIR_UP);
	for (int i = 0; i < RES_NR; i++) {
		if (take_up(s, v, p, a)) {
			s->tried = DIR_UP;
			s->who = a;
			s->latency_ns = v->apps[a].latency_ns;
			return;
		}
		next_action(s, v, p, a, DIR_UP);
	}
}

static void downsize(struct parties *s, const struct ctl_view *v, struct ctl_plan *p, size_t a)
{
	struct app_state *app = &s->apps[a];

	if (app->dir != DIR_DOWN)
		next_action(s, v, p, a, DIR_DOWN);
	if (!can_move(s, v, p, a, DIR_DOWN, app->res))
		next_action(s, v, p, a, DIR_DOWN);
	if (!can_move(s, v, p, a, DIR_DOWN, app->res))
		return;
	s->tried = DIR_DOWN;
	s->who = a;
	s->what = app->res;
	s->heir = -1;
	p->alloc[a].units[s->what]--;
	for (size_t i = 0; res_is_shared(s->what) && s->heir < 0 && i < v->nr; i++)
		if (v->apps[i].be)
			s->heir = (int)i;
	if (s->heir >= 0)
		p->alloc[s->heir].units[s->what]++;
	snprintf(p->why, sizeof(p->why), "slack of app %zu is %.2f: one unit less of %s", a,
		 ctl_slack(&v->apps[a]), res_names[s->what]);
}

static void undo_down(struct parties *s, const struct ctl_view *v, struct ctl_plan *p,
		      uint64_t now_ns)
{
	p->alloc[s->who].units[s->what]++;
	if (s->heir >= 0)
		p->alloc[s->heir].units[s->what]--;
	snprintf(p->why, sizeof(p->why), "app %zu misses the unit of %s: given back", s->who,
		 res_names[s->what]);
	next_action(s, v, p, s->who, DIR_DOWN);
	s->apps[s->who].rest_until_ns = now_ns + s->variant->rest_ns;
}

/* By majority of the polls; one poll is its own majority. */
static bool most(const struct parties *s, unsigned int votes)
{
	return 2 * votes > s->variant->polls;
}

static bool down_hurts(const struct parties *s, const struct ctl_view *v)
{
	for (size_t i = 0; s->variant->any_undoes && i < v->nr; i++)
		if (most(s, s->apps[i].lacks))
			return true;
	return most(s, s->apps[s->who].lacks);
}

/* What the last action did. True: that was put right, and nothing else is done now. */
static bool judge(struct parties *s, const struct ctl_view *v, struct ctl_plan *p, uint64_t now_ns)
{
	enum dir tried = s->tried;

	s->tried = DIR_NONE;
	if (tried == DIR_UP && v->apps[s->who].latency_ns > s->latency_ns)
		next_action(s, v, p, s->who, DIR_UP);
	if (tried != DIR_DOWN || !down_hurts(s, v))
		return false;
	undo_down(s, v, p, now_ns);
	return true;
}

static void count_poll(struct parties *s, const struct ctl_view *v)
{
	for (size_t i = 0; i < v->nr; i++) {
		struct app_state *app = &s->apps[i];
		double slack = ctl_slack(&v->apps[i]), sum = 0;
		unsigned int n;

		if (v->apps[i].be)
			continue;
		app->mean[app->nr_mean++ % MEAN_POLLS] = slack;
		n = s->variant->polls == 1	? 1
		    : app->nr_mean < MEAN_POLLS ? app->nr_mean
						: MEAN_POLLS;
		for (unsigned int k = 0; k < n; k++)
			sum += app->mean[(app->nr_mean - 1 - k) % MEAN_POLLS];
		app->lacks += slack < SLACK_UP;
		app->low += slack < SLACK_UP && sum / n < SLACK_UP;
		app->high += slack > SLACK_DOWN && sum / n > SLACK_DOWN;
	}
}

static void decide(struct parties *s, const struct ctl_view *v, struct ctl_plan *p, uint64_t now_ns)
{
	int least = -1, most_slack = -1;

	if (judge(s, v, p, now_ns))
		return;
	for (size_t i = 0; i < v->nr; i++) {
		double slack = ctl_slack(&v->apps[i]);

		if (v->apps[i].be)
			continue;
		if (most(s, s->apps[i].low) && (least < 0 || slack < ctl_slack(&v->apps[least])))
			least = (int)i;
		if (most(s, s->apps[i].high) && now_ns >= s->apps[i].rest_until_ns &&
		    (most_slack < 0 || slack > ctl_slack(&v->apps[most_slack])))
			most_slack = (int)i;
	}
	if (least >= 0)
		upsize(s, v, p, (size_t)least);
	else if (most_slack >= 0)
		downsize(s, v, p, (size_t)most_slack);
}

/* The app with the most relaxed target goes: it bears the move best. */
static void consider_migration(struct parties *s, const struct ctl_view *v, struct ctl_plan *p,
			       uint64_t now_ns)
{
	bool unmet = false;

	for (size_t i = 0; i < v->nr; i++)
		unmet |= !v->apps[i].be && ctl_slack(&v->apps[i]) < 0;
	if (!unmet || !s->unmet_since_ns)
		s->unmet_since_ns = unmet ? now_ns : 0;
	if (!unmet || !s->variant->migrate_ns ||
	    now_ns - s->unmet_since_ns < s->variant->migrate_ns)
		return;
	for (size_t i = 0; i < v->nr; i++)
		if (!v->apps[i].be &&
		    (p->migrate < 0 || v->apps[i].target_ns > v->apps[p->migrate].target_ns))
			p->migrate = (int)i;
}

static void parties_step(void *state, const struct ctl_view *v, uint64_t now_ns, struct ctl_plan *p)
{
	struct parties *s = state;

	if (!s->started) {
		ctl_equal_share(v, p);
		s->started = true;
		snprintf(p->why, sizeof(p->why), "an equal share of everything to begin with");
		return;
	}
	consider_migration(s, v, p, now_ns);
	count_poll(s, v);
	if (++s->poll < s->variant->polls)
		return;
	decide(s, v, p, now_ns);
	s->poll = 0;
	for (size_t i = 0; i < v->nr; i++)
		s->apps[i].low = s->apps[i].high = s->apps[i].lacks = 0;
}

static const struct variant paper = {
    .polls = 1, .rest_ns = 30 * UINT64_C(1000000000), .storage = true, .migrate_ns = MIGRATE_NS};
static const struct variant code = {
    .polls = POLLS, .rest_ns = 10 * UINT64_C(1000000000), .any_undoes = true};

const struct controller controller_parties = {
    .name = "parties",
    .summary = "one unit at a time by trial and error, as published",
    .period_ns = 500000000,
    .create = parties_create,
    .step = parties_step,
    .destroy = free,
    .options = &paper,
};
const struct controller controller_parties_code = {
    .name = "parties-code",
    .summary = "the same as its authors released it",
    .period_ns = 100000000,
    .create = parties_create,
    .step = parties_step,
    .destroy = free,
    .options = &code,
};
