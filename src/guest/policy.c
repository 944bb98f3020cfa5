/* SPDX-License-Identifier: MIT */
#include "guest/policy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "guest/apps.h"
#include "guest/cgroup-v2.h"
#include "guest/control.h"
#include "guest/rules.h"
#include "guest/policy-proc.h"
#include "guest/stats.h"
#include "guest/task.h"
#include "guest/threads.h"

#define STATS_ASKED_MAX 8

struct policies {
	struct policy_proc *procs[SCHED_LOADED_MAX];
	struct policy_proc *current;	     /* attached, or on its way there or back */
	struct policy_choice target, before; /* before: in force until the target was chosen */
	struct policy_choice wanted;	     /* the target, or what it was before it failed */
	char why[sizeof(((struct error *)0)->msg)]; /* why it failed */
	uint64_t switch_ns;			    /* the first word of this switch; 0: none yet */
	bool asked;
	json_int_t asked_id;
	json_int_t stats_ids[STATS_ASKED_MAX];
	size_t nr_stats;
	uint64_t deaths_ns[SCHED_RESTARTS_MAX];

	struct zone_sched spec;
	bool applied; /* the spec is known */
	bool by_hand; /* not what the spec says: rules rest until the next apply */
	struct harm_state harm;
	struct rules_state rules;
	struct timer rules_timer;
};

static void drive(struct guest *g);

int policy_init(struct guest *g)
{
	g->policies = calloc(1, sizeof(*g->policies));
	return g->policies ? 0 : -ENOMEM;
}

const char *policy_name(const struct guest *g)
{
	const struct policy_proc *p = g->policies->current;

	return p && (p->state == PROC_ATTACHED || p->state == PROC_DETACHING) ? p->choice.name
									      : "none";
}

const char *policy_wanted(const struct guest *g)
{
	const struct policy_choice *c = &g->policies->wanted;

	return c->name[0] ? c->name : "none";
}

const char *policy_why(const struct guest *g)
{
	return g->policies->why;
}

/* ---- the processes ---- */

static struct policy_proc *find_loaded(struct policies *s, const struct policy_choice *c)
{
	for (size_t i = 0; i < SCHED_LOADED_MAX; i++)
		if (s->procs[i] && policy_choice_equal(&s->procs[i]->choice, c))
			return s->procs[i];
	return NULL;
}

/* Where a new one may go. The one that was not used for longest makes room: when it has ended. */
static struct policy_proc **free_place(struct policies *s)
{
	struct policy_proc *oldest = NULL;

	for (size_t i = 0; i < SCHED_LOADED_MAX; i++) {
		struct policy_proc *p = s->procs[i];

		if (!p)
			return &s->procs[i];
		if (p != s->current && (!oldest || p->used_ns < oldest->used_ns))
			oldest = p;
	}
	kill(oldest->pid, SIGKILL);
	return NULL;
}

static void answer(struct guest *g, const struct error *e)
{
	struct policies *s = g->policies;
	uint64_t ms = s->switch_ns ? (g->loop.now_ns - s->switch_ns) / 1000000 : 0;

	if (!e && s->switch_ns)
		guest_notice(g, "sched", "policy %s is in force after %llu ms", policy_name(g),
			     (unsigned long long)ms);
	s->switch_ns = 0;
	if (!s->asked)
		return;
	s->asked = false;
	if (e)
		control_error(g, s->asked_id, e);
	else
		control_ok(
		    g, s->asked_id,
		    json_pack("{s:I, s:s}", "switch_ms", (json_int_t)ms, "policy", policy_name(g)));
}

/* The target cannot be had: back to what was in force before. */
static void target_failed(struct guest *g, const char *why)
{
	struct policies *s = g->policies;
	struct error e = {0};

	error_set(&e, -EIO, "policy %s: %s", s->target.name, why);
	guest_notice(g, "sched", "%s", e.msg);
	if (policy_choice_equal(&s->target, &s->before))
		s->before = (struct policy_choice){0};
	s->target = s->before;
	/* Who asked is told, and it is as if he had not. */
	if (s->asked)
		s->wanted = s->target;
	else
		str_copy(s->why, sizeof(s->why), e.msg);
	answer(g, &e);
	drive(g);
}

