/* SPDX-License-Identifier: MIT */
#include "gate/history.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "gate/gate.h"

#define RETRY_NS     10000000000ull
#define REFRESH_NS   60000000000ull /* open findings and actions are looked at again */
#define CAUSE_METRIC "ledger_%s_ns"

/* Of protected zones, besides their metrics; gauges are of the window, as the ledger has them. */
#define LEDGER_GAUGES(X)                                                                           \
	X(WAIT_P50, "wait_p50_ns")                                                                 \
	X(WAIT_P99, "wait_p99_ns")                                                                 \
	X(WAIT_MAX, "wait_max_ns")                                                                 \
	X(FEED_P99, "feed_p99_ns")
#define X(id, name) GAUGE_##id,
enum ledger_gauge { LEDGER_GAUGES(X) GAUGE_NR };
#undef X
#define X(id, name) name,
static const char *const gauge_names[] = {LEDGER_GAUGES(X)};
#undef X

struct total { /* of one part of a victim's waiting */
	uint64_t ns, tick;
};

struct history {
	struct gate *gate;
	struct store *store; /* NULL: could not be opened */
	struct error why;    /* what is wrong; code 0: nothing */
	uint64_t retry_ns, refresh_ns;
	char boot[64];
	bool have_metrics;
	uint32_t zone_metric[ZM_NR], host_metric[HM_NR], cause_metric[CAUSE_NR];
	uint32_t gauge_metric[GAUGE_NR], wait_metric;
	uint64_t run, now_ns, window_ns, t_ms, tick; /* of the snapshot at hand */
	struct hash totals;			     /* see total_key() -> struct total */
	bool any_open;
};

void history_prepare(const char *path, const char *user)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!pw || !slash || slash == dir || !strcmp(path, "none"))
		return;
	*slash = 0;
	if (mkdir(dir, 0750) < 0)
		return; /* it is there, or opening will say what is wrong */
	if (lchown(dir, pw->pw_uid, pw->pw_gid) < 0)
		log_warn("history: folder %s for user %s: %s", dir, user, strerror(errno));
}

/* Said once, until it is another. */
static void trouble(struct history *h, const struct error *e)
{
	if (e->code != h->why.code)
		log_warn("%s; cz-gate goes on without%s%s", e->msg, e->hint[0] ? ". " : "",
			 e->hint);
	h->why = *e;
}

static void well_again(struct history *h)
{
	if (h->why.code)
		log_notice("history is kept again");
	h->why = (struct error){0};
}

static void open_store(struct history *h)
{
	const struct gate_options *o = h->gate->opt;
	struct store_options opt = {.path = o->history,
				    .max_bytes = o->history_bytes,
				    .max_age_ms = o->history_age_ns / 1000000};
	struct error e = {0};

	h->retry_ns = clock_mono_ns() + RETRY_NS;
	h->have_metrics = false;
	if (store_open(&opt, &h->store, &e) < 0)
		trouble(h, &e);
	else if (e.msg[0])
		log_warn("%s", e.msg);
}

static void read_boot(char *buf, size_t size)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

int history_new(struct gate *g, struct history **ret)
{
	struct history *h;

	*ret = NULL;
	if (!strcmp(g->opt->history, "none"))
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->gate = g;
	read_boot(h->boot, sizeof(h->boot));
	open_store(h);
	*ret = h;
	return 0;
}

static void forget_totals(struct history *h)
{
	hash_for_each(&h->totals, e)
		free(e->value);
	hash_done(&h->totals);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	store_close(h->store);
	forget_totals(h);
	free(h);
}

struct store *history_store(struct history *h, const char **ret_why)
{
	*ret_why = !h		   ? "cz-gate keeps no history (--history none)"
		   : h->store	   ? NULL
		   : h->why.msg[0] ? h->why.msg
				   : "history is not open";
	return h ? h->store : NULL;
}

/* Counters are kept as what they grow by in a second. */
static uint64_t per_second(const struct history *h, uint64_t growth)
{
	return (uint64_t)((__uint128_t)growth * 1000000000 / h->window_ns);
}

static int name_metric(struct history *h, const char *name, const char *unit, bool counter,
		       uint32_t *ret, struct error *reterr)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%s", unit, counter ? "/s" : "");
	return store_metric(h->store, name, text, ret, reterr);
}

