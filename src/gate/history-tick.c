/* SPDX-License-Identifier: MIT */
/* A snapshot as samples: zones, the host, the parts of waiting. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "gate/history-internal.h"

#define CAUSE_METRIC "ledger_%s_ns"

/* In the order of enum ledger_gauge. */
#define X(id, name) name,
static const char *const gauge_names[] = {LEDGER_GAUGES(X)};
#undef X

struct total { /* of one part of a victim's waiting */
	uint64_t ns, tick;
};

void history_forget_totals(struct history *h)
{
	hash_for_each(&h->totals, e)
		free(e->value);
	hash_done(&h->totals);
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
		uint64_t id = view_number(row, "culprit"), ns;
		const struct view_zone *z = view_zone(&h->gate->view, id);
		uint32_t peer;
		int r;

		if (!growth_of(h, total_key(vi->id, CAUSE_NEIGHBOUR, id),
			       view_number(row, "ns_total"), vi->known, &ns) ||
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
	const struct view_zone *z = view_zone(&h->gate->view, view_number(w, "zone"));
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

int history_add_tick(struct history *h, struct error *reterr)
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