static void proc_loaded(struct policy_proc *p, const json_t *line)
{
	const char *partial = json_string_value(json_object_get(line, "partial"));

	p->state = PROC_READY;
	p->only_be = !p->choice.full && partial && !strcmp(partial, "be");
	/* A policy that starves its own process could not be detached. */
	if (task_set(p->pid, "rr", NULL) < 0)
		guest_notice(p->guest, "sched", "policy %s may starve itself", p->choice.name);
}

static void proc_event(struct policy_proc *p, const char *event, const json_t *line)
{
	struct guest *g = p->guest;
	struct policies *s = g->policies;

	if (!strcmp(event, "stats") && p == s->current && s->nr_stats) {
		json_t *stats = json_copy((json_t *)line);

		json_object_del(stats, "event");
		control_ok(g, s->stats_ids[0],
			   json_pack("{s:s, s:o}", "policy", p->choice.name, "stats", stats));
		memmove(s->stats_ids, s->stats_ids + 1, --s->nr_stats * sizeof(s->stats_ids[0]));
		return;
	}
	if (!strcmp(event, "ready") && p->state == PROC_LOADING)
		proc_loaded(p, line);
	else if (!strcmp(event, "attached") && p->state == PROC_ATTACHING)
		p->state = PROC_ATTACHED;
	else if (!strcmp(event, "detached") && p->state == PROC_DETACHING)
		p->state = PROC_READY;
	else
		return;
	loop_cancel(&g->loop, &p->deadline);
	if (p == s->current && p->state == PROC_READY)
		s->current = NULL;
	drive(g);
}

static void proc_refused(struct policy_proc *p)
{
	struct policies *s = p->guest->policies;
	bool attaching = p->state == PROC_ATTACHING;

	/* One that cannot even detach is of no use; the kernel takes over when it dies. */
	if (!attaching) {
		kill(p->pid, SIGKILL);
		return;
	}
	p->state = PROC_READY;
	s->current = NULL;
	target_failed(p->guest, p->why);
}

static struct policy_proc *load(struct guest *g, const struct policy_choice *c)
{
	struct policy_proc **place = free_place(g->policies), *p;
	struct error e = {0};
	int r;

	if (!place)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct policy_proc){.guest = g,
				  .choice = *c,
				  .in = -1,
				  .out = -1,
				  .used_ns = g->loop.now_ns,
				  .event = proc_event,
				  .refused = proc_refused};
	r = policy_proc_start(p, &e);
	if (r < 0) {
		free(p);
		target_failed(g, e.msg);
		return NULL;
	}
	*place = p;
	return p;
}

/* ---- from what is in force to what is wanted, one step at a time ---- */

static void tell(struct guest *g, struct policy_proc *p, const char *word, enum proc_state state)
{
	if (!g->policies->switch_ns)
		g->policies->switch_ns = g->loop.now_ns;
	policy_proc_tell(p, word, state);
}

bool policy_takes(const struct guest *g, enum zone_class class)
{
	const struct policy_proc *p = g->policies->current;

	return class == CLASS_BE || !p || !p->only_be;
}

/* Which apps the policy that comes next is for. */
static void divide_apps(struct guest *g)
{
	apps_each(g, a)
	{
		if (a->cgroup_fd >= 0)
			app_cgroup_set_ext(a->cgroup_fd, policy_takes(g, a->spec.class));
	}
	threads_look(g);
}

static void drive(struct guest *g)
{
	struct policies *s = g->policies;
	struct policy_proc *p = NULL;

	if (s->target.name[0]) {
		p = find_loaded(s, &s->target);
		if (!p)
			p = load(g, &s->target);
		if (!p || p->state == PROC_LOADING)
			return; /* what is in force stays until this one is ready */
	}
	if (s->current == p && (!p || p->state == PROC_ATTACHED)) {
		s->before = s->target;
		answer(g, NULL);
	} else if (s->current && s->current != p) {
		if (s->current->state == PROC_ATTACHED)
			tell(g, s->current, "detach", PROC_DETACHING);
	} else if (p && p->state == PROC_READY) {
		s->current = p;
		divide_apps(g);
		tell(g, p, "attach", PROC_ATTACHING);
	}
}

