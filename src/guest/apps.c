/* SPDX-License-Identifier: MIT */
#include "guest/apps.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "guest/app-spec.h"
#include "guest/cgroup-v2.h"
#include "guest/health.h"
#include "guest/launch.h"
#include "guest/policy.h"
#include "guest/restart.h"
#include "guest/stats.h"
#include "guest/threads.h"

#define STOP_GRACE_NS	5000000000ULL
#define REMOVE_RETRY_NS 100000000ULL

struct apps {
	struct app *slots[ZONE_APPS_MAX];
	uint64_t grace_ns;
};

static void app_start(struct app *a);

int apps_init(struct guest *g)
{
	g->apps = calloc(1, sizeof(*g->apps));
	if (!g->apps)
		return -ENOMEM;
	g->apps->grace_ns = STOP_GRACE_NS;
	return 0;
}

struct app *app_at(struct guest *g, unsigned int slot)
{
	return slot < ZONE_APPS_MAX ? g->apps->slots[slot] : NULL;
}

struct app *app_find(struct guest *g, const char *name)
{
	apps_each(g, a)
	{
		if (!strcmp(a->spec.name, name))
			return a;
	}
	return NULL;
}

const char *app_state_name(const struct app *a)
{
	static const char *const names[] = {
	    [APP_WAITING] = "waiting", [APP_RUNNING] = "running", [APP_STOPPING] = "running",
	    [APP_EXITED] = "exited",   [APP_FAILED] = "failed",
	};

	return names[a->state];
}

/* ---- the end of an app ---- */

static void app_free(struct app *a)
{
	struct guest *g = a->guest;

	loop_cancel(&g->loop, &a->timer);
	health_stop(a);
	log_close(&a->log);
	stats_forget(a);
	bus_drop_class(&g->bus, a->cgroup_id);
	close_fd(&a->cgroup_fd);
	launch_forget(a);
	g->apps->slots[a->slot] = NULL;
	app_spec_done(&a->spec);
	app_spec_done(&a->next);
	free(a);
}

static void remove_app(void *arg)
{
	struct app *a = arg;

	/* Those that were killed are still ending. */
	if (app_cgroup_remove(a->spec.name) == -EBUSY)
		loop_timer(&a->guest->loop, &a->timer, a->guest->loop.now_ns + REMOVE_RETRY_NS,
			   remove_app, a);
	else
		app_free(a);
}

static void start_due(void *arg)
{
	app_start(arg);
}

static void wait_for_start(struct app *a, uint64_t wait_ns)
{
	a->state = APP_WAITING;
	a->backoff_ns = wait_ns;
	a->restarts++;
	loop_timer(&a->guest->loop, &a->timer, a->guest->loop.now_ns + wait_ns, start_due, a);
}

/* It has stopped because it was to. */
static void app_stopped(struct app *a)
{
	loop_cancel(&a->guest->loop, &a->timer);
	a->state = APP_EXITED;
	if (a->guest->ending) {
		guest_apps_ended(a->guest);
	} else if (a->after == AFTER_REMOVE) {
		remove_app(a);
	} else if (a->after == AFTER_START) {
		a->after = AFTER_STAY;
		a->backoff_ns = 0;
		app_start(a);
	}
}

static const char *oom_of(const struct app *a)
{
	struct cgroup_mem_events now = app_cgroup_oom(a->cgroup_fd);

	if (now.oom_kills == UINT64_MAX || now.oom_kills <= a->oom_begin.oom_kills)
		return NULL;
	return now.oom > a->oom_begin.oom ? "limit" : "machine";
}

/* "app X ended with 137", and why, as far as the kernel has noted it. */
static void notice_end(struct app *a, const char *more)
{
	char limit[32];

	format_bytes(a->spec.memory_bytes, limit, sizeof(limit));
	guest_notice(a->guest, "app", "app %s ended with %d%s%s%s", a->spec.name, a->exit,
		     !a->oom ? ""
		     : !strcmp(a->oom, "limit")
			 ? ": out of memory, killed at its limit of "
			 : ": out of memory, killed as the guest had no more",
		     a->oom && !strcmp(a->oom, "limit") ? limit : "", more);
}

static void app_ended(struct app *a, int exit)
{
	struct guest *g = a->guest;
	char more[48] = "";
	bool asked = a->state == APP_STOPPING;
	uint64_t wait_ns;

	a->pid = 0;
	a->exit = exit;
	a->oom = exit ? oom_of(a) : NULL;
	health_stop(a);
	app_cgroup_kill(a->cgroup_fd);
	if (asked) {
		app_stopped(a);
		return;
	}
	a->state = exit ? APP_FAILED : APP_EXITED;
	if (!g->ending && restart_wanted(a->spec.restart, exit, g->loop.now_ns - a->started_ns,
					 a->backoff_ns, &wait_ns)) {
		snprintf(more, sizeof(more), "; starts again in %llu s",
			 (unsigned long long)(wait_ns / 1000000000));
		wait_for_start(a, wait_ns);
	}
	if (exit)
		notice_end(a, more);
}

bool apps_reaped(struct guest *g, pid_t pid, int exit)
{
	apps_each(g, a)
	{
		if (a->pid == pid) {
			app_ended(a, exit);
			return true;
		}
		if (health_reaped(a, pid, exit))
			return true;
	}
	return false;
}

static void patience_ended(void *arg)
{
	struct app *a = arg;

	app_cgroup_kill(a->cgroup_fd);
}

static void app_stop(struct app *a, enum app_after after)
{
	a->after = after;
	if (!a->pid) {
		app_stopped(a);
		return;
	}
	if (a->state == APP_STOPPING)
		return;
	a->state = APP_STOPPING;
	app_cgroup_signal(a->cgroup_fd, SIGTERM);
	loop_timer(&a->guest->loop, &a->timer, a->guest->loop.now_ns + a->guest->apps->grace_ns,
		   patience_ended, a);
}

