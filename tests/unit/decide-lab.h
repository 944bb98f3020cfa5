/* SPDX-License-Identifier: MIT */
/* What the tests of decide share: a host with a victim and a hog, second by second. */
#pragma once
#include <stdlib.h>
#include "base/str.h"
#include "decide/decide.h"
#include "decide/internal.h"
#include "test.h"
#include "world.h"

/* redis and hog are siblings at the top; steps succeed unless `err` says otherwise. */
struct lab {
	struct world w;
	struct decide *d;
	struct finding_set f;
	struct plan plan;
	uint32_t lc, hog;
	int err[KNOB_NR], undo_err;
	uint64_t since_ns; /* of the finding; 0: a second old */
};

static inline int lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	world_init(&lab->w);
	lab->w.cfg.guard.mode = MODE_ENFORCE;
	lab->lc = world_add(&lab->w, 0, "redis", CLASS_LC);
	lab->hog = world_add(&lab->w, 0, "hog", CLASS_BE);
	lab->w.zones[lab->lc].slo.wait_p99_ns = MSEC / 2;
	assert_int_equal(decide_new(&lab->w.cfg, 1, &lab->d), 0);
	*state = lab;
	return 0;
}

static inline int lab_teardown(void **state)
{
	struct lab *lab = *state;

	decide_free(lab->d);
	config_done(&lab->w.cfg);
	free(lab);
	return 0;
}

/* Before any step: another configuration. */
static inline void lab_restart(struct lab *lab)
{
	decide_free(lab->d);
	assert_int_equal(decide_new(&lab->w.cfg, 1, &lab->d), 0);
}

static inline void do_plan(struct lab *lab)
{
	for (size_t i = 0; i < lab->plan.nr; i++) {
		const struct step *s = &lab->plan.steps[i];
		int err = s->kind == STEP_UNDO ? lab->undo_err : lab->err[s->action.knob];

		decide_result(lab->d, s->action.seq, s->kind, err, "0", lab->d->now_ns + 1000);
	}
}

/* One second: so many ns of redis' waiting behind the zone; harm when there are 100 ms or more. */
static inline struct plan *second_by(struct lab *lab, uint32_t culprit, uint64_t wait_ns)
{
	struct ledger_view *l;
	struct finding *f = &lab->f.items[0];

	world_tick(&lab->w, SEC);
	l = world_ledger(&lab->w, lab->lc, 5000, wait_ns >= 100 * MSEC ? 4 * MSEC : MSEC / 20);
	world_part(&lab->w, l, CAUSE_NEIGHBOUR, culprit, wait_ns);
	world_part(&lab->w, l, CAUSE_SELF, 0, MSEC);
	world_use(&lab->w, lab->lc, 250 * MSEC);
	world_use(&lab->w, culprit, 700 * MSEC);
	lab->f.nr = wait_ns >= 100 * MSEC;
	*f = (struct finding){.seq = 9,
			      .victim_id = world_id(lab->lc),
			      .resource = RESOURCE_CPU,
			      .cause = CAUSE_NEIGHBOUR,
			      .open = true,
			      .since_ns = lab->since_ns ? lab->since_ns : lab->w.s.now_ns - SEC,
			      .last_ns = lab->w.s.now_ns,
			      .nr_culprits = 1,
			      .why = "wait p99 4 ms"};
	f->culprits[0] = (struct culprit){
	    .zone_id = world_id(culprit), .share_ppm = 990000, .cpu = 1, .class = CLASS_BE};
	str_copy(f->culprits[0].name, sizeof(f->culprits[0].name), lab->w.zones[culprit].name);
	decide_tick(lab->d, &lab->w.s, &lab->f, &lab->plan);
	do_plan(lab);
	return &lab->plan;
}

static inline struct plan *harm(struct lab *lab)
{
	return second_by(lab, lab->hog, 240 * MSEC);
}

static inline struct plan *calm(struct lab *lab)
{
	return second_by(lab, lab->hog, MSEC);
}

static inline struct plan *event_by(struct lab *lab, uint32_t culprit)
{
	struct fast_event e = {.now_ns = lab->d->now_ns + MSEC,
			       .foreign_ns = 330000,
			       .victim_id = world_id(lab->lc),
			       .culprit_id = world_id(culprit),
			       .cpu = 1};

	e.since_ns = e.now_ns - e.foreign_ns;
	decide_fast(lab->d, &lab->w.s, &e, &lab->plan);
	do_plan(lab);
	return &lab->plan;
}

static inline const struct action *action_nr(struct lab *lab, uint64_t seq)
{
	const struct action *a;
	size_t nr = decide_actions(lab->d, &a);

	for (size_t i = 0; i < nr; i++)
		if (a[i].seq == seq)
			return &a[i];
	fail_msg("no action %llu", (unsigned long long)seq);
	return NULL;
}

#define LAB(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
