/* SPDX-License-Identifier: MIT */
/* Verbs that change: what is protected, what is allowed, and what is undone. */
#include <stdio.h>
#include <string.h>
#include "actuate/zone-make.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/api.h"
#include "daemon/shape.h"

#define TRY_MIN_NS 1000000000ull
#define TRY_MAX_NS (24ull * 3600 * 1000000000)

/* Take the consequences of a class change in, and give the zone's new row back; kept: why the
 * change is not on disk, code 0 if it is. */
static json_t *row_again(const struct api_call *c, uint64_t id, const struct error *kept,
			 struct error *reterr)
{
	const struct zone *z;
	json_t *row;

	if (publish_fresh(c->d) < 0)
		return NULL;
	z = zones_by_id(c->d->zones, id);
	if (!z) {
		error_set(reterr, -ENOENT, "the zone is gone");
		return NULL;
	}
	row = shape_zone(c->d, &c->d->snap.zones[z->index]);
	if (kept->code)
		json_object_set_new(row, "not_kept", shape_text(kept->msg));
	return row;
}

static int class_args(const struct api_call *c, enum zone_class default_class,
		      enum zone_class *ret_class, struct slo *ret_slo, bool *ret_has_slo,
		      struct error *reterr)
{
	const char *class_text, *slo_text;

	if (arg_text(c, "class", &class_text, reterr) < 0 ||
	    arg_text(c, "slo", &slo_text, reterr) < 0)
		return -EINVAL;
	*ret_class = default_class;
	*ret_slo = (struct slo){0};
	*ret_has_slo = slo_text && slo_text[0];
	if (class_text && zone_class_parse(class_text, ret_class) < 0) {
		error_set(reterr, -EINVAL, "class '%s' is not known", class_text);
		error_hint(reterr, "lc, normal or be");
		return -EINVAL;
	}
	if (*ret_has_slo && !class_text)
		*ret_class = CLASS_LC;
	if (*ret_has_slo && *ret_class != CLASS_LC)
		return error_set(reterr, -EINVAL, "a goal is for class lc, not %s",
				 zone_class_name(*ret_class));
	return *ret_has_slo ? slo_parse(slo_text, ret_slo, reterr) : 0;
}

json_t *api_protect(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	const struct zone_view *v = arg_zone(c, reterr);
	enum zone_class class;
	struct error kept = {0};
	struct slo slo;
	bool has_slo;
	uint64_t id;

	if (!v || class_args(c, CLASS_LC, &class, &slo, &has_slo, reterr) < 0)
		return NULL;
	if (!strcmp(v->path, "/")) {
		error_set(reterr, -EPERM, "the root holds everything: it has no class of its own");
		error_hint(reterr, "protect a zone in it: czctl list --all");
		return NULL;
	}
	if (!has_slo)
		slo = v->slo; /* protecting again without a goal keeps the goal */
	if (class == CLASS_BE && v->off_limits) {
		error_set(reterr, -EPERM, "%s cannot be best effort: %s", v->name,
			  v->off_limits_why);
		return NULL;
	}
	if (class == CLASS_LC && !victims_get(&d->victims, v->id) &&
	    d->victims.nr == LEDGER_VICTIMS_MAX) {
		error_set(reterr, -ENOSPC, "%d zones are protected already, which is the most",
			  LEDGER_VICTIMS_MAX);
		error_hint(reterr, "czctl unprotect one, or protect a common parent");
		return NULL;
	}
	id = v->id;
	if (zones_set_class(d->zones, id, class, &slo) < 0) {
		error_set(reterr, -ENOENT, "the zone is gone");
		return NULL;
	}
	if (desired_put(&d->desired, v->path, class, &slo, false, &kept) < 0)
		log_warn("%s", kept.msg);
	events_add(&d->events, clock_real_ns(), EVENT_ZONE, v->name, 0, "%s is now %s", v->name,
		   zone_class_name(class));
	return row_again(c, id, &kept, reterr);
}

/* A zone that is gone: what is kept for the next one at that path. NULL with reterr as it is: there
 * is nothing of that name either. */
