/* SPDX-License-Identifier: MIT */
#include "daemon/recorder.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "daemon/daemon.h"

static void add_unless_empty(json_t *line, const char *key, json_t *list)
{
	if (json_array_size(list))
		json_object_set(line, key, list);
	json_decref(list);
}

static void add_news(struct daemon *d, json_t *line)
{
	json_t *findings = json_array(), *actions = json_array();
	uint32_t at[NEWS_MAX];
	const struct action *a;
	size_t nr, nr_actions = decide_actions(d->decide, &a);

	nr = news_findings(&d->recorder.news, d->findings.items, d->findings.nr, at);
	for (size_t i = 0; i < nr; i++)
		json_array_append_new(findings, record_finding_json(&d->findings.items[at[i]]));
	nr = news_actions(&d->recorder.news, a, nr_actions, at);
	for (size_t i = 0; i < nr; i++)
		json_array_append_new(actions, record_action_json(&a[at[i]]));
	add_unless_empty(line, "findings", findings);
	add_unless_empty(line, "actions", actions);
}

/* What was done since the line before; taken along once. */
static json_t *take_did(struct daemon *d)
{
	struct recorder *r = &d->recorder;
	json_t *did = json_object();

	if (r->steps)
		json_object_set_new(did, "steps", r->steps);
	if (r->foreign)
		json_object_set_new(did, "foreign", r->foreign);
	r->steps = r->foreign = NULL;
	add_news(d, did);
	return did;
}

static void drop_client(struct recorder *r, size_t i)
{
	r->clients[i] = r->clients[--r->nr];
	if (r->nr)
		return;
	recorder_done(r);
}

/* A line, made for each client by what it has. */
struct message {
	json_t *(*make)(struct daemon *d, const struct record_had *had, const void *arg);
	const void *arg;
	json_t *did;	 /* added to it; NULL: nothing */
	bool needs_tree; /* can only be understood by who has the tree; tells how it changed */
	bool is_tick;	 /* may be a whole tree */
};

/* A client that missed lines is told so before a whole tree: it can make nothing of others. */
static bool may_follow(struct daemon *d, struct recorder_client *c, const struct message *m)
{
	json_t *line;
	int r;

	if (c->had.whole && !c->missed && m->needs_tree && !m->is_tick)
		return false; /* its recording has not begun */
	if (!c->missed)
		return true;
	if (!m->is_tick) {
		c->missed++;
		return false;
	}
	line = json_pack("{s:I,s:I}", "missed", (json_int_t)c->missed, "now",
			 (json_int_t)clock_mono_ns());
	r = line ? server_tell(d->server, c->client, c->request_id, line) : -ENOMEM;
	json_decref(line);
	c->missed = r < 0 ? c->missed + 1 : 0;
	return r == 0;
}

/* False: the client left. */
static bool tell(struct daemon *d, struct recorder_client *c, const struct message *m)
{
	json_t *line = m->make(d, &c->had, m->arg);
	int r = -ENOMEM;

	if (line && (!m->did || json_object_update(line, m->did) == 0))
		r = server_tell(d->server, c->client, c->request_id, line);
	json_decref(line);
	if (r == 0 && m->needs_tree) {
		c->had = (struct record_had){.tree_seq = d->tree_seq};
	} else if (r < 0) {
		c->missed++;
		c->had.whole = true;
	}
	return r != -ENOENT;
}

static void tell_all(struct daemon *d, const struct message *m)
{
	struct recorder *r = &d->recorder;

	for (size_t i = r->nr; i-- > 0;) {
		if (may_follow(d, &r->clients[i], m) && !tell(d, &r->clients[i], m))
			drop_client(r, i);
	}
	json_decref(m->did);
}

static json_t *make_tick(struct daemon *d, const struct record_had *had, const void *arg)
{
	struct recorder *r = &d->recorder;
	json_t *line = record_tick_json(&d->snap, had);

	if (!had->whole && !cpuset_equal(&r->online, &d->snap.cpus.online))
		record_add_cpus(line, &d->snap.cpus);
	record_add_host(line, &d->snap, had->whole ? NULL : &r->host);
	return line;
}

void recorder_tick(struct daemon *d)
{
	struct recorder *r = &d->recorder;

	if (!r->nr)
		return;
	tell_all(d, &(struct message){make_tick, NULL, take_did(d), true, true});
	r->online = d->snap.cpus.online;
	r->host.valid = d->snap.host_valid;
	memcpy(r->host.value, d->snap.host_value, sizeof(r->host.value));
}

static json_t *make_fast(struct daemon *d, const struct record_had *had, const void *arg)
{
	json_t *line = record_event_json(arg);

	record_add_tree(line, &d->snap, had);
	return line;
}

void recorder_fast(struct daemon *d, const struct fast_event *e)
{
	if (d->recorder.nr)
		tell_all(d, &(struct message){make_fast, e, take_did(d), true, false});
}

static json_t *make_again(struct daemon *d, const struct record_had *had, const void *arg)
{
	json_t *line = json_pack("{s:I}", "again", (json_int_t)clock_mono_ns());

	record_add_tree(line, &d->snap, had);
	return line;
}

void recorder_again(struct daemon *d)
{
	if (d->recorder.nr)
		tell_all(d, &(struct message){make_again, NULL, take_did(d), true, false});
}

static json_t *make_copy(struct daemon *d, const struct record_had *had, const void *arg)
{
	return json_copy((json_t *)arg);
}

/* Takes line. */
static void tell_line(struct daemon *d, json_t *line)
{
	if (line)
		tell_all(d, &(struct message){make_copy, line, NULL, false, false});
	json_decref(line);
}

