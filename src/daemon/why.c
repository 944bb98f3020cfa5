/* SPDX-License-Identifier: MIT */
/* `why ZONE`: how long it waited, who ran meanwhile, what was done, what that changed. */
#include <string.h>
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"
#include "daemon/api.h"
#include "daemon/shape.h"
#include "detect/detect.h"
#include "daemon/zone-mgr.h"

/* Actions settled longer ago than this are history, not an answer. */
#define RECENT_NS (15ull * 60 * 1000000000)

struct why {
	const struct daemon *d;
	const struct zone_view *v;
	const struct ledger_view *w;
	const struct finding *f;
	uint64_t now_ns;
};

static uint64_t share_ppm(uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((__uint128_t)part * 1000000 / whole) : 0;
}

/* When czd last changed something for this zone that still holds; 0: nothing does. */
static uint64_t fixed_ns(const struct why *y)
{
	const struct action *a;
	size_t n = decide_actions(y->d->decide, &a);
	uint64_t latest = 0;

	for (size_t i = 0; i < n; i++) {
		if (a[i].victim_id == y->v->id && a[i].written_ns > latest &&
		    (a[i].state == ACTION_APPLIED || a[i].state == ACTION_KEPT))
			latest = a[i].written_ns;
	}
	return latest;
}

/* The last instant of harm. All that a window shows may be older than a fix in the midst of it. */
static uint64_t harm_end_ns(const struct why *y)
{
	uint64_t end = y->f->last_ns, fixed = fixed_ns(y);

	return fixed > y->f->since_ns && fixed < end && fixed + y->d->snap.window_ns >= end ? fixed
											    : end;
}

static bool harm_is_over(const struct why *y)
{
	return harm_end_ns(y) < y->d->snap.now_ns;
}

static const char *verdict(const struct why *y)
{
	if (y->v->class != CLASS_LC || !y->v->class_is_own)
		return "unprotected";
	return y->f && harm_is_over(y) ? "relieved" : protected_state(y->d, y->v, y->w);
}

static bool is_stall(const struct finding *f)
{
	return f && (f->resource == RESOURCE_MEMORY || f->resource == RESOURCE_IO);
}

/* Each figure with the time it is of. */
static void add_lately(const struct why *y, const char *over, struct strbuf *b)
{
	struct zone_stalls now;
	char share[64], window[24];

	if (!y->w || !y->w->window_ns)
		return;
	if (is_stall(y->f)) {
		if (zone_stalls(y->v, &now))
			strbuf_printf(
			    b, "%s the last %s it stalled %s for %s", over,
			    format_duration(y->d->snap.window_ns, window, sizeof(window)),
			    format_share(
				share_ppm(y->f->resource == RESOURCE_IO ? now.io_ns : now.memory_ns,
					  y->d->snap.window_ns),
				share, sizeof(share)),
			    resource_name(y->f->resource));
		return;
	}
	strbuf_printf(
	    b, "%s the last %s it waited %s for a CPU", over,
	    format_duration(y->w->window_ns, window, sizeof(window)),
	    format_share(share_ppm(y->w->wait_ns, y->w->window_ns), share, sizeof(share)));
}

static void headline_hurt(const struct why *y, struct strbuf *b)
{
	const struct finding *f = y->f;
	char words[FINDING_WORDS_MAX], ago[24];

	strbuf_printf(b, "%s: %s. It began %s ago", finding_words(f, false, words, sizeof(words)),
		      f->why, format_duration(y->now_ns - f->since_ns, ago, sizeof(ago)));
	add_lately(y, "; over", b);
	if (f->told[0])
		strbuf_printf(b, ". %s", f->told);
}

static void headline_relieved(const struct why *y, struct strbuf *b)
{
	const struct finding *f = y->f;
	uint64_t end_ns = harm_end_ns(y);
	char words[FINDING_WORDS_MAX], took[24], ago[24];

	strbuf_printf(b, "%s, for %s until %s ago: %s",
		      finding_words(f, true, words, sizeof(words)),
		      format_duration(end_ns - f->since_ns, took, sizeof(took)),
		      format_duration(y->now_ns - end_ns, ago, sizeof(ago)), f->why);
	add_lately(y, ". Over", b);
}

/* Why a p99 above the goal is not harm. */
static void add_excuse(const struct why *y, struct strbuf *b)
{
	const struct ledger_view *w = y->w;

	if (w->waits < WAITS_JUDGEABLE)
		strbuf_printf(b, ", but %llu wait%s say%s little: it takes %d",
			      (unsigned long long)w->waits, w->waits == 1 ? "" : "s",
			      w->waits == 1 ? "s" : "", WAITS_JUDGEABLE);
	else if (share_ppm(w->wait_ns, w->window_ns) < MATERIAL_PPM)
		strbuf_puts(b, ", but it hardly waited: below 0.2 % of the time is no harm");
	else
		strbuf_puts(b, ", but once is no harm: it takes two of three windows");
}

