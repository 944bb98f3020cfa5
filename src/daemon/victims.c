/* SPDX-License-Identifier: MIT */
#include "daemon/victims.h"

#include <stdlib.h>
#include <string.h>

int victims_init(struct victims *v)
{
	*v = (struct victims){0};
	v->scratch = calloc(LEDGER_PARTS_MAX, sizeof(*v->scratch));
	return v->scratch ? 0 : -ENOMEM;
}

static void victim_free(struct victim *vi)
{
	free(vi->cells);
	free(vi->feed);
	free(vi->parts);
	free(vi);
}

void victims_done(struct victims *v)
{
	for (size_t i = 0; i < v->nr; i++)
		victim_free(v->items[i]);
	free(v->scratch);
	*v = (struct victims){0};
}

struct victim *victims_get(const struct victims *v, uint64_t zone_id)
{
	for (size_t i = 0; i < v->nr; i++) {
		if (v->items[i]->zone_id == zone_id)
			return v->items[i];
	}
	return NULL;
}

static void bind(struct victim *vi, struct ledger *l)
{
	int r = l ? ledger_protect(l, vi->zone_id, 0) : -EOPNOTSUPP;

	vi->in_ledger = r == 0 || r == -EEXIST;
	vi->armed_ns = 0;
	vi->primed = false;
	vi->nr_cells = 0;
}

int victims_add(struct victims *v, struct ledger *l, uint64_t zone_id, uint64_t fast_threshold_ns)
{
	struct victim *vi = victims_get(v, zone_id);

	if (!vi) {
		if (v->nr == LEDGER_VICTIMS_MAX)
			return -ENOSPC;
		vi = calloc(1, sizeof(*vi));
		if (!vi)
			return -ENOMEM;
		vi->cells = calloc(LEDGER_PARTS_MAX, sizeof(*vi->cells));
		vi->parts = calloc(LEDGER_PARTS_MAX + CAUSE_NR, sizeof(*vi->parts));
		if (!vi->cells || !vi->parts) {
			victim_free(vi);
			return -ENOMEM;
		}
		vi->zone_id = zone_id;
		v->items[v->nr++] = vi;
	} else if (vi->fast_threshold_ns == fast_threshold_ns) {
		return 0;
	}
	vi->fast_threshold_ns = fast_threshold_ns;
	bind(vi, l);
	return 0;
}

void victim_arm(struct victim *vi, struct ledger *l, bool on)
{
	uint64_t want_ns = on ? vi->fast_threshold_ns : 0;

	if (!l || !vi->in_ledger || vi->armed_ns == want_ns)
		return;
	if (ledger_protect(l, vi->zone_id, want_ns) == -EEXIST)
		vi->armed_ns = want_ns;
}

void victims_remove(struct victims *v, struct ledger *l, uint64_t zone_id)
{
	for (size_t i = 0; i < v->nr; i++) {
		if (v->items[i]->zone_id != zone_id)
			continue;
		if (l && v->items[i]->in_ledger)
			ledger_unprotect(l, zone_id);
		victim_free(v->items[i]);
		v->items[i] = v->items[--v->nr];
		return;
	}
}

void victims_rebind(struct victims *v, struct ledger *l)
{
	for (size_t i = 0; i < v->nr; i++)
		bind(v->items[i], l);
}

static int by_culprit(const void *a, const void *b)
{
	const struct ledger_cell *x = a, *y = b;

	return x->culprit_id < y->culprit_id ? -1 : x->culprit_id > y->culprit_id;
}