/* ---- its beginning ---- */

static void set_limits(struct app *a)
{
	struct error e;
	int r = app_cgroup_limit(a->cgroup_fd, &a->spec, &e);

	if (r < 0)
		guest_notice(a->guest, "app", "app %s: %s", a->spec.name, e.msg);
	r = bus_set_class(&a->guest->bus, a->cgroup_id, (enum bus_class_id)a->spec.class, 0);
	if (r < 0)
		guest_notice(a->guest, "app", "app %s: no class for the scheduler: %s",
			     a->spec.name, strerror(-r));
	stats_class_changed(a);
}

static void app_start(struct app *a)
{
	struct guest *g = a->guest;
	const int stdio[3] = {-1, a->log.sides[0].out, a->log.sides[1].out};
	struct error e = {0};
	int r;

	if (a->next.name) {
		app_spec_done(&a->spec);
		a->spec = a->next;
		a->next = (struct zone_app){0};
		a->log.name = a->spec.name;
		set_limits(a);
	}
	a->started_ns = g->loop.now_ns;
	a->state = APP_RUNNING;
	a->health_known = false;
	a->oom_begin = app_cgroup_oom(a->cgroup_fd);
	r = launch_app(a, stdio, &e);
	if (r < 0) {
		guest_notice(g, "app", "app %s: %s", a->spec.name, e.msg);
		app_ended(a, 127);
		return;
	}
	a->pid = r;
	health_start(a);
}

static void add_app(struct guest *g, struct zone_app *spec)
{
	_cleanup_free_ struct app *a = calloc(1, sizeof(*a));
	struct error e = {0};
	unsigned int slot = 0;
	int r = a ? 0 : -ENOMEM;

	while (slot < ZONE_APPS_MAX && g->apps->slots[slot])
		slot++;
	if (r == 0 && slot == ZONE_APPS_MAX)
		r = error_set(&e, -ENOSPC, "%d apps are there already", ZONE_APPS_MAX);
	if (r == 0) {
		*a = (struct app){.guest = g, .slot = slot, .cgroup_fd = -1};
		r = app_cgroup_open(spec->name, &a->cgroup_fd, &a->cgroup_id, &e);
	}
	if (r == 0)
		r = log_open(&a->log, g, slot, spec->name);
	if (r < 0) {
		guest_notice(g, "app", "app %s: %s", spec->name, e.code ? e.msg : strerror(-r));
		if (a)
			close_fd(&a->cgroup_fd);
		return;
	}
	a->spec = *spec;
	*spec = (struct zone_app){0};
	g->apps->slots[slot] = a;
	set_limits(a);
	app_start(TAKE_PTR(a));
}

/* ---- what is wanted ---- */

static void update_app(struct app *a, struct zone_app *spec)
{
	bool leaving = a->state == APP_STOPPING || a->after == AFTER_REMOVE;

	if (!leaving && app_same_process(&a->spec, spec)) {
		struct zone_app old = a->spec;
		bool other_side = old.class != spec->class || (old.nr_threads && !spec->nr_threads);

		a->spec = *spec;
		*spec = old; /* freed with the rest of the old */
		a->log.name = a->spec.name;
		set_limits(a);
		if (other_side)
			app_cgroup_set_ext(a->cgroup_fd, policy_takes(a->guest, a->spec.class));
		if (a->pid)
			health_start(a);
		return;
	}
	app_spec_done(&a->next);
	a->next = *spec;
	*spec = (struct zone_app){0};
	app_stop(a, AFTER_START);
}

static bool is_wanted(const struct zone_spec *wanted, const char *name)
{
	for (size_t i = 0; i < wanted->nr_apps; i++)
		if (!strcmp(wanted->apps[i].name, name))
			return true;
	return false;
}

void apps_apply(struct guest *g, struct zone_spec *wanted)
{
	apps_each(g, a)
	{
		if (!is_wanted(wanted, a->spec.name))
			app_stop(a, AFTER_REMOVE);
	}
	for (size_t i = 0; i < wanted->nr_apps; i++) {
		struct app *a = app_find(g, wanted->apps[i].name);

		if (a)
			update_app(a, &wanted->apps[i]);
		else
			add_app(g, &wanted->apps[i]);
	}
	threads_look(g);
}

int app_operate(struct guest *g, const char *name, const char *op, struct error *reterr)
{
	struct app *a = app_find(g, name);

	if (!a || a->after == AFTER_REMOVE)
		return error_set(reterr, -ENOENT, "no such app");
	if (!strcmp(op, "stop")) {
		app_stop(a, AFTER_STAY);
	} else if (!strcmp(op, "restart")) {
		app_stop(a, AFTER_START);
	} else if (!strcmp(op, "start")) {
		if (a->state == APP_STOPPING)
			a->after = AFTER_START;
		else if (!a->pid)
			app_stop(a, AFTER_START);
	} else {
		return error_set(reterr, -EINVAL, "op: start, stop or restart");
	}
	return 0;
}

void apps_stop_all(struct guest *g, uint64_t grace_ns)
{
	g->apps->grace_ns = grace_ns;
	apps_each(g, a)
	{
		if (a->pid)
			app_stop(a, AFTER_STAY);
		else
			loop_cancel(&g->loop, &a->timer);
	}
}

bool apps_alive(const struct guest *g)
{
	for (size_t i = 0; i < ZONE_APPS_MAX; i++)
		if (g->apps->slots[i] && g->apps->slots[i]->pid)
			return true;
	return false;
}