static int name_metrics(struct history *h, struct error *reterr)
{
	int r = name_metric(h, "wait_ns_total", "ns", true, &h->wait_metric, reterr);

	for (int m = 0; m < ZM_NR && r == 0; m++)
		r = name_metric(h, zone_metrics[m].name, zone_metrics[m].unit,
				zone_metrics[m].kind == METRIC_COUNTER, &h->zone_metric[m], reterr);
	for (int m = 0; m < HM_NR && r == 0; m++)
		r = name_metric(h, host_metrics[m].name, host_metrics[m].unit,
				host_metrics[m].kind == METRIC_COUNTER, &h->host_metric[m], reterr);
	for (int g = 0; g < GAUGE_NR && r == 0; g++)
		r = name_metric(h, gauge_names[g], "ns", false, &h->gauge_metric[g], reterr);
	for (int c = 0; c < CAUSE_NR && r == 0; c++) {
		char name[64];

		snprintf(name, sizeof(name), CAUSE_METRIC, cause_name(c));
		r = name_metric(h, name, "ns", true, &h->cause_metric[c], reterr);
	}
	h->have_metrics = r == 0;
	return r;
}

/* A zone is written down anew when what people call it, or its class, has changed. */
static uint32_t revision_of(const char *path, const char *name, const char *kind, const char *class)
{
	uint64_t x = hash_string(path) ^ hash_u64(hash_string(name)) ^
		     hash_u64(hash_string(class) + 1) ^ hash_u64(hash_string(kind) + 2);

	return (uint32_t)(x ^ x >> 32) | 1;
}

static int ref_of(struct history *h, uint64_t id, const char *path, const char *name,
		  const char *kind, const char *class, uint32_t *ret, struct error *reterr)
{
	struct store_identity who = {h->boot, id, path, name, kind, class};
	uint32_t revision = revision_of(path, name, kind, class);

	*ret = store_known(h->store, id, revision);
	return *ret ? 0 : store_zone(h->store, &who, revision, h->t_ms, ret, reterr);
}

static int zone_ref(struct history *h, const struct view_zone *z, uint32_t *ret,
		    struct error *reterr)
{
	return ref_of(h, z->id, z->path, z->name, zone_kind_name(z->kind),
		      zone_class_name(z->class), ret, reterr);
}

static int add(struct history *h, uint32_t zone, uint32_t metric, uint32_t peer, uint64_t value,
	       struct error *reterr)
{
	int r = store_sample(h->store, zone, metric, peer, value);

	return r < 0 ? error_errno(reterr, r, "history: this tick") : 0;
}

/* Idle zones cost nothing: what did not move is not written, unless it is protected. */
static bool is_worth_it(const struct view_zone *z)
{
	if (z->class == CLASS_LC && z->class_own)
		return true;
	for (int m = 0; m < ZM_NR; m++) {
		if ((z->delta_valid & METRIC_BIT(m)) && z->delta[m])
			return true;
	}
	return false;
}

static int add_zone(struct history *h, const struct view_zone *z, struct error *reterr)
{
	uint32_t ref;
	int r = zone_ref(h, z, &ref, reterr);

	for (int m = 0; m < ZM_NR && r == 0; m++) {
		bool counter = zone_metrics[m].kind == METRIC_COUNTER;

		if (!((counter ? z->delta_valid : z->valid) & METRIC_BIT(m)))
			continue;
		r = add(h, ref, h->zone_metric[m], 0,
			counter ? per_second(h, z->delta[m]) : z->value[m], reterr);
	}
	return r;
}

static int add_host(struct history *h, struct error *reterr)
{
	const struct view *v = &h->gate->view;
	uint32_t ref;
	int r = ref_of(h, 0, "", "host", "host", "normal", &ref, reterr);

	for (int m = 0; m < HM_NR && r == 0; m++) {
		bool counter = host_metrics[m].kind == METRIC_COUNTER;

		if (!((counter ? v->host_delta_valid : v->host_valid) & METRIC_BIT(m)))
			continue;
		r = add(h, ref, h->host_metric[m], 0,
			counter ? per_second(h, v->host_delta[m]) : v->host_value[m], reterr);
	}
	return r;
}

static uint64_t total_key(uint64_t victim, enum cause cause, uint64_t culprit)
{
	return hash_u64(victim) ^ hash_u64(culprit * CAUSE_NR + (uint64_t)cause + 1);
}

/* By how much a total has grown since the last snapshot. False: not known, it is new to us. */
static bool growth_of(struct history *h, uint64_t key, uint64_t ns, bool began_here, uint64_t *ret)
{
	struct total *t = hash_get(&h->totals, key);
	bool known = t || began_here;

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t || hash_put(&h->totals, key, t) < 0) {
			free(t);
			return false;
		}
	}
	/* a total that fell began anew */
	*ret = ns - (ns >= t->ns ? t->ns : 0);
	t->ns = ns;
	t->tick = h->tick;
	return known;
}