static int by_ns_desc(const void *a, const void *b)
{
	const struct ledger_part *x = a, *y = b;

	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

/* A total that fell means that its slot was given to somebody else: it starts anew. */
static uint64_t growth(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static uint64_t before_ns(const struct victim *vi, uint64_t culprit_id)
{
	struct ledger_cell key = {.culprit_id = culprit_id};
	const struct ledger_cell *c =
	    bsearch(&key, vi->cells, vi->nr_cells, sizeof(key), by_culprit);

	return c ? c->ns : 0;
}

/* Causes other than neighbour become parts; neighbours come from the cells. The sum is the wait. */
static void fill_parts(struct victim *vi, const struct ledger_totals *t,
		       const struct ledger_cell *cells)
{
	struct ledger_view *w = &vi->view;
	size_t n = 0;

	for (size_t i = 0; i < t->nr_parts; i++) {
		uint64_t ns = growth(cells[i].ns, before_ns(vi, cells[i].culprit_id));
		struct ledger_part *p = &vi->parts[n];

		if (!ns)
			continue;
		*p = (struct ledger_part){.cause = CAUSE_NEIGHBOUR,
					  .culprit_id = cells[i].culprit_id,
					  .zone = NO_ZONE,
					  .ns = ns,
					  .pid = cells[i].pid,
					  .cpu = cells[i].cpu};
		memcpy(p->comm, cells[i].comm, sizeof(p->comm));
		w->cause_ns[CAUSE_NEIGHBOUR] += ns;
		n++;
	}
	for (int c = 0; c < CAUSE_NR; c++) {
		if (c != CAUSE_NEIGHBOUR)
			w->cause_ns[c] = growth(t->cause_ns[c], vi->totals.cause_ns[c]);
		w->wait_ns += w->cause_ns[c];
		if (c != CAUSE_NEIGHBOUR && w->cause_ns[c])
			vi->parts[n++] = (struct ledger_part){
			    .cause = c, .zone = NO_ZONE, .ns = w->cause_ns[c], .cpu = -1};
	}
	qsort(vi->parts, n, sizeof(*vi->parts), by_ns_desc);
	w->parts = vi->parts;
	w->nr_parts = n;
}

uint64_t wait_p99_at_any_time(const uint64_t counts[LEDGER_BUCKETS], uint64_t window_ns)
{
	uint64_t allowed_ns = window_ns / 100, sum_ns = 0, n = 0;

	/* F(x) = sum of (wait - x) over the waits longer than x, taken from the longest down. */
	for (unsigned int b = LEDGER_BUCKETS; b-- > 0;) {
		uint64_t value = ledger_bucket_ns(b);

		if (sum_ns > n * value + allowed_ns)
			break;
		sum_ns += counts[b] * value;
		n += counts[b];
	}
	return sum_ns > allowed_ns ? (sum_ns - allowed_ns) / n : 0;
}

static void fill_waits(struct victim *vi, const uint64_t totals[LEDGER_BUCKETS])
{
	struct ledger_view *w = &vi->view;
	uint64_t counts[LEDGER_BUCKETS], seen = 0, at_any_time;

	for (unsigned int b = 0; b < LEDGER_BUCKETS; b++) {
		counts[b] = growth(totals[b], vi->counts[b]);
		w->waits += counts[b];
	}
	for (unsigned int b = 0; b < LEDGER_BUCKETS && seen < w->waits; b++) {
		uint64_t value = ledger_bucket_ns(b);

		if (!counts[b])
			continue;
		if (seen * 2 < w->waits && (seen + counts[b]) * 2 >= w->waits)
			w->wait_p50_ns = value;
		if (seen * 100 < w->waits * 99 && (seen + counts[b]) * 100 >= w->waits * 99)
			w->wait_p99_ns = value;
		w->wait_max_ns = value;
		seen += counts[b];
	}
	at_any_time = wait_p99_at_any_time(counts, w->window_ns);
	if (at_any_time > w->wait_p99_ns)
		w->wait_p99_ns = at_any_time;
}

static void read_ledger(struct victims *v, struct victim *vi, struct ledger *l)
{
	uint64_t counts[LEDGER_BUCKETS] = {0};
	struct ledger_totals t;

	if (ledger_read(l, vi->zone_id, &t, v->scratch, LEDGER_PARTS_MAX) < 0 ||
	    ledger_hist(l, vi->zone_id, counts) < 0) {
		vi->primed = false;
		vi->view.window_ns = 0;
		return;
	}
	qsort(v->scratch, t.nr_parts, sizeof(*v->scratch), by_culprit);
	if (vi->primed) {
		fill_parts(vi, &t, v->scratch);
		fill_waits(vi, counts);
	} else {
		vi->view.window_ns = 0;
	}
	memcpy(vi->cells, v->scratch, t.nr_parts * sizeof(*v->scratch));
	vi->nr_cells = t.nr_parts;
	vi->totals = t;
	memcpy(vi->counts, counts, sizeof(counts));
	vi->primed = true;
}

void victim_read(struct victims *v, struct victim *vi, struct ledger *l, uint64_t window_ns,
		 uint64_t run_delay_ns)
{
	vi->view = (struct ledger_view){.zone = NO_ZONE, .window_ns = window_ns};
	if (l && vi->in_ledger) {
		read_ledger(v, vi, l);
	} else if (run_delay_ns != UINT64_MAX) {
		vi->view.estimated = true;
		vi->view.wait_ns = vi->view.cause_ns[CAUSE_UNKNOWN] = run_delay_ns;
		vi->parts[0] = (struct ledger_part){
		    .cause = CAUSE_UNKNOWN, .zone = NO_ZONE, .ns = run_delay_ns, .cpu = -1};
		vi->view.parts = vi->parts;
		vi->view.nr_parts = run_delay_ns ? 1 : 0;
	} else {
		vi->view.estimated = true;
	}
	if (vi->feed && vi->feed->total) {
		vi->view.feed_count = vi->feed->total;
		vi->view.feed_p50_ns = hist_quantile(vi->feed, 500000);
		vi->view.feed_p99_ns = hist_quantile(vi->feed, 990000);
		hist_init(vi->feed);
	}
}

int victim_feed(struct victim *vi, uint64_t latency_ns, uint64_t count)
{
	if (!vi->feed) {
		vi->feed = malloc(sizeof(*vi->feed));
		if (!vi->feed)
			return -ENOMEM;
		hist_init(vi->feed);
	}
	hist_add_n(vi->feed, latency_ns, count);
	return 0;
}