static void set_target(struct guest *g, const struct policy_choice *c)
{
	struct policies *s = g->policies;

	s->target = s->wanted = *c;
	s->why[0] = 0;
	memset(s->deaths_ns, 0, sizeof(s->deaths_ns));
	drive(g);
}

/* A policy that was in force is gone. True: it may be started again. */
static bool may_restart(struct policies *s, uint64_t now_ns)
{
	uint64_t oldest = s->deaths_ns[SCHED_RESTARTS_MAX - 1];

	memmove(s->deaths_ns + 1, s->deaths_ns, sizeof(s->deaths_ns) - sizeof(s->deaths_ns[0]));
	s->deaths_ns[0] = now_ns;
	return !oldest || now_ns - oldest >= SCHED_RESTARTS_NS;
}

static void proc_died(struct guest *g, struct policy_proc *p)
{
	struct policies *s = g->policies;
	bool targeted = policy_choice_equal(&p->choice, &s->target);
	bool in_force = p == s->current && p->state != PROC_ATTACHING;
	const char *why = p->why[0] ? p->why : p->said[0] ? p->said : "it was killed";

	if (p == s->current)
		s->current = NULL;
	if (p->state == PROC_DETACHING || !targeted || g->ending) {
		if (in_force)
			drive(g); /* detached, one way or the other */
		return;
	}
	if (!in_force) {
		target_failed(g, why);
		return;
	}
	guest_notice(g, "sched", "policy %s ended (%s): the kernel's own scheduler is back",
		     p->choice.name, why);
	if (may_restart(s, g->loop.now_ns)) {
		drive(g);
		return;
	}
	snprintf(s->why, sizeof(s->why),
		 "policy %s ended %d times in a minute, the last time: %.400s", p->choice.name,
		 SCHED_RESTARTS_MAX + 1, why);
	guest_notice(g, "sched", "policy %s is not started again: it ended %d times in a minute",
		     p->choice.name, SCHED_RESTARTS_MAX + 1);
	s->target = s->before = (struct policy_choice){0};
	s->by_hand = true; /* the next apply tries again */
}

bool policy_reaped(struct guest *g, pid_t pid, int exit)
{
	struct policies *s = g->policies;

	for (size_t i = 0; i < SCHED_LOADED_MAX; i++) {
		struct policy_proc *p = s->procs[i];

		if (!p || p->pid != pid)
			continue;
		policy_proc_done(p);
		s->procs[i] = NULL;
		proc_died(g, p);
		free(p);
		if (find_loaded(s, &s->target) == NULL && s->target.name[0] && !g->ending)
			drive(g); /* it waited for this place */
		return true;
	}
	return false;
}

void policy_stop(struct guest *g)
{
	for (size_t i = 0; i < SCHED_LOADED_MAX; i++)
		if (g->policies->procs[i])
			kill(g->policies->procs[i]->pid, SIGTERM);
}

/* ---- what is wanted ---- */

int policy_ask(struct guest *g, json_int_t id, const json_t *request, struct error *reterr)
{
	struct policies *s = g->policies;
	struct policy_choice c;
	int r = policy_choose_json(request, &c, reterr);

	if (r < 0)
		return r;
	if (s->asked)
		return error_set(reterr, -EBUSY, "another change of policy is under way");
	s->asked = true;
	s->asked_id = id;
	s->by_hand = true;
	set_target(g, &c);
	return 0;
}

int policy_ask_stats(struct guest *g, json_int_t id, struct error *reterr)
{
	struct policies *s = g->policies;

	if (!s->current || s->current->state != PROC_ATTACHED) {
		control_ok(g, id, json_pack("{s:s, s:{}}", "policy", "none", "stats"));
		return 0;
	}
	if (s->nr_stats == STATS_ASKED_MAX)
		return error_set(reterr, -EBUSY, "too many ask at once");
	s->stats_ids[s->nr_stats++] = id;
	policy_proc_tell(s->current, "stats", PROC_ATTACHED);
	return 0;
}