static json_t *unprotect_gone(const struct api_call *c, struct error *reterr)
{
	const char *name = json_string_value(json_object_get(c->args, "zone"));
	struct desired *ds = &c->d->desired;
	struct desired_zone *z;
	char path[ZONE_PATH_MAX], shown[ZONE_NAME_MAX];
	enum zone_kind kind;
	json_t *row;
	int r = desired_find(ds, name, &z);

	if (r == -ENOTUNIQ) {
		error_set(reterr, r, "several zones that are not there are called '%.80s'", name);
		error_hint(reterr, "Use the path: czctl list --all");
	}
	if (r < 0 || !str_copy(path, sizeof(path), z->path))
		return NULL;
	row = json_pack("{s:o,s:o,s:s,s:b,s:b}", "name",
			shape_text(zone_friendly_name(path, shown, sizeof(shown), &kind)), "path",
			shape_text(path), "class", zone_class_name(CLASS_NORMAL), "gone", true,
			"was_set", true);
	r = desired_remove(ds, path);
	if (r < 0)
		json_object_set_new(row, "not_kept", shape_text(strerror(-r)));
	return row;
}

json_t *api_unprotect(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	const struct zone_view *v = arg_zone(c, reterr);
	const struct desired_zone *want = v ? desired_get(&d->desired, v->path) : NULL;
	bool was_set = want && !(want->made && want->class == CLASS_NORMAL);
	struct error kept = {0};
	json_t *row;
	uint64_t id;
	int r = 0;

	if (!v)
		return reterr->code == -ENOENT ? unprotect_gone(c, reterr) : NULL;
	id = v->id;
	/* What czd made stays czd's to remove. */
	if (!want || !want->made)
		r = desired_remove(&d->desired, v->path);
	else if (desired_put(&d->desired, v->path, CLASS_NORMAL, NULL, true, &kept) < 0)
		log_warn("%s", kept.msg);
	if (r < 0 && r != -ENOENT) {
		error_errno(&kept, r, "keep on disk that %s is not protected", v->path);
		log_warn("%s", kept.msg);
	}
	if (zones_clear_class(d->zones, id) < 0) {
		error_set(reterr, -ENOENT, "the zone is gone");
		return NULL;
	}
	row = row_again(c, id, &kept, reterr);
	if (row)
		json_object_set_new(row, "was_set", json_boolean(was_set));
	return row;
}

/* One component, and not the group that holds what `czctl create` made. */
static bool run_name_valid(const char *name, struct error *reterr)
{
	if (zone_name_valid(name) && strcmp(name, "zones"))
		return true;
	error_set(reterr, -EINVAL, "'%.80s' is not a name for a zone of run", name);
	error_hint(reterr, "1 to 64 of letters, digits and ._@:-, no dot first; not 'zones'");
	return false;
}

json_t *api_run(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	struct zone_make_options o = {0};
	const char *name;
	enum zone_class class;
	struct error kept = {0};
	struct slo slo;
	bool has_slo;
	uint64_t id;
	char path[ZONE_PATH_MAX];
	int r;

	if (arg_text(c, "name", &name, reterr) < 0 || arg_text(c, "cpus", &o.cpus, reterr) < 0 ||
	    class_args(c, CLASS_NORMAL, &class, &slo, &has_slo, reterr) < 0)
		return NULL;
	if (!name) {
		error_set(reterr, -EINVAL, "argument 'name' is missing");
		return NULL;
	}
	if (!run_name_valid(name, reterr))
		return NULL;
	if (d->kernel.captured) {
		error_set(reterr, -EROFS, "a captured tree cannot run anything");
		return NULL;
	}
	if (!peer_lives(c->peer)) {
		error_set(reterr, -ESRCH, "the process that asked is gone");
		return NULL;
	}
	snprintf(path, sizeof(path), "/cz-%s", name);
	made_remove_empty(d, path);
	made_prepare(d);
	r = zone_make(&d->fs, path, &o, &id, reterr);
	if (r < 0) {
		if (r == -EEXIST)
			error_hint(reterr, "Something is in it: choose another --name, or join it "
					   "(czctl exec)");
		return NULL;
	}
	/* Known before anything runs in it, so that it has its class from the first instant. */
	if (desired_put(&d->desired, path, class, &slo, true, &kept) < 0)
		log_warn("%s", kept.msg);
	pipeline_zones(d);
	r = zone_attach_pid(&d->fs, path, c->peer->pid, reterr);
	if (r < 0) {
		desired_remove(&d->desired, path);
		if (zone_remove(&d->fs, path) < 0)
			log_warn("zone %s could not be removed again", path);
		return NULL;
	}
	return json_pack("{s:s,s:I,s:s,s:o}", "path", path, "id", (json_int_t)id, "name", name,
			 "not_kept", kept.code ? shape_text(kept.msg) : json_null());
}

