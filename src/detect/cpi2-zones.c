/* SPDX-License-Identifier: MIT */
/*
 * Victims are protected zones. Suspects are zones without others in them, protected ones included;
 * the parts of a protected zone are not its suspects. What is usual is a zone's own past at about
 * the same CPU use (cpi2_preset "host"): on one host there are no five tasks of a job.
 */
#include "detect/cpi2-zones.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"

#define PPM 1000000u

struct task {
	uint64_t zone_id, seen; /* 0: the number is free */
	enum zone_class class;
	uint64_t ref_cycles, instructions, cpu_ns; /* in this period */
	struct cpi_harm harm;
	uint64_t until_ns; /* harm stands */
};

struct cpi2_zones {
	struct cpi2 *e;
	uint64_t period_ns, start_ns, counted_ns, now_ns, runs;
	struct hash by_id; /* zone id -> number of its task + 1 */
	struct task *tasks;
	uint32_t nr, nr_free, cap;
	uint8_t *is_inner; /* by zone of a snapshot */
	size_t inner_cap;
};

DEFINE_CLEANUP(struct cpi2_zones *, cpi2_zones_free)

void cpi2_zones_free(struct cpi2_zones *c)
{
	if (!c)
		return;
	cpi2_free(c->e);
	hash_done(&c->by_id);
	free(c->tasks);
	free(c->is_inner);
	free(c);
}

static void on_alarm(const struct cpi2_alarm *a, void *arg)
{
	struct cpi2_zones *c = arg;
	struct task *t = &c->tasks[a->task];
	struct cpi_harm *h = &t->harm;

	*h = (struct cpi_harm){.cpi_ppm = a->cpi_ppm,
			       .mean_ppm = a->mean_ppm,
			       .threshold_ppm = a->threshold_ppm,
			       .needed_ppm = (uint32_t)lround(a->needed * PPM),
			       .nr_suspects = a->nr_suspects};
	if (a->culprit != CPI2_NONE)
		h->culprit_id = c->tasks[a->culprit].zone_id;
	for (size_t i = 0; i < a->nr_suspects; i++) {
		h->suspects[i].zone_id = c->tasks[a->suspects[i].task].zone_id;
		h->suspects[i].correlation_ppm = (int32_t)lround(a->suspects[i].correlation * PPM);
	}
	t->until_ns = c->now_ns + c->period_ns;
}

static int open_zones(struct cpi2_zones **ret, uint64_t now_ns)
{
	_cleanup_(cpi2_zones_freep) struct cpi2_zones *c = calloc(1, sizeof(*c));
	const struct cpi2_config *config = cpi2_preset("host");
	int r;

	if (!c)
		return -ENOMEM;
	r = cpi2_new(config, on_alarm, c, &c->e);
	if (r == 0)
		r = cpi2_advance(c->e, now_ns);
	if (r < 0)
		return r;
	c->period_ns = config->period_ns;
	c->start_ns = now_ns;
	*ret = TAKE_PTR(c);
	return 0;
}

