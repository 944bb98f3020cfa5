/* SPDX-License-Identifier: MIT */
/* What czd did on a line of a recording: there, and back. */
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "model/record-internal.h"
#include "model/record-live.h"

static const char *cause_text(int c)
{
	return cause_name((enum cause)c);
}

static const char *resource_text(int c)
{
	return resource_name((enum resource)c);
}

static const char *severity_text(int c)
{
	return severity_name((enum severity)c);
}

static const char *state_text(int c)
{
	return action_state_name((enum action_state)c);
}

static const char *outcome_text(int c)
{
	return outcome_name((enum outcome)c);
}

/* A text field that is one of a list; *ret stays 0 when the field is absent. */
static int get_one_of(const json_t *o, const char *key, const char *(*text)(int), int nr, int *ret,
		      struct error *reterr)
{
	const char *name = NULL;
	int err = record_get_text(o, key, 32, &name, reterr);

	*ret = 0;
	if (err || !name)
		return err;
	if (record_one_of(name, text, nr, ret) < 0)
		return error_set(reterr, -EINVAL, "'%s' cannot be '%s'", key, name);
	return 0;
}

static int read_culprit(const json_t *a, struct culprit *c, struct error *reterr)
{
	const char *name = json_string_value(json_array_get(a, 1));
	uint64_t share;

	*c = (struct culprit){.cpu = -1};
	if (record_item_u64(a, 0, INT64_MAX, &c->zone_id, reterr) < 0 || !name ||
	    record_item_u64(a, 2, UINT32_MAX, &share, reterr) < 0)
		return error_set(reterr, -EINVAL, "a culprit is not [id, name, share]");
	str_copy(c->name, sizeof(c->name), name);
	c->share_ppm = (uint32_t)share;
	return 0;
}

static int read_finding(const json_t *o, struct finding *f, struct error *reterr)
{
	const json_t *culprits = json_object_get(o, "culprits");
	int err, cause, resource, severity;

	*f = (struct finding){.open = json_is_true(json_object_get(o, "open"))};
	f->nr_culprits = json_array_size(culprits);
	if (f->nr_culprits > FINDING_CULPRITS_MAX)
		return error_set(reterr, -EINVAL, "more than %d culprits", FINDING_CULPRITS_MAX);
	for (size_t i = 0; i < f->nr_culprits; i++) {
		err = read_culprit(json_array_get(culprits, i), &f->culprits[i], reterr);
		if (err)
			return err;
	}
	if ((err = record_get_u64(o, "seq", &f->seq, reterr)) ||
	    (err = record_get_u64(o, "victim", &f->victim_id, reterr)) ||
	    (err = record_get_u64(o, "since", &f->since_ns, reterr)) ||
	    (err = record_get_u64(o, "last", &f->last_ns, reterr)) ||
	    (err = record_copy_text(o, "name", f->victim_name, sizeof(f->victim_name), reterr)) ||
	    (err = get_one_of(o, "cause", cause_text, CAUSE_NR, &cause, reterr)) ||
	    (err = get_one_of(o, "resource", resource_text, RESOURCE_UNKNOWN + 1, &resource,
			      reterr)) ||
	    (err = get_one_of(o, "severity", severity_text, SEVERITY_CRITICAL + 1, &severity,
			      reterr)))
		return err;
	f->cause = (enum cause)cause;
	f->resource = (enum resource)resource;
	f->severity = (enum severity)severity;
	return 0;
}

static int read_action(const json_t *o, struct action *a, struct error *reterr)
{
	const char *knob = "cpu.idle";
	int err, state, outcome;

	*a = (struct action){.fast = json_is_true(json_object_get(o, "fast"))};
	if ((err = record_get_u64(o, "seq", &a->seq, reterr)) ||
	    (err = record_get_u64(o, "victim", &a->victim_id, reterr)) ||
	    (err = record_get_u64(o, "target", &a->target_id, reterr)) ||
	    (err = record_get_u64(o, "written", &a->written_ns, reterr)) ||
	    (err = record_get_u64(o, "settled", &a->settled_ns, reterr)) ||
	    (err = record_copy_text(o, "victim_name", a->victim_name, sizeof(a->victim_name),
				    reterr)) ||
	    (err = record_copy_text(o, "target_name", a->target_name, sizeof(a->target_name),
				    reterr)) ||
	    (err = record_copy_text(o, "to", a->to, sizeof(a->to), reterr)) ||
	    (err = record_copy_text(o, "ended", a->ended, sizeof(a->ended), reterr)) ||
	    (err = record_get_text(o, "knob", 32, &knob, reterr)) ||
	    (err = get_one_of(o, "state", state_text, ACTION_EXPIRED + 1, &state, reterr)) ||
	    (err =
		 get_one_of(o, "outcome", outcome_text, OUTCOME_UNMEASURED + 1, &outcome, reterr)))
		return err;
	if (knob_parse(knob, &a->knob) < 0)
		return error_set(reterr, -EINVAL, "no such knob: '%s'", knob);
	a->state = (enum action_state)state;
	a->outcome = (enum outcome)outcome;
	return 0;
}