/* The zone argument, when given: a protected one and its id, else NULL and 0 (all). */
static int optional_victim(const struct api_call *c, const struct zone_view **ret, uint64_t *ret_id,
			   struct error *reterr)
{
	const struct zone_view *v;
	const char *name;

	*ret = NULL;
	*ret_id = 0;
	if (arg_text(c, "zone", &name, reterr) < 0)
		return -EINVAL;
	if (!name)
		return 0;
	v = arg_zone(c, reterr);
	if (!v)
		return -ENOENT;
	if (v->class != CLASS_LC || !v->class_is_own) {
		error_set(reterr, -EINVAL, "%s is not protected, so nothing is enforced for it",
			  v->name);
		error_hint(reterr, "czctl protect %s", v->name);
		return -EINVAL;
	}
	*ret = v;
	*ret_id = v->id;
	return 0;
}

/* Why nothing would come of it, asked anew: a full run directory or another czd may be over. */
static int may_enforce(struct daemon *d, struct error *reterr)
{
	const char *why = "";

	if (d->actuator && !actuator_can_apply(d->actuator, NULL) &&
	    actuator_retry(d->actuator, NULL) == 0)
		log_notice("the journal can be written again: enforcing is possible");
	if (d->actuator && turn_take(d, NULL) < 0)
		log_debug("%s", d->turn_why.msg);
	return turn_can_apply(d, &why)
		   ? 0
		   : error_set(reterr, -EROFS, "nothing can be enforced: %s", why);
}

/* After a change of policy the next plan is due now, not at the next tick. */
static void act_now(struct daemon *d)
{
	turn_look(d);
	decide_tick(d->decide, &d->snap, &d->findings, &d->plan);
	enforce_plan(d, &d->plan);
	enforce_announce(d);
	recorder_again(d);
	watch_ledger_arm(d);
}

json_t *api_try(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	const struct zone_view *v;
	uint64_t victim_id, for_ns, until_ns, now_ns = clock_mono_ns();
	enum guard_mode then;

	if (optional_victim(c, &v, &victim_id, reterr) < 0 ||
	    arg_u64(c, "for_ns", &for_ns, reterr) < 0)
		return NULL;
	if (for_ns < TRY_MIN_NS || for_ns > TRY_MAX_NS) {
		error_set(reterr, -EINVAL, "a trial takes from 1 s to 24 h");
		return NULL;
	}
	if (may_enforce(d, reterr) < 0)
		return NULL;
	until_ns = now_ns + for_ns;
	decide_set_mode(d->decide, MODE_ENFORCE, victim_id, until_ns, now_ns);
	recorder_mode(d, MODE_ENFORCE, victim_id, until_ns, now_ns);
	then = decide_mode(d->decide, victim_id, until_ns, NULL);
	events_add(&d->events, clock_real_ns(), EVENT_MODE, v ? v->name : NULL, 0,
		   "enforcing%s%s for a limited time", v ? " for " : "", v ? v->name : "");
	act_now(d);
	return json_pack("{s:I,s:I,s:s,s:I}", "until_ns", (json_int_t)until_ns, "for_ns",
			 (json_int_t)for_ns, "then", guard_mode_name(then), "protected",
			 (json_int_t)d->victims.nr);
}

json_t *api_mode(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	const struct zone_view *v;
	uint64_t victim_id, now_ns = clock_mono_ns();
	const char *text;
	enum guard_mode mode;

	if (optional_victim(c, &v, &victim_id, reterr) < 0 ||
	    arg_text(c, "mode", &text, reterr) < 0)
		return NULL;
	if (text) {
		if (!c->peer->may_change) {
			error_set(reterr, -EPERM,
				  "the mode may be set only by root and group cz-admin");
			return NULL;
		}
		if (guard_mode_parse(text, &mode) < 0) {
			error_set(reterr, -EINVAL, "mode '%s' is not known", text);
			error_hint(reterr, "observe or enforce");
			return NULL;
		}
		decide_set_mode(d->decide, mode, victim_id, 0, now_ns);
		recorder_mode(d, mode, victim_id, 0, now_ns);
		events_add(&d->events, clock_real_ns(), EVENT_MODE, v ? v->name : NULL, 0,
			   "mode is now %s%s%s", text, v ? " for " : "", v ? v->name : "");
		act_now(d);
	}
	return shape_mode(d, victim_id);
}

