/* SPDX-License-Identifier: MIT */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/str.h"
#include "decide/decide.h"
#include "detect/detect.h"
#include "replay/internal.h"

#define WRITE_NS  100000 /* from the decision to the knob written, where that was not recorded */
#define GONE_KEPT 256	 /* as czd */
#define NOTES_MAX 64

struct gone {
	uint64_t id;
	char name[ZONE_NAME_MAX];
};

struct replay {
	struct replay_options o;
	struct replay_sink sink;
	struct config cfg;
	struct detect *detect;
	struct decide *decide;
	const struct snapshot *snapshot;
	struct finding_set findings;
	struct plan plan;
	struct news news;
	struct compare compare;
	struct replay_tally tally;
	int result[2][KNOB_NR]; /* of hand-written recordings: apply, undo */
	uint64_t now_ns;
	struct gone gone[GONE_KEPT]; /* a ring */
	size_t next_gone;
	struct {
		uint64_t victim_id;
		char text[192];
	} notes[NOTES_MAX]; /* by victim_id: as told last */
};

int replay_new(const struct replay_options *o, const struct replay_sink *sink, struct replay **ret)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->o = *o;
	r->sink = *sink;
	*ret = r;
	return 0;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	detect_free(r->detect);
	decide_free(r->decide);
	compare_done(&r->compare);
	free(r);
}

const struct replay_tally *replay_tally(const struct replay *r)
{
	return &r->tally;
}

/* Policies other than the recorded one: what people did then may be about something else. */
static bool is_what_if(const struct replay *r)
{
	return r->o.config || r->o.mode;
}

/* Detect and decide as czd had them; head NULL: the recording does not say, so the defaults. */
static int begin(struct replay *r, const struct record_head *head)
{
	int err;

	if (r->detect)
		return 0;
	if (r->o.config)
		r->cfg = *r->o.config;
	else if (head)
		r->cfg = head->config;
	else
		config_defaults(&r->cfg);
	if (head && r->o.config && !r->o.mode)
		r->cfg.guard.mode = r->o.config->guard.mode;
	if (r->o.mode)
		r->cfg.guard.mode = *r->o.mode;
	err = detect_new(&r->cfg, &r->detect);
	if (!err)
		err = decide_new(&r->cfg, head ? head->action_seq : 1, &r->decide);
	return err;
}

static int run_head(struct replay *r, const struct record *rec)
{
	const struct record_head *h = &rec->head;
	int err = begin(r, h);

	if (err)
		return err;
	detect_set_last_seq(r->detect, h->finding_seq);
	for (size_t i = 0; i < h->nr_learned; i++)
		detect_learn(r->detect, &h->learned[i]);
	for (size_t i = 0; i < h->nr_modes && !is_what_if(r); i++)
		decide_set_mode(r->decide, h->modes[i].mode, h->modes[i].victim_id,
				h->modes[i].until_ns, h->now_ns);
	r->now_ns = r->tally.first_ns = h->now_ns;
	r->tally.real_ns = h->real_ns;
	r->tally.has_head = true;
	str_copy(r->tally.czd, sizeof(r->tally.czd), h->czd);
	for (size_t i = 0; i < rec->did.nr_findings; i++)
		r->compare.standing[r->compare.nr_standing++] = rec->did.findings[i];
	return 0;
}

static void tell_finding(struct replay *r, const struct finding *f)
{
	struct replay_line *l = compare_add(&r->compare, REPLAY_FINDING, r->now_ns);
	uint32_t sum = 0;

	if (!l)
		return;
	for (int c = 0; c < CAUSE_NR; c++)
		sum += f->cause_ppm[c];
	l->finding = *f;
	snprintf(l->text, sizeof(l->text), "finding %llu %s; %s%s", (unsigned long long)f->seq,
		 news_finding_text(f, l->key), f->why,
		 f->wait_ns && sum != 1000000 ? " SHARES DO NOT SUM TO ONE" : "");
}

static void tell_action(struct replay *r, const struct action *a)
{
	struct replay_line *l = compare_add(&r->compare, REPLAY_ACTION, r->now_ns);

	if (!l)
		return;
	l->action = *a;
	snprintf(l->text, sizeof(l->text), "action %llu %s", (unsigned long long)a->seq,
		 news_action_text(a, l->key));
}

static void tell_findings(struct replay *r)
{
	uint32_t at[NEWS_MAX];
	size_t nr = news_findings(&r->news, r->findings.items, r->findings.nr, at);

	for (size_t i = 0; i < nr; i++)
		tell_finding(r, &r->findings.items[at[i]]);
}

static void tell_actions(struct replay *r)
{
	uint32_t at[NEWS_MAX];
	const struct action *a;
	size_t nr = decide_actions(r->decide, &a);

	nr = news_actions(&r->news, a, nr, at);
	for (size_t i = 0; i < nr; i++)
		tell_action(r, &a[at[i]]);
}

