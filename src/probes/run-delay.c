/* SPDX-License-Identifier: MIT */
/*
 * Run delay of protected zones from the tasks' schedstat: how long they waited, not for whom. What
 * remains where BPF is not allowed.
 *
 * Tasks come and go and take their totals with them, so the zone's counter is kept here: the growth
 * of each task's delay is added to it. A task seen for the first time counts in full if it can have
 * waited all that since the previous look (it is new), else from now on (it moved in).
 * One task a unit of work.
 *
 * Limit: what a task waited between the last look and its exit is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/procfs.h"
#include "kernel/text.h"
#include "probes/internal.h"

#define TASKS_MAX 65536

struct task {
	struct task *next;
	uint64_t owner_id;
	uint64_t last_ns;
	uint32_t tid, tick;
};

struct run_delay {
	struct hash tasks; /* tid -> task */
	struct task *first;
	uint32_t looked_tick;	       /* of the last complete look at all tasks */
	const struct probe_zone *zone; /* being walked; NULL: none */
	struct text_numbers walk;
	bool failed; /* some zone's tasks could not be listed: this tick's totals are not known */
};

static int delay_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	struct run_delay *s;
	uint64_t ns;

	if (proc_run_delay_ns(p->k, getpid(), 0, &ns) == -ENOENT && !p->k->captured) {
		snprintf(why, size, "the kernel has no /proc/PID/schedstat (CONFIG_SCHED_INFO)");
		return -EOPNOTSUPP;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->walk.fd = -1;
	*ret_state = s;
	return 0;
}

static void stop_walk(struct run_delay *s)
{
	close_fd(&s->walk.fd);
	s->zone = NULL;
}

static void delay_close(void *state)
{
	struct run_delay *s = state;

	if (!s)
		return;
	stop_walk(s);
	for (struct task *t = s->first, *next; t; t = next) {
		next = t->next;
		free(t);
	}
	hash_done(&s->tasks);
	free(s);
}

static struct task *task_get(struct run_delay *s, uint32_t tid)
{
	struct task *t = hash_get(&s->tasks, tid);

	if (t || s->tasks.count >= TASKS_MAX)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t || hash_put(&s->tasks, tid, t) < 0) {
		free(t);
		return NULL;
	}
	t->tid = tid;
	t->next = s->first;
	s->first = t;
	return t;
}

/* How much of a task's total is new to its owner. */
static uint64_t growth(const struct run_delay *s, const struct probes *p, const struct task *t,
		       const struct probe_zone *owner, uint64_t now_ns)
{
	bool seen_before =
	    t->owner_id == owner->id && t->tick == s->looked_tick && now_ns >= t->last_ns;
	bool owner_known = owner->row.valid & METRIC_BIT(ZM_RUN_DELAY_NS);

	if (seen_before)
		return now_ns - t->last_ns;
	if (t->owner_id == owner->id && t->tick == p->tick)
		return 0; /* listed twice */
	return owner_known && now_ns <= p->now_ns - p->previous_ns ? now_ns : 0;
}

static int read_task(struct run_delay *s, struct probes *p, struct probe_zone *owner, uint32_t tid)
{
	struct task *t;
	uint64_t ns;
	int r = proc_run_delay_ns(p->k, (pid_t)tid, 0, &ns);

	p->stats.reads_total++;
	if (r < 0)
		return r;
	t = task_get(s, tid);
	if (!t)
		return -ENOSPC;
	owner->row.value[ZM_RUN_DELAY_NS] += growth(s, p, t, owner, ns);
	owner->row.version++;
	t->owner_id = owner->id;
	t->last_ns = ns;
	t->tick = p->tick;
	return 0;
}

static int delay_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct probe_zone *owner = probe_zone_owner(p, z);
	struct run_delay *s = state;
	uint64_t tid;
	int r;

	if (s->zone != z) {
		stop_walk(s);
		r = kept_open_once(p, z, CGF_TIDS);
		if (r < 0) {
			s->failed = s->failed || r != -ENOENT;
			return r;
		}
		s->walk = (struct text_numbers){.fd = r};
		s->zone = z;
	}
	r = text_numbers_next(&s->walk, &tid);
	if (r <= 0) {
		stop_walk(s);
		return r == -ENODEV ? -ENOENT : r;
	}
	r = tid <= UINT32_MAX ? read_task(s, p, owner, (uint32_t)tid) : -EINVAL;
	if (r < 0 && r != -ENOENT)
		p->stats.errors_total++;
	return 1; /* a task that is gone is no reason to stop */
}

static void delay_begin(void *state, struct probes *p)
{
	stop_walk(state);
	((struct run_delay *)state)->failed = false;
}

/* All tasks were looked at: those not seen are gone, and every protected zone's total is known. */
static void delay_end(void *state, struct probes *p)
{
	struct run_delay *s = state;

	for (struct task **at = &s->first, *t; (t = *at);) {
		if (t->tick == p->tick) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		hash_remove(&s->tasks, t->tid);
		free(t);
	}
	s->looked_tick = p->tick;
	for (struct probe_zone *z = p->nr_protected ? p->first : NULL; z; z = z->next) {
		if (z->interest != PROBE_PROTECTED)
			continue;
		z->row.valid &= ~probe_run_delay.metrics;
		z->row.valid |= s->failed ? 0 : probe_run_delay.metrics;
	}
}

static void delay_forget(void *state, const struct probe_zone *z)
{
	struct run_delay *s = state;

	if (s->zone == z)
		stop_walk(s);
}

const struct probe probe_run_delay = {
    .name = "run_delay",
    .summary = "time tasks of protected zones were runnable but did not run",
    .needs = "/proc/PID/schedstat (CONFIG_SCHED_INFO)",
    .when = WHEN_PROTECTED,
    .metrics = METRIC_BIT(ZM_RUN_DELAY_NS),
    .open = delay_open,
    .close = delay_close,
    .read = delay_read,
    .begin = delay_begin,
    .end = delay_end,
    .forget = delay_forget,
};