static int read_step(const json_t *a, struct record_step *s, struct error *reterr)
{
	const char *kind = json_string_value(json_array_get(a, 1));
	const char *knob = json_string_value(json_array_get(a, 2));
	const char *result = json_string_value(json_array_get(a, 4));
	const char *from = json_string_value(json_array_get(a, 6));

	*s = (struct record_step){.is_undo = kind && !strcmp(kind, "undo")};
	if (record_item_u64(a, 0, INT64_MAX, &s->seq, reterr) < 0 ||
	    record_item_u64(a, 3, INT64_MAX, &s->target_id, reterr) < 0 ||
	    record_item_u64(a, 5, INT64_MAX, &s->written_ns, reterr) < 0 || !knob ||
	    knob_parse(knob, &s->knob) < 0 || !result ||
	    record_errno_parse(result, &s->result) < 0 ||
	    !str_copy(s->from, sizeof(s->from), from ? from : ""))
		return error_set(reterr, -EINVAL,
				 "not [seq, kind, knob, target, result, time, from]");
	return 0;
}

static int list_of(const json_t *o, const char *key, const json_t **ret, size_t *ret_nr,
		   struct error *reterr)
{
	*ret = json_object_get(o, key);
	*ret_nr = json_array_size(*ret);
	if (*ret && (!json_is_array(*ret) || *ret_nr > RECORD_DID_MAX))
		return error_set(reterr, -EINVAL, "'%s' is not a list of at most %d", key,
				 RECORD_DID_MAX);
	return 0;
}

int record_read_did(struct record_reader *r, const json_t *o, struct record_did *ret,
		    struct error *reterr)
{
	const json_t *foreign, *steps, *findings, *actions;
	int err;

	*ret = (struct record_did){.foreign = r->did.foreign,
				   .steps = r->did.steps,
				   .findings = r->did.findings,
				   .actions = r->did.actions};
	if ((err = list_of(o, "foreign", &foreign, &ret->nr_foreign, reterr)) ||
	    (err = list_of(o, "steps", &steps, &ret->nr_steps, reterr)) ||
	    (err = list_of(o, "findings", &findings, &ret->nr_findings, reterr)) ||
	    (err = list_of(o, "actions", &actions, &ret->nr_actions, reterr)))
		return err;
	for (size_t i = 0; i < ret->nr_foreign && !err; i++)
		err = record_item_u64(foreign, i, INT64_MAX, &r->did.foreign[i], reterr);
	for (size_t i = 0; i < ret->nr_steps && !err; i++)
		err = read_step(json_array_get(steps, i), &r->did.steps[i], reterr);
	for (size_t i = 0; i < ret->nr_findings && !err; i++)
		err = read_finding(json_array_get(findings, i), &r->did.findings[i], reterr);
	for (size_t i = 0; i < ret->nr_actions && !err; i++)
		err = read_action(json_array_get(actions, i), &r->did.actions[i], reterr);
	return err;
}

json_t *record_step_json(const struct record_step *s)
{
	return json_pack("[I,s,s,I,s,I,s]", (json_int_t)s->seq, s->is_undo ? "undo" : "apply",
			 knob_name(s->knob), (json_int_t)s->target_id,
			 s->result ? error_name(s->result) : "OK", (json_int_t)s->written_ns,
			 s->from);
}

json_t *record_finding_json(const struct finding *f)
{
	json_t *culprits = json_array();

	for (size_t i = 0; i < f->nr_culprits; i++)
		json_array_append_new(culprits,
				      json_pack("[I,o,I]", (json_int_t)f->culprits[i].zone_id,
						record_text_json(f->culprits[i].name),
						(json_int_t)f->culprits[i].share_ppm));
	return json_pack("{s:I,s:b,s:I,s:o,s:s,s:s,s:s,s:I,s:I,s:o}", "seq", (json_int_t)f->seq,
			 "open", f->open, "victim", (json_int_t)f->victim_id, "name",
			 record_text_json(f->victim_name), "cause", cause_name(f->cause),
			 "resource", resource_name(f->resource), "severity",
			 severity_name(f->severity), "since", (json_int_t)f->since_ns, "last",
			 (json_int_t)f->last_ns, "culprits", culprits);
}

json_t *record_action_json(const struct action *a)
{
	return json_pack(
	    "{s:I,s:I,s:o,s:I,s:o,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:b}", "seq", (json_int_t)a->seq,
	    "victim", (json_int_t)a->victim_id, "victim_name", record_text_json(a->victim_name),
	    "target", (json_int_t)a->target_id, "target_name", record_text_json(a->target_name),
	    "knob", knob_name(a->knob), "to", a->to, "state", action_state_name(a->state),
	    "outcome", outcome_name(a->outcome), "ended", a->ended, "written",
	    (json_int_t)a->written_ns, "settled", (json_int_t)a->settled_ns, "fast", a->fast);
}