static void tell_notes(struct replay *r)
{
	for (size_t i = 0; i < r->findings.nr && i < NOTES_MAX; i++) {
		const struct finding *f = &r->findings.items[i];
		const char *note = decide_note(r->decide, f->victim_id);
		size_t at = f->victim_id % NOTES_MAX;
		struct replay_line *l;

		if (r->notes[at].victim_id == f->victim_id && !strcmp(r->notes[at].text, note))
			continue;
		r->notes[at].victim_id = f->victim_id;
		str_copy(r->notes[at].text, sizeof(r->notes[at].text), note);
		l = *note ? compare_add(&r->compare, REPLAY_NOTE, r->now_ns) : NULL;
		if (l)
			snprintf(l->text, sizeof(l->text), "nothing done for %s: %s",
				 f->victim_name, note);
	}
}

static const char *old_value(enum knob knob)
{
	static const char *const values[KNOB_NR] = {
	    [KNOB_CPU_IDLE] = "0",  [KNOB_CPU_WEIGHT] = "100", [KNOB_CPUSET] = "",
	    [KNOB_CPU_MAX] = "max", [KNOB_CPU_BURST] = "0",    [KNOB_MEMORY_HIGH] = "max",
	    [KNOB_IO_MAX] = "max",  [KNOB_NET_MAX] = "max",    [KNOB_LLC] = "max",
	    [KNOB_MEMBW] = "max",   [KNOB_FREEZE] = "0",
	};

	return values[knob];
}

/* The recorded result of the same step on the same line; NULL: it was not taken then. */
static const struct record_step *recorded_step(const struct record_did *did, const struct step *s)
{
	for (size_t i = 0; i < did->nr_steps; i++) {
		const struct record_step *d = &did->steps[i];

		if (d->is_undo == (s->kind == STEP_UNDO) && d->knob == s->action.knob &&
		    d->target_id == s->action.target_id)
			return d;
	}
	return NULL;
}

static void tell_step(struct replay *r, const struct step *step, int err, bool taken)
{
	struct replay_line *l = compare_add(&r->compare, REPLAY_STEP, r->now_ns);
	const struct action *a = &step->action;
	char what[640];

	if (!l)
		return;
	l->action = *a;
	if (step->kind == STEP_APPLY)
		snprintf(what, sizeof(what), "apply %llu: %s = %.64s on %s for %s%s; %s",
			 (unsigned long long)a->seq, knob_name(a->knob), a->to, a->target_name,
			 a->victim_name, a->fast ? ", fast" : "", a->reason);
	else
		snprintf(what, sizeof(what), "undo %llu: %s on %s; %s", (unsigned long long)a->seq,
			 knob_name(a->knob), a->target_name, a->ended);
	snprintf(l->text, sizeof(l->text), "%s%s%s%s", what, err ? " -> " : "",
		 err ? error_name(err) : "",
		 taken || !r->tally.has_head ? "" : " (not done then: taken to work)");
}

static void do_plan(struct replay *r, const struct record_did *did)
{
	for (size_t i = 0; i < r->plan.nr; i++) {
		const struct step *step = &r->plan.steps[i];
		const struct record_step *then = recorded_step(did, step);
		const struct action *a = &step->action;
		int err = then ? then->result : r->result[step->kind == STEP_UNDO][a->knob];

		tell_step(r, step, err, then != NULL);
		decide_result(r->decide, a->seq, step->kind, err,
			      then ? then->from : old_value(a->knob),
			      then ? then->written_ns : r->now_ns + WRITE_NS);
	}
}

/* Goals that are asked for in place of the recorded ones. */
static void put_goals(struct replay *r, const struct snapshot *s)
{
	for (size_t i = 0; i < s->nr_ledgers; i++) {
		struct zone_view *z = (struct zone_view *)&s->zones[s->ledgers[i].zone];

		for (size_t k = 0; k < r->o.nr_slos; k++) {
			struct replay_slo *want = &r->o.slos[k];

			if (strcmp(want->zone, z->name) && strcmp(want->zone, z->path))
				continue;
			z->slo = want->slo;
			want->used = true;
		}
	}
}

static void take_snapshot(struct replay *r, const struct record *rec)
{
	if (!rec->snapshot)
		return;
	r->snapshot = rec->snapshot;
	put_goals(r, rec->snapshot);
}

/* As czd does it: the detectors know only names of zones that they saw run before. */
static void name_the_gone(struct replay *r)
{
	for (size_t i = 0; i < r->findings.nr; i++) {
		struct finding *f = &r->findings.items[i];

		for (size_t c = 0; c < f->nr_culprits; c++)
			for (size_t g = 0; g < GONE_KEPT; g++)
				if (r->gone[g].id && r->gone[g].id == f->culprits[c].zone_id)
					str_copy(f->culprits[c].name, sizeof(f->culprits[c].name),
						 r->gone[g].name);
	}
}