static const struct action *action_by_seq(const struct daemon *d, uint64_t seq)
{
	const struct action *a;
	size_t n = decide_actions(d->decide, &a);

	for (size_t i = 0; i < n; i++) {
		if (a[i].seq == seq)
			return &a[i];
	}
	return NULL;
}

json_t *api_approve(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	const struct action *a;
	uint64_t seq, now_ns;
	int r;

	if (arg_u64(c, "seq", &seq, reterr) < 0 || may_enforce(d, reterr) < 0)
		return NULL;
	now_ns = clock_mono_ns();
	r = decide_approve(d->decide, seq, now_ns);
	recorder_hand(d, "approve", seq, now_ns);
	if (r < 0) {
		error_set(reterr, r,
			  r == -ENOENT ? "there is no action %llu"
				       : "action %llu is not a proposal (any more)",
			  (unsigned long long)seq);
		error_hint(reterr, "czctl actions shows what is proposed");
		return NULL;
	}
	act_now(d);
	a = action_by_seq(d, seq);
	if (a && a->state == ACTION_EXPIRED) {
		error_set(reterr, -ESTALE, "action %llu was not done: %s", (unsigned long long)seq,
			  a->ended);
		error_hint(reterr, "czctl actions shows what is proposed");
		return NULL;
	}
	return a ? shape_action(d, a) : json_object();
}

struct tally {
	int restored, gone, hands_off, failed;
};

static void count_undone(struct tally *t, const struct action *a)
{
	switch (a->state) {
	case ACTION_REVERTED:
		t->restored++;
		break;
	case ACTION_LOST:
		t->hands_off++;
		break;
	default:
		t->failed++;
	}
}

json_t *api_undo(const struct api_call *c, struct error *reterr)
{
	struct daemon *d = c->d;
	uint64_t seq, open[256], now_ns = clock_mono_ns();
	size_t n, nr_open = 0;
	const struct action *a;
	struct tally t = {0};
	bool observes_now;
	int r;

	if (arg_u64(c, "seq", &seq, reterr) < 0)
		return NULL;
	observes_now = !seq && decide_enforces(d->decide, now_ns);
	n = decide_actions(d->decide, &a);
	for (size_t i = 0; i < n && nr_open < 256; i++) {
		if ((!seq || a[i].seq == seq) &&
		    (a[i].state == ACTION_APPLIED || a[i].state == ACTION_KEPT))
			open[nr_open++] = a[i].seq;
	}
	if (!seq) {
		decide_observe(d->decide);
		recorder_hand(d, "observe", 0, now_ns);
	}
	if (observes_now)
		events_add(&d->events, clock_real_ns(), EVENT_MODE, NULL, 0,
			   "mode is now observe: everything is undone by hand");
	r = decide_undo(d->decide, seq, now_ns);
	recorder_hand(d, "undo", seq, now_ns);
	if (r < 0 && seq) {
		error_set(reterr, r,
			  r == -ENOENT ? "there is no action %llu" : "action %llu is not in force",
			  (unsigned long long)seq);
		error_hint(reterr, "czctl actions shows what is");
		return NULL;
	}
	/* A plan holds so many steps only; what fails is planned again, but not for ever. */
	for (size_t left = nr_open / STEPS_MAX + 1; left > 0; left--) {
		act_now(d);
		if (d->plan.nr < STEPS_MAX)
			break;
	}
	for (size_t i = 0; i < nr_open; i++) {
		a = action_by_seq(d, open[i]);
		if (a)
			count_undone(&t, a);
	}
	return json_pack("{s:i,s:i,s:i,s:i,s:b}", "restored", t.restored, "gone", t.gone,
			 "hands_off", t.hands_off, "failed", t.failed, "observes_now",
			 observes_now);
}