static void headline_fine(const struct why *y, struct strbuf *b)
{
	uint64_t goal_ns = y->v->slo.wait_p99_ns;
	char p99[24], goal[24];

	strbuf_printf(b, "%s is fine", y->v->name);
	add_lately(y, ". Over", b);
	if (y->w->waits)
		strbuf_printf(b, "; wait p99 %s",
			      y->w->wait_p99_ns
				  ? format_duration(y->w->wait_p99_ns, p99, sizeof(p99))
				  : "< 1 us");
	if (goal_ns)
		strbuf_printf(b, "%s its goal is %s", y->w->waits ? "," : ";",
			      format_duration(goal_ns, goal, sizeof(goal)));
	if (goal_ns && y->w->waits && y->w->wait_p99_ns > goal_ns)
		add_excuse(y, b);
}

static json_t *headline(const struct why *y, const char *what)
{
	struct strbuf b = {0};
	json_t *j;

	if (strcmp(what, "hurt") == 0)
		headline_hurt(y, &b);
	else if (strcmp(what, "relieved") == 0)
		headline_relieved(y, &b);
	else if (strcmp(what, "fine") == 0)
		headline_fine(y, &b);
	else if (strcmp(what, "learning") == 0)
		strbuf_printf(&b,
			      "%s is protected, and its first window is being measured: nothing "
			      "is known yet",
			      y->v->name);
	else if (strcmp(what, "unprotected") == 0)
		strbuf_printf(&b,
			      "%s is not protected, so nobody keeps a ledger of what it waits for",
			      y->v->name);
	else
		strbuf_printf(&b, "%s: its waiting is not known on this host", y->v->name);
	strbuf_puts(&b, ".");
	j = shape_string(b.data ? b.data : "");
	strbuf_done(&b);
	return j;
}

static void add_text(json_t *list, const char *fmt, ...) printf_like(2, 3);
static void add_text(json_t *list, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, shape_text(text));
}

/* What was looked at and ruled out; only with the evidence for it. */
static json_t *not_the_cause(const struct why *y)
{
	json_t *list = json_array();
	const struct zone_view *v = y->v;
	char share[24];

	if (is_stall(y->f)) {
		if (y->f->resource == RESOURCE_MEMORY && y->f->cause == CAUSE_NEIGHBOUR)
			add_text(list, "its own memory limit (%s)",
				 v->valid & METRIC_BIT(ZM_MEM_LIMIT_BYTES) ? "not reached"
									   : "it has none");
		return list;
	}
	if (!y->f || !y->w || y->w->estimated)
		return list;
	if (y->f->cause != CAUSE_THROTTLED && !y->w->cause_ns[CAUSE_THROTTLED])
		add_text(list, "its own quota (%s)", v->has_quota ? "not used up" : "it has none");
	if (y->f->cause != CAUSE_HOST && (y->d->snap.host_valid & METRIC_BIT(HM_STEAL_NS)))
		add_text(
		    list, "host steal (%s)",
		    format_ppm(share_ppm(y->d->snap.host_delta[HM_STEAL_NS], y->d->snap.window_ns),
			       share, sizeof(share)));
	if (y->f->cause != CAUSE_SELF && (v->delta_valid & METRIC_BIT(ZM_CPU_USAGE_NS)))
		add_text(list, "its own load (%.2f CPU, %s of its waiting)",
			 (double)v->delta[ZM_CPU_USAGE_NS] / (double)y->d->snap.window_ns,
			 format_ppm(share_ppm(y->w->cause_ns[CAUSE_SELF], y->w->wait_ns), share,
				    sizeof(share)));
	return list;
}

static bool is_recent(const struct why *y, const struct action *a)
{
	return !a->settled_ns || a->state == ACTION_KEPT || y->now_ns - a->settled_ns < RECENT_NS;
}

static json_t *actions_of(const struct why *y, json_t **ret_proposal)
{
	const struct action *a;
	size_t n = decide_actions(y->d->decide, &a);
	json_t *rows = json_array();

	*ret_proposal = NULL;
	for (size_t i = 0; i < n; i++) {
		if (a[i].victim_id != y->v->id)
			continue;
		if (a[i].state == ACTION_PROPOSED && !*ret_proposal)
			*ret_proposal = shape_action(y->d, &a[i]);
		else if (a[i].state != ACTION_PROPOSED && a[i].state != ACTION_EXPIRED &&
			 is_recent(y, &a[i]))
			json_array_append_new(rows, shape_action(y->d, &a[i]));
	}
	return rows;
}