static uint64_t number(const json_t *o, const char *key)
{
	json_int_t i = json_integer_value(json_object_get(o, key));

	return i > 0 ? (uint64_t)i : 0;
}

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : otherwise;
}

struct victim {
	uint64_t id;
	uint32_t ref;
	bool known; /* its totals were seen before */
};

/* Whom it waited for. What is left of the neighbours' total is nobody's by name. */
static int add_pairs(struct history *h, const struct victim *vi, const json_t *pairs,
		     uint64_t *left_ns, struct error *reterr)
{
	const json_t *row;
	size_t i;

	json_array_foreach(pairs, i, row)
	{
		uint64_t id = number(row, "culprit"), ns;
		const struct view_zone *z = view_zone(&h->gate->view, id);
		uint32_t peer;
		int r;

		if (!growth_of(h, total_key(vi->id, CAUSE_NEIGHBOUR, id), number(row, "ns_total"),
			       vi->known, &ns) ||
		    !ns)
			continue;
		r = z ? zone_ref(h, z, &peer, reterr)
		      : ref_of(h, id, "", text_of(row, "name", "(gone)"), "cgroup",
			       text_of(row, "class", "normal"), &peer, reterr);
		if (r == 0)
			r = add(h, vi->ref, h->cause_metric[CAUSE_NEIGHBOUR], peer,
				per_second(h, ns), reterr);
		if (r < 0)
			return r;
		*left_ns -= ns < *left_ns ? ns : *left_ns;
	}
	return 0;
}

static int add_causes(struct history *h, struct victim *vi, const json_t *w, struct error *reterr)
{
	const json_t *totals = json_object_get(w, "cause_ns_total");
	uint64_t ns[CAUSE_NR], wait_ns = 0;
	bool known = true;
	int r = 0;

	vi->known = hash_get(&h->totals, total_key(vi->id, CAUSE_NEIGHBOUR, 0)) != NULL;
	for (int c = 0; c < CAUSE_NR; c++) {
		const json_t *total = json_object_get(totals, cause_name(c));

		known &= json_is_integer(total) &&
			 growth_of(h, total_key(vi->id, c, 0), (uint64_t)json_integer_value(total),
				   false, &ns[c]);
		wait_ns += known ? ns[c] : 0;
	}
	if (known)
		r = add(h, vi->ref, h->wait_metric, 0, per_second(h, wait_ns), reterr);
	if (r == 0)
		r = add_pairs(h, vi, json_object_get(w, "pairs"),
			      known ? &ns[CAUSE_NEIGHBOUR] : &wait_ns, reterr);
	for (int c = 0; c < CAUSE_NR && r == 0 && known; c++) {
		if (ns[c])
			r = add(h, vi->ref, h->cause_metric[c], 0, per_second(h, ns[c]), reterr);
	}
	return r;
}

static int add_ledger(struct history *h, const json_t *w, struct error *reterr)
{
	const struct view_zone *z = view_zone(&h->gate->view, number(w, "zone"));
	struct victim vi = {.id = z ? z->id : 0};
	int r = z ? zone_ref(h, z, &vi.ref, reterr) : 0;

	if (!z || r < 0)
		return r;
	for (int g = 0; g < GAUGE_NR && r == 0; g++) {
		const json_t *value = json_object_get(w, gauge_names[g]);

		if (json_is_integer(value))
			r = add(h, vi.ref, h->gauge_metric[g], 0,
				(uint64_t)json_integer_value(value), reterr);
	}
	return r < 0 ? r : add_causes(h, &vi, w, reterr);
}

/* Totals of zones that are gone. */
static void sweep_totals(struct history *h)
{
	uint64_t stale[256];
	size_t n = 0;

	hash_for_each(&h->totals, e) {
		const struct total *t = e->value;

		if (t->tick != h->tick && n < ARRAY_SIZE(stale))
			stale[n++] = e->key;
	}
	while (n)
		free(hash_remove(&h->totals, stale[--n]));
}

static int add_all(struct history *h, struct error *reterr)
{
	const struct view *v = &h->gate->view;
	const json_t *w;
	int r = h->have_metrics ? 0 : name_metrics(h, reterr);
	size_t i;

	if (r == 0)
		r = add_host(h, reterr);
	for (i = 0; i < v->nr_zones && r == 0; i++) {
		if (is_worth_it(&v->zones[i]))
			r = add_zone(h, &v->zones[i], reterr);
	}
	json_array_foreach(v->ledgers, i, w) r = r < 0 ? r : add_ledger(h, w, reterr);
	sweep_totals(h);
	return r;
}