/* What the spec and its rules want now. */
static void follow_spec(struct guest *g)
{
	struct policies *s = g->policies;
	const char *policy = s->spec.policy, *options = s->spec.options;
	struct policy_choice c = {0};
	struct error e = {0};

	if (s->rules.begun && s->rules.now != RULE_NONE) {
		policy = s->spec.rules[s->rules.now].policy;
		options = s->spec.rules[s->rules.now].options;
	}
	if (s->spec.on_harm && !s->harm.answered)
		policy = NULL;
	if (policy_choose(policy, options, s->spec.full, &c, &e) < 0) {
		guest_notice(g, "sched", "%s", e.msg);
		str_copy(s->why, sizeof(s->why), e.msg);
	} else if (!policy_choice_equal(&c, &s->target) || s->why[0]) {
		set_target(g, &c);
	}
}

static void read_load(void *arg)
{
	struct guest *g = arg;
	struct policies *s = g->policies;
	uint32_t load_ppm;

	loop_timer(&g->loop, &s->rules_timer, g->loop.now_ns + RULES_READ_NS, read_load, g);
	if (s->by_hand || !stats_lc_load(g, &load_ppm))
		return;
	if (rules_step(&s->rules, s->spec.rules, s->spec.nr_rules, load_ppm, g->loop.now_ns))
		follow_spec(g);
}

void policy_harm(struct guest *g, uint64_t harm_ppm)
{
	struct policies *s = g->policies;

	if (!s->spec.on_harm || s->by_hand || !harm_step(&s->harm, harm_ppm, g->loop.now_ns))
		return;
	guest_notice(g, "sched",
		     s->harm.answered ? "be apps keep lc apps waiting: policy %s is called for"
				      : "lc apps wait for be apps no more: back from policy %s",
		     s->spec.policy);
	follow_spec(g);
}

static bool same_sched(const struct zone_sched *a, const struct zone_sched *b)
{
	struct policy_choice x, y;

	if (a->full != b->full || a->on_harm != b->on_harm || a->nr_rules != b->nr_rules ||
	    policy_choose(a->policy, a->options, a->full, &x, NULL) < 0 ||
	    policy_choose(b->policy, b->options, b->full, &y, NULL) < 0 ||
	    !policy_choice_equal(&x, &y))
		return false;
	for (size_t i = 0; i < a->nr_rules; i++)
		if (a->rules[i].below_ppm != b->rules[i].below_ppm ||
		    policy_choose(a->rules[i].policy, a->rules[i].options, a->full, &x, NULL) < 0 ||
		    policy_choose(b->rules[i].policy, b->rules[i].options, b->full, &y, NULL) < 0 ||
		    !policy_choice_equal(&x, &y))
			return false;
	return true;
}

void policy_apply(struct guest *g, struct zone_sched *wanted)
{
	struct policies *s = g->policies;
	struct zone_spec old = {.sched = s->spec};

	s->applied = true;
	if (same_sched(&s->spec, wanted) && !s->by_hand)
		return;
	s->spec = *wanted;
	*wanted = (struct zone_sched){0};
	zone_spec_done(&old);
	s->by_hand = false;
	s->harm = (struct harm_state){0};
	if (s->asked)
		answer(g, &(struct error){-ECANCELED, "the zone's spec was applied meanwhile", ""});
	s->rules = (struct rules_state){0};
	if (s->spec.nr_rules)
		read_load(g);
	else
		loop_cancel(&g->loop, &s->rules_timer);
	follow_spec(g);
}

void policy_apply_again(struct guest *g, struct zone_sched *wanted, const json_t *set)
{
	struct policies *s = g->policies;
	bool begins = !s->applied;
	struct policy_choice c;

	if (begins || !same_sched(&s->spec, wanted))
		policy_apply(g, wanted);
	if (!begins || !set || policy_choose_json(set, &c, NULL) < 0)
		return;
	s->by_hand = true;
	set_target(g, &c);
}
