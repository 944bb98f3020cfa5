/* SPDX-License-Identifier: MIT */
/* Carries a plan out through actuate, tells decide what became of it, and people what is new. */
#include "daemon/daemon.h"

#include <string.h>
#include "base/clock.h"
#include "base/log.h"

#define STRAYS_A_TICK 8
#define LOOKS_A_TICK  16 /* some 10 us each */

static void took_effect(struct daemon *d, const struct action *a, enum step_kind kind, int r,
			const char *from)
{
	uint64_t now_ns = clock_mono_ns();

	decide_result(d->decide, a->seq, kind, r, from, now_ns);
	recorder_step(d, a, kind, r, from, now_ns);
}

static void apply(struct daemon *d, const struct action *planned)
{
	const struct zone *z = zones_by_id(d->zones, planned->target_id);
	struct action a = *planned;
	struct error e = {0};
	int r = -ENOENT;

	if (z && d->actuator) {
		r = turn_take(d, &e);
		/* Kernels before 6.16, and v1, take the culprit's pages on our time. */
		if (r == 0 && a.knob == KNOB_MEMORY_HIGH)
			daemon_leave_priority(d);
		if (r == 0)
			r = actuator_apply(d->actuator, &a, z->path, clock_mono_ns(), &e);
	} else if (z) {
		r = error_set(&e, -EROFS, "a captured tree cannot be changed");
	} else {
		error_set(&e, r, "the zone is gone");
	}
	took_effect(d, &a, STEP_APPLY, r, a.from);
	if (r == 0)
		d->self.fast_applied_total += a.fast;
	else
		log_warn("action %llu: %s of %s to %s failed: %s", (unsigned long long)a.seq,
			 knob_name(a.knob), a.target_name, a.to, e.msg);
}

static void undo(struct daemon *d, const struct action *a)
{
	struct error e = {0};
	int r = d->actuator ? actuator_undo(d->actuator, a->seq, &e) : -ENOENT;

	took_effect(d, a, STEP_UNDO, r, NULL);
	if (r < 0)
		log_warn("action %llu: undo of %s of %s: %s", (unsigned long long)a->seq,
			 knob_name(a->knob), a->target_name, e.msg);
}

void enforce_plan(struct daemon *d, const struct plan *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		if (p->steps[i].kind == STEP_APPLY)
			apply(d, &p->steps[i].action);
		else
			undo(d, &p->steps[i].action);
	}
	owner_sync(d->owner, d->actuator);
}

struct of_zone {
	uint64_t zone_id, seq; /* seq: an open entry of it, 0 none */
};

static int find_entry(const struct journal_entry *e, void *arg)
{
	struct of_zone *o = arg;

	if (e->zone_id != o->zone_id)
		return 0;
	o->seq = e->seq;
	return 1;
}

void enforce_zone_gone(struct daemon *d, uint64_t zone_id)
{
	struct of_zone o = {.zone_id = zone_id};

	while (d->actuator && actuator_each(d->actuator, find_entry, &o)) {
		struct error e = {0};
		int r = actuator_undo(d->actuator, o.seq, &e);

		if (r < 0 && r != -ENOENT && r != -ECANCELED) { /* still open: at the next undo */
			log_warn("action %llu: %s", (unsigned long long)o.seq, e.msg);
			return;
		}
	}
}

struct look {
	struct daemon *d;
	uint64_t after, seq; /* seq: the last one looked at */
	int left;
};

static int look_at(const struct journal_entry *e, void *arg)
{
	struct look *l = arg;

	if (e->seq <= l->after)
		return 0;
	l->seq = e->seq;
	if (actuator_check(l->d->actuator, e->seq) == -ECANCELED) {
		decide_foreign(l->d->decide, e->seq);
		recorder_foreign(l->d, e->seq);
	}
	return --l->left == 0;
}

void enforce_look(struct daemon *d)
{
	struct look l = {.d = d, .after = d->last_looked, .left = LOOKS_A_TICK};
	bool more = d->actuator && actuator_each(d->actuator, look_at, &l);

	d->last_looked = more ? l.seq : 0;
}

struct stray {
	const struct daemon *d;
	uint64_t after,
	    seq; /* seq: an open entry above `after` that no action in force stands for */
};

static int find_stray(const struct journal_entry *e, void *arg)
{
	struct stray *s = arg;
	const struct action *a;
	size_t n = decide_actions(s->d->decide, &a);

	for (size_t i = 0; i < n; i++) {
		if (a[i].seq == e->seq &&
		    (a[i].state == ACTION_APPLIED || a[i].state == ACTION_KEPT))
			return 0;
	}
	s->seq = e->seq;
	return e->seq > s->after;
}

void enforce_strays(struct daemon *d)
{
	struct stray s = {.d = d, .after = d->last_stray};

	for (int i = 0; i < STRAYS_A_TICK; i++, s.after = s.seq) {
		struct error e = {0};
		int r;

		if (!d->actuator || !actuator_each(d->actuator, find_stray, &s)) {
			s.after = 0; /* from the beginning again */
			break;
		}
		r = actuator_undo(d->actuator, s.seq, &e);
		if (r == 0)
			log_notice("action %llu: put back at last", (unsigned long long)s.seq);
		else
			log_debug("action %llu: %s", (unsigned long long)s.seq, e.msg);
	}
	d->last_stray = s.after;
}

static const char *const state_texts[] = {
    [ACTION_PROPOSED] = "proposed",
    [ACTION_APPLIED] = "applied, measuring its effect",
    [ACTION_KEPT] = "kept",
    [ACTION_REVERTED] = "reverted",
    [ACTION_FAILED] = "failed, nothing changed",
    [ACTION_LOST] = "given up",
    [ACTION_EXPIRED] = "no longer needed",
};
static const char *const outcome_texts[] = {
    [OUTCOME_PENDING] = "",
    [OUTCOME_HELPED] = ", it helped",
    [OUTCOME_NO_HELP] = ", it did not help",
    [OUTCOME_UNMEASURED] = ", its effect could not be measured",
};

/* Actions that decide has forgotten are not asked for again. */
static void forget_old_states(struct daemon *d, const struct action *a, size_t n)
{
	struct hash kept = {0};

	for (size_t i = 0; i < n; i++) {
		void *known = hash_get(&d->action_states, a[i].seq);

		if (known && hash_put(&kept, a[i].seq, known) < 0) {
			hash_done(&kept);
			return; /* no memory: later */
		}
	}
	hash_done(&d->action_states);
	d->action_states = kept;
}

/* One event for each action whose state is news. */
void enforce_announce(struct daemon *d)
{
	const struct action *a;
	size_t n = decide_actions(d->decide, &a);

	if (d->action_states.count > 4 * n + 256)
		forget_old_states(d, a, n);
	for (size_t i = 0; i < n; i++, a++) {
		uintptr_t known = (uintptr_t)hash_get(&d->action_states, a->seq);

		if (known == (uintptr_t)a->state + 1)
			continue;
		if (hash_put(&d->action_states, a->seq, (void *)((uintptr_t)a->state + 1)) < 0)
			continue;
		events_add(&d->events, clock_real_ns(), EVENT_ACTION, a->target_name, a->seq,
			   "%s %s%s%s on %s for %s: %s%s%s%s", knob_name(a->knob), a->from,
			   a->from[0] ? " -> " : "", a->to, a->target_name, a->victim_name,
			   state_texts[a->state], outcome_texts[a->outcome],
			   a->ended[0] ? ": " : "", a->ended);
	}
}
