/* SPDX-License-Identifier: MIT */
/*
 * Any history of a small host: the plan must keep its promises. Only best-effort zones beside the
 * victim are touched, with no bystander below; nothing is applied in observe mode unless approved;
 * numbers only grow; tables stay bounded; what is in force stays within the budget.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "decide/decide.h"
#include "detect/detect.h"

#define ZONES 12
#define SEC   1000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
	const uint8_t *data;
	size_t left;
	struct config cfg;
	struct detect *detect;
	struct decide *decide;
	struct snapshot s;
	struct zone_view zones[ZONES];
	struct ledger_view ledgers[2];
	struct ledger_part parts[2][ZONES];
	struct finding_set findings;
	struct plan plan;
	uint64_t now_ns, last_seq, next_id, approved;
};

static uint8_t byte(struct host *h)
{
	if (!h->left)
		return 0;
	h->left--;
	return *h->data++;
}

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "broken promise at line %d: %s\n", __LINE__, #cond);       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void grow_tree(struct host *h)
{
	for (uint32_t i = 0; i < ZONES; i++) {
		uint8_t b = byte(h);
		struct zone_view *z = &h->zones[i];

		*z = (struct zone_view){
		    .id = ++h->next_id,
		    .parent = i ? b % i : NO_ZONE,
		    .name = "zone",
		    .path = "/zone",
		    .class = (enum zone_class)(b / 16 % 3),
		    .off_limits = !i || b > 250,
		    .delta_valid = METRIC_BIT(ZM_CPU_USAGE_NS),
		};
		z->depth = i ? h->zones[z->parent].depth + 1 : 0;
		if (b & 1)
			z->slo.wait_p99_ns = 500000;
	}
}

static void fill_ledger(struct host *h, uint32_t nr)
{
	struct ledger_view *l = &h->ledgers[nr];

	*l = (struct ledger_view){
	    .zone = byte(h) % ZONES, .window_ns = h->s.window_ns, .parts = h->parts[nr]};
	l->waits = byte(h) * 50u;
	l->wait_p99_ns = byte(h) * 50000ull;
	l->estimated = byte(h) > 240;
	for (uint32_t n = byte(h) % 5; n; n--) {
		struct ledger_part *p = &h->parts[nr][l->nr_parts++];
		uint8_t b = byte(h);

		*p = (struct ledger_part){.cause = b & 1 ? CAUSE_NEIGHBOUR
							 : (enum cause)(b / 2 % CAUSE_NR),
					  .cpu = b % 2,
					  .zone = NO_ZONE};
		p->ns = (uint64_t)byte(h) * h->s.window_ns / 256;
		if (p->cause == CAUSE_NEIGHBOUR) {
			p->zone = b / 2 % ZONES;
			p->culprit_id = h->zones[p->zone].id;
		}
		l->wait_ns += p->ns;
		l->cause_ns[p->cause] += p->ns;
	}
}

static void next_second(struct host *h)
{
	uint8_t b = byte(h);

	h->s.window_ns = b > 252 ? 3600 * SEC : b > 248 ? 0 : SEC;
	h->now_ns += h->s.window_ns;
	h->s.now_ns = h->now_ns;
	h->s.seq++;
	for (uint32_t i = 0; i < ZONES; i++)
		h->zones[i].delta[ZM_CPU_USAGE_NS] = (uint64_t)(byte(h) & 0xf0) * 3000000;
	h->s.nr_ledgers = b % 3;
	for (uint32_t i = 0; i < h->s.nr_ledgers; i++)
		fill_ledger(h, i);
}

static void check_target(const struct host *h, const struct action *a)
{
	const struct zone_view *target = snapshot_zone(&h->s, a->target_id),
			       *victim = snapshot_zone(&h->s, a->victim_id);

	CHECK(target && target->class == CLASS_BE && !target->off_limits);
	CHECK(!victim || !snapshot_is_below(&h->s, (uint32_t)(victim - h->zones),
					    (uint32_t)(target - h->zones)));
	for (uint32_t i = 0; i < ZONES; i++) {
		const struct zone_view *z = &h->zones[i];

		if (z == target || !snapshot_is_below(&h->s, i, (uint32_t)(target - h->zones)))
			continue;
		CHECK(!z->off_limits && (z->class == CLASS_BE || !z->delta[ZM_CPU_USAGE_NS]));
	}
}

static const struct action *find(const struct host *h, uint64_t seq)
{
	const struct action *a;

	for (size_t i = decide_actions(h->decide, &a); i-- > 0;)
		if (a[i].seq == seq)
			return &a[i];
	return NULL;
}

static void carry_out(struct host *h)
{
	static const int errors[] = {0,	      0,	  0,	     0,		  0,
				     -ENOENT, -EBUSY,	  -EALREADY, -EOPNOTSUPP, -EROFS,
				     -EIO,    -ECANCELED, -ESTALE};

	CHECK(h->plan.nr <= STEPS_MAX);
	for (size_t i = 0; i < h->plan.nr; i++) {
		const struct step *s = &h->plan.steps[i];
		const struct action *a = find(h, s->action.seq);
		int err = errors[byte(h) % (sizeof(errors) / sizeof(errors[0]))];

		CHECK(a);
		if (s->kind == STEP_APPLY) {
			CHECK(a->state == ACTION_PROPOSED);
			CHECK(a->seq == h->approved ||
			      decide_mode(h->decide, a->victim_id, h->now_ns, NULL) ==
				  MODE_ENFORCE);
			check_target(h, &s->action);
		} else {
			CHECK(a->state == ACTION_APPLIED || a->state == ACTION_KEPT);
		}
		decide_result(h->decide, s->action.seq, s->kind, err, "0", h->now_ns);
	}
}

static void check_tables(struct host *h)
{
	const struct action *a;
	size_t nr = decide_actions(h->decide, &a), in_force = 0;

	CHECK(nr <= 256);
	for (size_t i = 0; i < nr; i++) {
		CHECK(!i || a[i].seq > a[i - 1].seq);
		in_force += a[i].state == ACTION_APPLIED || a[i].state == ACTION_KEPT;
	}
	CHECK(!nr || a[nr - 1].seq >= h->last_seq);
	h->last_seq = nr ? a[nr - 1].seq : h->last_seq;
	CHECK(in_force <= h->cfg.guard.max_actions);
}

static void tick(struct host *h)
{
	next_second(h);
	detect_run(h->detect, &h->s, &h->findings);
	for (size_t i = 0; i < h->findings.nr; i++) {
		const struct finding *f = &h->findings.items[i];
		uint64_t sum = 0;

		for (int c = 0; c < CAUSE_NR; c++)
			sum += f->cause_ppm[c];
		CHECK(sum == (f->wait_ns ? 1000000 : 0));
		CHECK(f->seq && (f->cause == CAUSE_NEIGHBOUR || !f->nr_culprits));
	}
	decide_tick(h->decide, &h->s, &h->findings, &h->plan);
	carry_out(h);
}

static void event(struct host *h)
{
	struct fast_event e = {
	    .now_ns = h->now_ns, .since_ns = h->now_ns - 330000, .foreign_ns = 330000};

	e.victim_id = h->zones[byte(h) % ZONES].id;
	e.culprit_id = h->zones[byte(h) % ZONES].id;
	decide_fast(h->decide, &h->s, &e, &h->plan);
	CHECK(h->plan.nr <= 1);
	carry_out(h);
}

static void by_hand(struct host *h)
{
	uint8_t b = byte(h);
	uint64_t seq = b / 8 ? h->last_seq - b / 8 % (h->last_seq + 1) : 0;

	switch (b % 8) {
	case 0:
		if (decide_approve(h->decide, seq, h->now_ns) == 0) {
			h->approved = seq;
			decide_tick(h->decide, &h->s, &h->findings, &h->plan);
			carry_out(h);
		}
		h->approved = 0;
		break;
	case 1:
		(void)!decide_undo(h->decide, seq, h->now_ns);
		break;
	case 2:
		decide_zone_gone(h->decide, h->zones[b / 8 % ZONES].id);
		break;
	case 3:
		decide_set_mode(h->decide, MODE_ENFORCE, h->zones[b / 8 % ZONES].id,
				h->now_ns + b * SEC, 0);
		break;
	case 4:
		decide_set_mode(h->decide, MODE_OBSERVE, b & 8 ? 0 : h->zones[b / 8 % ZONES].id, 0,
				0);
		break;
	case 5:
		decide_set_mode(h->decide, MODE_ENFORCE, 0, 0, 0);
		break;
	case 6:
		decide_can_apply(h->decide, true);
		break;
	case 7:
		grow_tree(h);
		h->s.seq++;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct host h;

	h = (struct host){.data = data, .left = size, .now_ns = 1000 * SEC};
	config_defaults(&h.cfg);
	h.cfg.guard.mode = MODE_ENFORCE;
	h.cfg.guard.allow_freeze = true;
	h.cfg.guard.max_actions = 4;
	h.s.zones = h.zones;
	h.s.nr_zones = ZONES;
	h.s.ledgers = h.ledgers;
	h.s.cpus.nr_cpus = 2;
	cpuset_add(&h.s.cpus.online, 0);
	cpuset_add(&h.s.cpus.online, 1);
	grow_tree(&h);
	if (detect_new(&h.cfg, &h.detect) < 0 || decide_new(&h.cfg, 1, &h.decide) < 0)
		abort();
	next_second(&h);
	while (h.left) {
		uint8_t b = byte(&h);

		if (b < 160)
			tick(&h);
		else if (b < 220)
			event(&h);
		else
			by_hand(&h);
		check_tables(&h);
	}
	detect_free(h.detect);
	decide_free(h.decide);
	config_done(&h.cfg);
	return 0;
}