static void ignore(json_t *data, const struct error *why, void *arg)
{
	history_rows(arg, data);
}

/* What is open goes on without any event. */
static void refresh(struct history *h)
{
	struct gate *g = h->gate;

	if (!h->any_open || h->now_ns < h->refresh_ns)
		return;
	h->refresh_ns = h->now_ns + REFRESH_NS;
	h->any_open = false;
	czd_call(g->watch, "findings", json_object(), ignore, h);
	czd_call(g->watch, "actions", json_object(), ignore, h);
}

static void keep(struct history *h)
{
	struct error e = {0};
	int r = add_all(h, &e);

	/* zones and metrics may be void: see store_commit() */
	h->have_metrics &= r == 0;
	/* what could be said is kept even where some of it could not be */
	if (r == 0 || r == -ENOMEM)
		r = store_commit(h->store, h->t_ms, &e);
	else if (store_commit(h->store, h->t_ms, NULL) == 0)
		r = 0;
	if (r < 0) {
		h->have_metrics = false;
		if (r == -EAGAIN)
			log_notice("%s", e.msg);
		else
			trouble(h, &e);
	} else {
		well_again(h);
	}
}

void history_snapshot(struct history *h)
{
	const struct view *v;
	uint64_t before_ns;

	if (!h)
		return;
	v = &h->gate->view;
	if (!v->known || v->run != h->run) {
		forget_totals(h);
		h->now_ns = 0;
	}
	h->run = v->run;
	before_ns = h->now_ns;
	h->now_ns = v->now_ns;
	if (!h->store && clock_mono_ns() >= h->retry_ns)
		open_store(h);
	if (!v->known || !h->store || !before_ns || v->now_ns <= before_ns)
		return;
	h->window_ns = v->now_ns - before_ns;
	h->t_ms = v->real_ns / 1000000;
	h->tick++;
	keep(h);
	refresh(h);
}

/* czd numbers anew in each of its runs. */
static uint64_t run_number(const struct history *h)
{
	return (hash_string(h->boot) ^ hash_u64(h->gate->view.run)) >> 1;
}

static void note(struct history *h, enum store_note_kind kind, const json_t *row, uint64_t t_ns,
		 uint64_t end_ns)
{
	_cleanup_free_ char *body = json_dumps(row, JSON_COMPACT);
	struct store_note n = {.kind = kind,
			       .run = run_number(h),
			       .seq = number(row, "seq"),
			       .t_ms = t_ns / 1000000,
			       .end_ms = (end_ns > t_ns ? end_ns : t_ns) / 1000000,
			       .body = body};
	struct error e = {0};

	if (body && h->store && store_note(h->store, &n, &e) < 0)
		trouble(h, &e);
}

void history_event(struct history *h, const json_t *event)
{
	uint64_t t_ns = number(event, "real_ns");

	if (h)
		note(h, NOTE_EVENT, event, t_ns, t_ns);
}

static uint64_t real_of(const struct history *h, uint64_t mono_ns)
{
	const struct view *v = &h->gate->view;

	return mono_ns ? v->real_ns - v->now_ns + mono_ns : 0;
}

static void finding(struct history *h, const json_t *row)
{
	bool open = json_is_true(json_object_get(row, "open"));

	h->any_open |= open;
	note(h, NOTE_FINDING, row, real_of(h, number(row, "since_ns")),
	     open ? h->gate->view.real_ns : real_of(h, number(row, "last_ns")));
}

static bool is_in_force(const json_t *row)
{
	const char *state = text_of(row, "state", "");

	return !strcmp(state, "proposed") || !strcmp(state, "applied") || !strcmp(state, "kept");
}

static void action(struct history *h, const json_t *row)
{
	uint64_t at_ns = number(row, "written_ns");
	bool open = is_in_force(row);

	h->any_open |= open;
	note(h, NOTE_ACTION, row, real_of(h, at_ns ? at_ns : number(row, "decided_ns")),
	     open ? h->gate->view.real_ns : real_of(h, number(row, "settled_ns")));
}

void history_rows(struct history *h, const json_t *data)
{
	const json_t *row;
	size_t i;

	if (!h || !data || !h->gate->view.known)
		return;
	json_array_foreach(json_object_get(data, "findings"), i, row) finding(h, row);
	json_array_foreach(json_object_get(data, "actions"), i, row) action(h, row);
}
