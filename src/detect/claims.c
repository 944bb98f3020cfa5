/* SPDX-License-Identifier: MIT */
/*
 * What zones hold of memory, and what is usual for them: a mean of about a minute that stands still
 * while somebody is hurt, so that growth is measured from before the harm. Small zones are passed
 * over: they push nobody out.
 */
#include <stdlib.h>
#include "detect/stall.h"

#define CLAIM_MIN_BYTES (4ull << 20)
#define TAU_NS		60000000000ull
#define CHURN_TAU_NS	8000000000ull
#define NEW_NS		30000000000ull
#define FIRST_RUNS	12 /* until every zone has been read */
#define FORGET_EVERY	64
#define PAGE_BYTES	4096
#define AT_LIMIT_PPM	900000

static bool known(const struct zone_view *z, enum zone_metric m)
{
	return z->valid & METRIC_BIT(m);
}

static uint64_t grown_by(const struct zone_view *z, enum zone_metric m)
{
	return z->delta_valid & METRIC_BIT(m) ? z->delta[m] : 0;
}

/* A zone that is new has all its memory from now; an old one that is read first has always had it.
 */
static uint64_t usual_at_first(const struct stalls *st, const struct snapshot *s,
			       const struct zone_view *z)
{
	bool at_start = st->runs <= FIRST_RUNS && z->first_seen_ns <= st->start_ns;

	if (at_start)
		return z->value[ZM_MEM_BYTES];
	return s->now_ns - z->first_seen_ns <= NEW_NS ? 0 : CLAIM_MIN_BYTES;
}

/* Pages taken from it by reclaim while it goes on: it allocates as much again. On v1 reclaim is not
 * told by zone; what it reads into a page cache comes closest. Zones are not all read equally
 * often: no more counts than of CHURN_TAU_NS. */
static uint64_t churned(const struct zone_view *z)
{
	uint64_t read;

	if (known(z, ZM_MEM_RECLAIMED_PAGES))
		return part_of_span(grown_by(z, ZM_MEM_RECLAIMED_PAGES) * PAGE_BYTES,
				    z->memory_span_ns, CHURN_TAU_NS);
	read = part_of_span(grown_by(z, ZM_IO_READ_BYTES), z->io_span_ns, CHURN_TAU_NS);
	return known(z, ZM_MEM_FILE_BYTES) && read < z->value[ZM_MEM_FILE_BYTES] ? read
	       : known(z, ZM_MEM_FILE_BYTES) ? z->value[ZM_MEM_FILE_BYTES]
					     : 0;
}

static uint64_t toward(uint64_t old, uint64_t x, uint64_t window_ns, uint64_t tau_ns)
{
	uint64_t weight = share_ppm(window_ns, tau_ns + window_ns);
	unsigned __int128 sum =
	    (unsigned __int128)old * (PPM - weight) + (unsigned __int128)x * weight;

	return (uint64_t)(sum / PPM);
}

static int claim_update(struct stalls *st, const struct snapshot *s, const struct zone_view *z)
{
	struct claim *c = hash_get(&st->claims, z->id);

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c || hash_put(&st->claims, z->id, c) < 0) {
			free(c);
			return -ENOMEM;
		}
		c->id = z->id;
		c->usual = usual_at_first(st, s, z) * CLAIM_SCALE;
	}
	c->bytes = z->value[ZM_MEM_BYTES];
	c->seen = st->runs;
	if (!st->frozen || c->bytes * CLAIM_SCALE < c->usual)
		c->usual = toward(c->usual, c->bytes * CLAIM_SCALE, s->window_ns, TAU_NS);
	c->churn = toward(c->churn, 0, s->window_ns, CHURN_TAU_NS) + churned(z);
	return 0;
}

/* Some of them; how many. */
static size_t forget_some(struct stalls *st)
{
	uint64_t gone[256];
	size_t nr = 0, forgotten;

	hash_for_each(&st->claims, e) {
		const struct claim *c = e->value;

		if (c->seen != st->runs && nr < sizeof(gone) / sizeof(gone[0]))
			gone[nr++] = c->id;
	}
	forgotten = nr;
	while (nr)
		free(hash_remove(&st->claims, gone[--nr]));
	return forgotten;
}

static int reserve(struct stalls *st, size_t nr)
{
	size_t cap = nr + nr / 4 + 64;
	void *p;

	if (nr <= st->cap)
		return 0;
	p = realloc(st->totals, cap * sizeof(*st->totals));
	if (!p)
		return -ENOMEM;
	st->totals = p;
	p = realloc(st->below, cap * sizeof(*st->below));
	if (!p)
		return -ENOMEM;
	st->below = p;
	st->cap = cap;
	return 0;
}

int stalls_update(struct stalls *st, const struct snapshot *s)
{
	int r = reserve(st, s->nr_zones);

	if (!st->runs++)
		st->start_ns = s->now_ns;
	for (size_t i = 1; i < s->nr_zones && r >= 0; i++)
		if (known(&s->zones[i], ZM_MEM_BYTES) &&
		    s->zones[i].value[ZM_MEM_BYTES] >= CLAIM_MIN_BYTES)
			r = claim_update(st, s, &s->zones[i]);
	while (st->runs % FORGET_EVERY == 0 && forget_some(st))
		;
	return r;
}

void stalls_done(struct stalls *st)
{
	hash_for_each(&st->claims, e)
		free(e->value);
	hash_done(&st->claims);
	free(st->totals);
	free(st->below);
	*st = (struct stalls){0};
}

const struct claim *claim_of(const struct stalls *st, const struct snapshot *s, uint32_t zone)
{
	const struct claim *c = hash_get(&st->claims, s->zones[zone].id);

	return c && c->seen == st->runs ? c : NULL;
}

uint64_t claim_grown(const struct claim *c)
{
	uint64_t usual = c->usual / CLAIM_SCALE;

	return c->bytes > usual ? c->bytes - usual : 0;
}

bool zone_is_limited(const struct zone_view *z)
{
	return known(z, ZM_MEM_LIMIT_BYTES) ||
	       (known(z, ZM_MEM_HIGH_EVENTS) && known(z, ZM_MEM_HIGH_BYTES));
}

bool zone_at_limit(const struct zone_view *z)
{
	uint64_t bytes = z->value[ZM_MEM_BYTES];

	if (!known(z, ZM_MEM_BYTES))
		return false;
	if (known(z, ZM_MEM_LIMIT_BYTES) &&
	    share_ppm(bytes, z->value[ZM_MEM_LIMIT_BYTES]) >= AT_LIMIT_PPM)
		return true;
	/* v1's soft limit is none: nothing is throttled at it, and it counts no events */
	return known(z, ZM_MEM_HIGH_EVENTS) && known(z, ZM_MEM_HIGH_BYTES) &&
	       share_ppm(bytes, z->value[ZM_MEM_HIGH_BYTES]) >= AT_LIMIT_PPM;
}
