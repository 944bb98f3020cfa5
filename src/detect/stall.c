/* SPDX-License-Identifier: MIT */
/* Splitting a stall by what others took: the steps that memory and io share, and each one's own. */
#include <stdio.h>
#include <string.h>
#include "base/parse.h"
#include "base/str.h"
#include "detect/stall.h"

#define STALL_MIN_PPM	 5000	       /* of the time: less is not looked into */
#define HURT_PPM	 20000	       /* of the time, by others: what is usual is not learned */
#define CLAIMS_MIN_BYTES (4ull << 20)  /* together, or nobody is blamed */
#define CLAIMS_MIN_PART	 50	       /* and at least the 50th part of what is short */
#define CLAIM_NAMED_PART 10	       /* of all claims: smaller ones are not named */
#define HOST_LOW_PPM	 100000	       /* memory available on the host */
#define NET_MIN_BYTES	 (64ull << 10) /* others together in a second */

uint64_t stall_delta(const struct zone_view *z, enum zone_metric m)
{
	return z->delta_valid & METRIC_BIT(m) ? z->delta[m] : 0;
}

static void split_add(struct split *sp, uint64_t zone_id, uint64_t claim)
{
	size_t i = sp->nr < PARTS_KEPT ? sp->nr++ : PARTS_KEPT;

	sp->others += claim;
	if (i == PARTS_KEPT && sp->parts[--i].ns >= claim)
		return;
	for (; i && sp->parts[i - 1].ns < claim; i--)
		sp->parts[i] = sp->parts[i - 1];
	sp->parts[i] = (struct window_part){.zone_id = zone_id, .ns = claim, .cpu = -1};
}

void split_claims(struct stalls *st, const struct snapshot *s, uint32_t victim, uint32_t domain,
		  struct split *sp)
{
	*sp = (struct split){.self = st->totals[victim]};
	memset(st->below, 0, s->nr_zones * sizeof(*st->below));
	for (uint32_t i = (uint32_t)s->nr_zones; i-- > 1;) {
		uint64_t total = st->totals[i], below = st->below[i];
		uint32_t up = s->zones[i].parent;

		if (up < i)
			st->below[up] += total > below ? total : below;
		if (total > below && snapshot_is_below(s, i, domain) &&
		    !snapshot_is_below(s, i, victim) && !snapshot_is_below(s, victim, i))
			split_add(sp, s->zones[i].id, total - below);
	}
}

uint64_t stall_portion(uint64_t ns, uint64_t part, uint64_t whole)
{
	return (uint64_t)((unsigned __int128)ns * part / whole);
}

void split_stall(const struct split *sp, struct blame *b)
{
	uint64_t total = sp->self + sp->others;

	for (size_t i = 0; i < sp->nr && sp->parts[i].ns >= total / CLAIM_NAMED_PART; i++) {
		struct window_part *p = &b->parts[b->nr_parts++];

		*p = sp->parts[i];
		p->ns = stall_portion(b->wait_ns, p->ns, total);
		b->cause_ns[CAUSE_NEIGHBOUR] += p->ns;
	}
	b->cause_ns[CAUSE_SELF] = stall_portion(b->wait_ns, sp->self, total);
	b->cause_ns[CAUSE_UNKNOWN] =
	    b->wait_ns - b->cause_ns[CAUSE_NEIGHBOUR] - b->cause_ns[CAUSE_SELF];
}

void stall_all_to(struct blame *b, enum cause cause)
{
	b->cause_ns[cause] = b->wait_ns;
}

bool stall_begin(struct stall *st, uint64_t ns, uint64_t window_ns)
{
	st->known = true;
	st->blame.wait_ns = ns;
	if (share_ppm(ns, window_ns) >= STALL_MIN_PPM)
		return true;
	stall_all_to(&st->blame, CAUSE_UNKNOWN);
	return false;
}

/* Memory */

/* The nearest group above the victim that is full; 0, the root: none, so it is the host's memory.
 */
static uint32_t memory_domain(const struct snapshot *s, uint32_t victim)
{
	uint32_t up = s->zones[victim].parent;

	while (up < s->nr_zones && up && !zone_at_limit(&s->zones[up]))
		up = s->zones[up].parent;
	return up < s->nr_zones ? up : 0;
}

static uint64_t domain_bytes(const struct snapshot *s, uint32_t domain)
{
	if (domain)
		return s->zones[domain].value[ZM_MEM_BYTES];
	return s->host_valid & METRIC_BIT(HM_MEM_TOTAL_BYTES) ? s->host_value[HM_MEM_TOTAL_BYTES]
							      : 0;
}

/* Is a group full that it is in, below the domain? Then it churns for that group's sake. */
static bool is_held(const struct snapshot *s, uint32_t zone, uint32_t domain)
{
	uint32_t up = s->zones[zone].parent;

	while (up < s->nr_zones && up != domain && !zone_at_limit(&s->zones[up]))
		up = s->zones[up].parent;
	return up < s->nr_zones && up != domain;
}

/* The victim's churn is what the harm does to it: only its growth counts. */
static uint64_t memory_claim(const struct snapshot *s, const struct claim *c, uint32_t zone,
			     uint32_t victim, uint32_t domain)
{
	uint64_t claim = claim_grown(c);

	if (c->churn && zone != victim && !zone_is_limited(&s->zones[zone]) &&
	    !is_held(s, zone, domain))
		claim += c->churn;
	return claim < c->bytes ? claim : c->bytes; /* nobody pushes out more than it holds */
}

static void memory_totals(struct stalls *st, const struct snapshot *s, uint32_t victim,
			  uint32_t domain)
{
	for (uint32_t i = 0; i < s->nr_zones; i++) {
		const struct claim *c = claim_of(st, s, i);

		st->totals[i] = c ? memory_claim(s, c, i, victim, domain) : 0;
	}
}