/* Hurt in more than one way: the headline tells one. */
static void add_other_findings(const struct why *y, json_t *list)
{
	for (size_t i = 0; i < y->d->findings.nr; i++) {
		const struct finding *f = &y->d->findings.items[i];
		char words[FINDING_WORDS_MAX];

		if (f->open && f != y->f && f->victim_id == y->v->id)
			add_text(list, "also: %.100s: %.130s",
				 finding_words(f, false, words, sizeof(words)), f->why);
	}
}

static json_t *notes(const struct why *y)
{
	struct ledger_health h;
	json_t *list = json_array();
	const char *cannot, *held_back = decide_note(y->d->decide, y->v->id);

	add_other_findings(y, list);
	holders_note(y->d, y->v, y->f, list);
	if (y->f && held_back[0])
		add_text(list, "nothing (more) is done: %.200s", held_back);

	if (!y->d->ledger) {
		add_text(list, "nobody can be named: the wait ledger is off (%.150s)",
			 y->d->ledger_why_off);
		return list;
	}
	ledger_health(y->d->ledger, &h);
	if (!h.irq_split)
		add_text(list, "interrupts are not split off on this kernel: they count to whoever "
			       "was interrupted");
	if (h.events_lost_total)
		add_text(list,
			 "%llu fast events were lost (ring buffer full); the ledger itself loses "
			 "nothing by that",
			 (unsigned long long)h.events_lost_total);
	if (y->d->actuator && !turn_can_apply(y->d, &cannot))
		add_text(list, "nothing can be enforced: %.150s", cannot);
	return list;
}

/* As a word for the shell: quoted where it would be cut or read as something else. */
static void add_word(struct strbuf *b, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-:@+,";

	if (s[0] && !s[strspn(s, plain)]) {
		strbuf_puts(b, s);
		return;
	}
	strbuf_puts(b, "'");
	for (; *s; s++) {
		if (*s == '\'')
			strbuf_puts(b, "'\\''");
		else
			strbuf_add(b, s, 1);
	}
	strbuf_puts(b, "'");
}

static json_t *next_command(const struct why *y, const char *what, bool proposal, bool acted)
{
	bool unprotected = strcmp(what, "unprotected") == 0;
	struct strbuf b = {0};
	json_t *j;

	if (!unprotected && !proposal && acted)
		return json_string("czctl actions");
	if (unprotected && !strcmp(y->v->path, "/")) /* it cannot be */
		return json_string("czctl list --all");
	strbuf_puts(&b, unprotected ? "czctl protect "
			: proposal  ? "czctl try --for 10m "
				    : "czctl inspect ");
	add_word(&b, y->v->name);
	if (unprotected)
		strbuf_puts(&b, " --slo wait.p99=500us");
	j = shape_string(b.data ? b.data : "");
	strbuf_done(&b);
	return j;
}

static const struct zone_view *view_of(const struct daemon *d, const char *path)
{
	const struct zone *z = zones_by_path(d->zones, path);

	return z ? &d->snap.zones[z->index] : NULL;
}

json_t *api_why(const struct api_call *c, struct error *reterr)
{
	struct why y = {.d = c->d, .now_ns = clock_mono_ns()};
	const struct zone_app_stats *app;
	const struct applied *applied =
	    zone_why_of(c->d->zones_mgr, json_string_value(json_object_get(c->args, "zone")), &app);
	json_t *actions, *proposal, *answer;
	const char *what;
	uint64_t until_ns = 0;
	enum guard_mode mode;

	if (applied && !view_of(c->d, zone_watched_path(applied)))
		error_set(reterr, -ENOENT, "zone %s is not measured yet", applied->name);
	y.v = applied ? view_of(c->d, zone_watched_path(applied)) : arg_zone(c, reterr);
	if (!y.v)
		return NULL;
	y.w = snapshot_ledger(&y.d->snap, (uint32_t)(y.v - y.d->snap.zones));
	y.f = open_finding(y.d, y.v->id);
	what = verdict(&y);
	mode = decide_mode(y.d->decide, y.v->id, y.now_ns, &until_ns);
	actions = actions_of(&y, &proposal);
	answer = json_pack(
	    "{s:o,s:s,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "zone", shape_zone(y.d, y.v),
	    "verdict", what, "headline", headline(&y, what), "mode", guard_mode_name(mode),
	    "until_ns", shape_known(until_ns, until_ns), "finding",
	    y.f ? shape_finding(y.d, y.f) : json_null(), "ledger", shape_ledger(y.d, y.w),
	    "not_the_cause", not_the_cause(&y), "next",
	    next_command(&y, what, proposal != NULL, json_array_size(actions) > 0), "actions",
	    actions, "proposal", proposal ? proposal : json_null(), "notes", notes(&y));
	if (applied && answer)
		zone_why(applied, app, y.w, answer);
	return answer;
}