void recorder_gone(struct daemon *d, uint64_t zone_id, const char *name)
{
	if (d->recorder.nr)
		tell_line(d, json_pack("{s:I,s:o}", "gone", (json_int_t)zone_id, "name",
				       record_text_json(name)));
}

void recorder_mode(struct daemon *d, enum guard_mode mode, uint64_t victim_id, uint64_t until_ns,
		   uint64_t now_ns)
{
	d->recorder.can_apply |= mode == MODE_ENFORCE; /* decide takes it so */
	if (d->recorder.nr)
		tell_line(d, json_pack("{s:s,s:I,s:I,s:I}", "mode", guard_mode_name(mode), "victim",
				       (json_int_t)victim_id, "until", (json_int_t)until_ns, "now",
				       (json_int_t)now_ns));
}

void recorder_hand(struct daemon *d, const char *what, uint64_t n, uint64_t now_ns)
{
	if (d->recorder.nr)
		tell_line(d,
			  json_pack("{s:I,s:I}", what, (json_int_t)n, "now", (json_int_t)now_ns));
}

void recorder_can_apply(struct daemon *d, bool can)
{
	if (!d->recorder.nr || can == d->recorder.can_apply)
		return;
	d->recorder.can_apply = can;
	tell_line(d, json_pack("{s:b}", "can_apply", can));
}

static void append(json_t **list, json_t *item)
{
	if (!*list)
		*list = json_array();
	json_array_append_new(*list, item);
}

void recorder_step(struct daemon *d, const struct action *a, enum step_kind kind, int err,
		   const char *from, uint64_t written_ns)
{
	struct record_step s = {.seq = a->seq,
				.target_id = a->target_id,
				.written_ns = written_ns,
				.is_undo = kind == STEP_UNDO,
				.knob = a->knob,
				.result = err};

	if (!d->recorder.nr)
		return;
	d->recorder.can_apply &= err != -EROFS; /* decide takes it so */
	str_copy(s.from, sizeof(s.from), from ? from : "");
	append(&d->recorder.steps, record_step_json(&s));
}

void recorder_foreign(struct daemon *d, uint64_t seq)
{
	if (d->recorder.nr)
		append(&d->recorder.foreign, json_integer((json_int_t)seq));
}

static void add_standing(struct daemon *d, json_t *head)
{
	json_t *findings = json_array(), *actions = json_array();
	const struct action *a;
	size_t nr = decide_actions(d->decide, &a);

	for (size_t i = 0; i < d->findings.nr; i++) {
		if (d->findings.items[i].open)
			json_array_append_new(findings, record_finding_json(&d->findings.items[i]));
	}
	for (size_t i = 0; i < nr; i++) {
		if (a[i].state == ACTION_APPLIED || a[i].state == ACTION_KEPT)
			json_array_append_new(actions, record_action_json(&a[i]));
	}
	json_object_set_new(head, "findings", findings);
	json_object_set_new(head, "actions", actions);
}

static void fill_modes(const struct daemon *d, struct record_head *h, uint64_t now_ns)
{
	struct mode_trial trials[RECORD_MODES_MAX];
	struct own_mode own[RECORD_MODES_MAX];
	size_t nr = decide_own_modes(d->decide, own, RECORD_MODES_MAX);

	for (size_t i = 0; i < nr; i++)
		h->modes[h->nr_modes++] =
		    (struct record_mode){.mode = own[i].mode, .victim_id = own[i].victim_id};
	nr = decide_trials(d->decide, now_ns, trials, RECORD_MODES_MAX - h->nr_modes);
	for (size_t i = 0; i < nr; i++)
		h->modes[h->nr_modes++] =
		    (struct record_mode){MODE_ENFORCE, trials[i].victim_id, trials[i].until_ns};
}

static json_t *head(struct daemon *d)
{
	_cleanup_free_ struct learned *learned = NULL;
	uint64_t now_ns = clock_mono_ns();
	struct record_head h = {.now_ns = now_ns,
				.real_ns = clock_real_ns(),
				.finding_seq = detect_last_seq(d->detect),
				.action_seq = decide_next_seq(d->decide),
				.config = d->cfg};

	str_copy(h.czd, sizeof(h.czd), CZ_VERSION);
	h.config.guard.mode = decide_mode(d->decide, 0, UINT64_MAX, NULL); /* no trial's */
	fill_modes(d, &h, now_ns);
	learned = calloc(LEDGER_VICTIMS_MAX, sizeof(*learned));
	if (learned)
		h.nr_learned = detect_learned(d->detect, learned, LEDGER_VICTIMS_MAX);
	h.learned = learned;
	return record_head_json(&h);
}

json_t *recorder_start(struct daemon *d, uint64_t client, int64_t request_id, struct error *reterr)
{
	struct recorder *r = &d->recorder;
	json_t *line;

	for (size_t i = r->nr; i-- > 0;) {
		if (!server_has(d->server, r->clients[i].client))
			drop_client(r, i);
	}
	if (r->nr == RECORDERS_MAX) {
		error_set(reterr, -EBUSY, "%d clients record already", RECORDERS_MAX);
		return NULL;
	}
	if (!r->nr) { /* what stands already is no news */
		json_decref(take_did(d));
		r->can_apply = true;
	}
	line = head(d);
	if (!line)
		return NULL;
	add_standing(d, line);
	r->clients[r->nr++] =
	    (struct recorder_client){.client = client, .request_id = request_id, .had.whole = true};
	return line;
}

void recorder_done(struct recorder *r)
{
	json_decref(r->steps);
	json_decref(r->foreign);
	*r = (struct recorder){0};
}