static bool host_is_low(const struct snapshot *s)
{
	uint64_t both = METRIC_BIT(HM_MEM_TOTAL_BYTES) | METRIC_BIT(HM_MEM_AVAILABLE_BYTES);

	return (s->host_valid & both) == both &&
	       share_ppm(s->host_value[HM_MEM_AVAILABLE_BYTES], s->host_value[HM_MEM_TOTAL_BYTES]) <
		   HOST_LOW_PPM;
}

uint32_t stall_index_of(const struct snapshot *s, uint64_t id)
{
	const struct zone_view *z = snapshot_zone(s, id);

	return z ? (uint32_t)(z - s->zones) : 0;
}

static void tell_growth(const struct stalls *st, const struct snapshot *s, uint32_t zone,
			const char *who, uint32_t domain, struct stall *m)
{
	const struct claim *c = claim_of(st, s, zone);
	char a[32], b[32], d[32], e[32];

	if (!c)
		return;
	snprintf(m->told, sizeof(m->told), "%.64s holds %s, usually %s; reclaim took %s from it",
		 who, format_bytes(c->bytes, a, sizeof(a)),
		 format_bytes(c->usual / CLAIM_SCALE, b, sizeof(b)),
		 format_bytes(c->churn, d, sizeof(d)));
	if (domain)
		snprintf(m->told + strlen(m->told), sizeof(m->told) - strlen(m->told),
			 "; %.64s, which both are in, is full (%s)", s->zones[domain].name,
			 format_bytes(domain_bytes(s, domain), e, sizeof(e)));
}

static void own_limit(const struct zone_view *z, struct stall *m)
{
	char a[32];

	stall_all_to(&m->blame, CAUSE_SELF);
	snprintf(m->told, sizeof(m->told), "it holds %s: its own memory limit is reached",
		 format_bytes(z->value[ZM_MEM_BYTES], a, sizeof(a)));
}

static void memory_measure(struct stalls *st, const struct snapshot *s, uint32_t victim,
			   uint64_t stall_ns, struct window *win)
{
	const struct zone_view *z = &s->zones[victim];
	struct stall *m = &win->memory;
	struct split sp;
	uint32_t domain;
	uint64_t least;

	if (!stall_begin(m, stall_ns, s->window_ns))
		return;
	if (zone_at_limit(z)) {
		own_limit(z, m);
		return;
	}
	domain = memory_domain(s, victim);
	least = domain_bytes(s, domain) / CLAIMS_MIN_PART;
	memory_totals(st, s, victim, domain);
	split_claims(st, s, victim, domain, &sp);
	if (sp.self + sp.others >= (least > CLAIMS_MIN_BYTES ? least : CLAIMS_MIN_BYTES)) {
		uint32_t most =
		    sp.others > sp.self ? stall_index_of(s, sp.parts[0].zone_id) : victim;

		split_stall(&sp, &m->blame);
		tell_growth(st, s, most, most == victim ? "it" : s->zones[most].name, domain, m);
	} else if (!domain && host_is_low(s)) {
		stall_all_to(&m->blame, CAUSE_HOST);
		str_copy(m->told, sizeof(m->told), "the host is out of memory, and no zone grew");
	} else {
		stall_all_to(&m->blame, CAUSE_UNKNOWN);
		str_copy(m->told, sizeof(m->told), "no other zone grew or kept reclaim busy");
	}
}

/* Network */

static uint64_t sent_beside(const struct zone_view *z, const struct zone_view *victim)
{
	return strcmp(z->interface, victim->interface) ? 0 : stall_delta(z, ZM_NET_BYTES);
}

static void network_measure(struct stalls *st, const struct snapshot *s, uint32_t victim,
			    struct window *win)
{
	const struct zone_view *z = &s->zones[victim];
	struct stall *n = &win->network;
	struct split sp;
	uint32_t ppm;
	char a[32];

	if (!z->interface[0] || !zone_resent(z, &ppm) ||
	    !stall_begin(n, stall_portion(s->window_ns, ppm, PPM), s->window_ns))
		return;
	for (uint32_t i = 0; i < s->nr_zones; i++)
		st->totals[i] = sent_beside(&s->zones[i], z);
	split_claims(st, s, victim, 0, &sp);
	if (sp.others < NET_MIN_BYTES * (s->window_ns / 1000000) / 1000) {
		stall_all_to(&n->blame, CAUSE_UNKNOWN);
		snprintf(n->told, sizeof(n->told), "no other zone sends much through %s",
			 z->interface);
		return;
	}
	split_stall(&sp, &n->blame);
	snprintf(
	    n->told, sizeof(n->told), "%.64s sends %s a second through %s, as it does",
	    s->zones[stall_index_of(s, sp.parts[0].zone_id)].name,
	    format_bytes(stall_portion(sp.parts[0].ns, 1000000000, s->window_ns), a, sizeof(a)),
	    z->interface);
}

void stalls_measure(struct stalls *st, const struct snapshot *s, uint32_t victim,
		    struct window *win)
{
	struct zone_stalls stalled;

	if (st->cap < s->nr_zones)
		return; /* without room for the claims, there is nothing to say */
	network_measure(st, s, victim, win);
	if (!zone_stalls(&s->zones[victim], &stalled))
		return;
	memory_measure(st, s, victim, stalled.memory_ns, win);
	io_measure(st, s, victim, stalled.io_ns, win);
}

bool stalls_may_have_culprit(const struct window *win)
{
	return win && win->memory.known &&
	       share_ppm(stall_by_others_ns(&win->memory), win->window_ns) >= HURT_PPM;
}