static int grow_tasks(struct cpi2_zones *c)
{
	uint32_t cap = c->cap ? 2 * c->cap : 64;
	struct task *more = realloc(c->tasks, cap * sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->tasks = more;
	c->cap = cap;
	return 0;
}

/* One of a zone that is gone, or a new one. */
static int number_for(struct cpi2_zones *c, enum zone_class class, uint32_t *ret)
{
	uint32_t i = c->nr_free ? 0 : c->nr;
	int r;

	while (i < c->nr && c->tasks[i].zone_id)
		i++;
	*ret = i;
	if (i < c->nr) {
		c->nr_free--;
		return cpi2_task_renew(c->e, i, class);
	}
	r = c->nr < c->cap ? 0 : grow_tasks(c);
	if (r == 0)
		r = cpi2_task_add(c->e, i, i, 0, class);
	c->nr += r == 0;
	return r;
}

static int task_of(struct cpi2_zones *c, const struct zone_view *z, struct task **ret)
{
	uintptr_t known = (uintptr_t)hash_get(&c->by_id, z->id);
	uint32_t number = known ? (uint32_t)(known - 1) : 0;
	int r;

	if (known && c->tasks[number].class == z->class) {
		*ret = &c->tasks[number];
		return 0;
	}
	r = known ? cpi2_task_renew(c->e, number, z->class) : number_for(c, z->class, &number);
	if (r == 0 && !known)
		r = hash_put(&c->by_id, z->id, (void *)(uintptr_t)(number + 1ul));
	if (r < 0)
		return r;
	*ret = &c->tasks[number];
	**ret = (struct task){.zone_id = z->id, .class = z->class};
	return 0;
}

static int find_inner(struct cpi2_zones *c, const struct snapshot *s)
{
	if (s->nr_zones > c->inner_cap) {
		uint8_t *more = realloc(c->is_inner, s->nr_zones);

		if (!more)
			return -ENOMEM;
		c->is_inner = more;
		c->inner_cap = s->nr_zones;
	}
	memset(c->is_inner, 0, s->nr_zones);
	for (size_t i = 0; i < s->nr_zones; i++)
		if (s->zones[i].parent != NO_ZONE)
			c->is_inner[s->zones[i].parent] = 1;
	return 0;
}

static bool is_counted(const struct zone_view *z)
{
	const metric_set all =
	    METRIC_BIT(ZM_REF_CYCLES) | METRIC_BIT(ZM_INSTRUCTIONS) | METRIC_BIT(ZM_CPU_USAGE_NS);

	return (z->delta_valid & all) == all;
}

static bool is_task(const struct cpi2_zones *c, const struct zone_view *z, size_t i)
{
	if (z->class == CLASS_LC)
		return z->class_is_own; /* else a part of a protected zone */
	return !c->is_inner[i];
}

static int add_window(struct cpi2_zones *c, const struct snapshot *s)
{
	int r = find_inner(c, s);

	for (size_t i = 0; i < s->nr_zones && r == 0; i++) {
		const struct zone_view *z = &s->zones[i];
		struct task *t;

		if (!is_counted(z) || !is_task(c, z, i))
			continue;
		if (!z->delta[ZM_CPU_USAGE_NS] && !hash_get(&c->by_id, z->id))
			continue;
		r = task_of(c, z, &t);
		if (r < 0)
			break;
		t->seen = c->runs;
		t->ref_cycles += z->delta[ZM_REF_CYCLES];
		t->instructions += z->delta[ZM_INSTRUCTIONS];
		t->cpu_ns += z->delta[ZM_CPU_USAGE_NS];
	}
	c->counted_ns += s->window_ns;
	return r;
}

static uint32_t part_ppm(uint64_t part, uint64_t whole)
{
	unsigned __int128 q = whole ? (unsigned __int128)part * PPM / whole : 0;

	return q < UINT32_MAX ? (uint32_t)q : UINT32_MAX;
}

/* Samples bear the time at which their minute began; with them it is over. */
static int end_period(struct cpi2_zones *c)
{
	int r = 0;

	for (uint32_t i = 0; i < c->nr && r == 0; i++) {
		struct task *t = &c->tasks[i];

		if (!t->zone_id)
			continue;
		r = cpi2_sample(
		    c->e, &(struct cpi2_sample){.time_ns = c->start_ns,
						.task = i,
						.cpi_ppm = part_ppm(t->ref_cycles, t->instructions),
						.cpu_ppm = part_ppm(t->cpu_ns, c->counted_ns)});
		t->ref_cycles = t->instructions = t->cpu_ns = 0;
	}
	c->start_ns += (c->now_ns - c->start_ns) / c->period_ns * c->period_ns;
	c->counted_ns = 0;
	if (r == 0)
		r = cpi2_advance(c->e, c->start_ns);
	for (uint32_t i = 0; i < c->nr; i++) {
		if (!c->tasks[i].zone_id || c->tasks[i].seen == c->runs)
			continue;
		(void)hash_remove(&c->by_id, c->tasks[i].zone_id);
		c->tasks[i].zone_id = 0;
		c->nr_free++;
	}
	return r;
}

/* Few are protected: where nothing is counted, this is all that is looked at. */
static bool any_counted(const struct snapshot *s)
{
	for (size_t i = 0; i < s->nr_ledgers; i++)
		if (s->ledgers[i].zone < s->nr_zones && is_counted(&s->zones[s->ledgers[i].zone]))
			return true;
	return false;
}

void cpi2_zones_run(struct cpi2_zones **c, const struct snapshot *s)
{
	int r = 0;

	if (!*c) {
		if (any_counted(s) && open_zones(c, s->now_ns) < 0)
			*c = NULL;
		return;
	}
	(*c)->now_ns = s->now_ns;
	(*c)->runs++;
	r = add_window(*c, s);
	if (r == 0 && s->now_ns >= (*c)->start_ns + (*c)->period_ns)
		r = end_period(*c);
	if (r < 0) {
		cpi2_zones_free(*c);
		*c = NULL;
	}
}

void cpi2_zones_harm(const struct cpi2_zones *c, uint64_t zone_id, uint64_t now_ns,
		     struct cpi_harm *ret)
{
	uintptr_t known = c ? (uintptr_t)hash_get(&c->by_id, zone_id) : 0;

	*ret = (struct cpi_harm){0};
	if (known && c->tasks[known - 1].until_ns > now_ns)
		*ret = c->tasks[known - 1].harm;
}