static void run_snapshot(struct replay *r, const struct record *rec)
{
	const struct snapshot *s = rec->snapshot;

	take_snapshot(r, rec);
	r->now_ns = s->now_ns;
	r->tally.ticks++;
	r->tally.zone_ticks += s->nr_zones;
	if (!r->tally.first_ns)
		r->tally.first_ns = s->now_ns;
	if (r->sink.tick)
		r->sink.tick(s, r->sink.arg);
	detect_run(r->detect, s, &r->findings);
	name_the_gone(r);
	tell_findings(r);
	for (size_t i = 0; i < rec->did.nr_foreign && !is_what_if(r); i++)
		decide_foreign(r->decide, rec->did.foreign[i]);
	decide_tick(r->decide, s, &r->findings, &r->plan);
	do_plan(r, &rec->did);
	tell_notes(r);
}

static void run_event(struct replay *r, const struct record *rec)
{
	take_snapshot(r, rec);
	r->now_ns = rec->event.now_ns;
	r->tally.events++;
	if (r->sink.event)
		r->sink.event(&rec->event, r->sink.arg);
	if (!r->snapshot)
		return;
	decide_fast(r->decide, r->snapshot, &rec->event, &r->plan);
	do_plan(r, &rec->did);
}

static void run_again(struct replay *r, const struct record *rec)
{
	take_snapshot(r, rec);
	r->now_ns = rec->id;
	if (!r->snapshot)
		return;
	decide_tick(r->decide, r->snapshot, &r->findings, &r->plan);
	do_plan(r, &rec->did);
}

static void run_hand(struct replay *r, const struct record *rec)
{
	bool approve = rec->kind == RECORD_APPROVE;
	struct replay_line *l;
	int err;

	if (is_what_if(r))
		return;
	err = approve ? decide_approve(r->decide, rec->id, rec->now_ns)
		      : decide_undo(r->decide, rec->id, rec->now_ns);
	r->now_ns = rec->now_ns;
	l = compare_add(&r->compare, REPLAY_NOTE, r->now_ns);
	if (l)
		snprintf(l->text, sizeof(l->text), "%s %llu%s%s",
			 approve ? "approve" : "undo by hand", (unsigned long long)rec->id,
			 err ? " -> " : "", err ? error_name(err) : "");
}

static void run_mode(struct replay *r, const struct record *rec)
{
	if (!is_what_if(r))
		decide_set_mode(r->decide, rec->mode, rec->id, rec->until_ns, rec->now_ns);
}

static void run_observe(struct replay *r, const struct record *rec)
{
	if (!is_what_if(r))
		decide_observe(r->decide);
}

static void run_gone(struct replay *r, const struct record *rec)
{
	struct gone *g = &r->gone[r->next_gone++ % GONE_KEPT];

	g->id = rec->name ? rec->id : 0;
	str_copy(g->name, sizeof(g->name), rec->name ? rec->name : "");
	decide_zone_gone(r->decide, rec->id);
}

static void run_result(struct replay *r, const struct record *rec)
{
	r->result[rec->result_is_undo][rec->knob] = rec->result;
}

static void run_can_apply(struct replay *r, const struct record *rec)
{
	if (!is_what_if(r))
		decide_can_apply(r->decide, rec->can_apply);
}

static void run_missed(struct replay *r, const struct record *rec)
{
	struct replay_line *l = compare_add(&r->compare, REPLAY_GAP, rec->now_ns);

	r->tally.missed += rec->id;
	if (l)
		snprintf(l->text, sizeof(l->text),
			 "%llu lines are missing: the recorder was too slow. From here on things "
			 "may differ",
			 (unsigned long long)rec->id);
}

static void run_end(struct replay *r, const struct record *rec)
{
	r->tally.ended = true;
}

static const struct {
	void (*run)(struct replay *r, const struct record *rec);
	bool compares; /* czd told what it did on such lines */
} kinds[] = {
    [RECORD_SNAPSHOT] = {run_snapshot, true},
    [RECORD_EVENT] = {run_event, true},
    [RECORD_MODE] = {run_mode, false},
    [RECORD_APPROVE] = {run_hand, false},
    [RECORD_UNDO] = {run_hand, false},
    [RECORD_GONE] = {run_gone, false},
    [RECORD_RESULT] = {run_result, false},
    [RECORD_HEAD] = {NULL, false},
    [RECORD_AGAIN] = {run_again, true},
    [RECORD_OBSERVE] = {run_observe, false},
    [RECORD_CAN_APPLY] = {run_can_apply, false},
    [RECORD_MISSED] = {run_missed, false},
    [RECORD_END] = {run_end, false},
};

int replay_record(struct replay *r, const struct record *rec)
{
	bool compares = kinds[rec->kind].compares;
	int err;

	if (rec->kind == RECORD_HEAD)
		return r->detect ? 0 : run_head(r, rec);
	err = begin(r, NULL);
	if (err)
		return err;
	kinds[rec->kind].run(r, rec);
	tell_actions(r);
	if (r->now_ns > r->tally.last_ns)
		r->tally.last_ns = r->now_ns;
	if (compares || !r->tally.has_head)
		compare_tell(&r->compare, r->tally.has_head ? &rec->did : NULL, r->now_ns, &r->sink,
			     &r->tally);
	return 0;
}

void replay_end(struct replay *r)
{
	compare_tell(&r->compare, NULL, r->now_ns, &r->sink, &r->tally);
}
