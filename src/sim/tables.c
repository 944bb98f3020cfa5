/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "sim/oracle.h"
#include "sim/tables.h"

static const struct {
	const char *third, *name;
	struct sim_table table;
} published[] = {
    {"nginx", "unmanaged", {{{5, 3, 2, 1, 1}, {3, 2}, {1}, {1}}}},
    {"nginx", "heracles", {{{6, 5, 4, 3, 1}, {5, 4, 2, 1}, {4, 3, 1}, {3, 1}}}},
    {"nginx",
     "parties",
     {{{7, 6, 5, 4, 3, 2, 2, 1}, {7, 5, 4, 2, 2, 1}, {6, 4, 3, 1, 1}, {3, 2, 1}, {2, 1}, {1}}}},
    {"nginx",
     "oracle",
     {{{8, 7, 5, 4, 3, 3, 2, 1}, {7, 5, 4, 3, 2, 1}, {6, 4, 3, 2, 1}, {4, 3, 2}, {2, 1}, {1}}}},
    /* Printed with a row for each load of xapian; here one for each of memcached. */
    {"moses",
     "parties",
     {{{7, 6, 4, 4, 2, 1}, {6, 5, 3, 2, 1}, {5, 4, 2, 2, 1}, {4, 3, 2, 1}, {2, 1, 1}, {1, 1}}}},
    {"sphinx",
     "parties",
     {{{7, 6, 5, 4, 2, 2, 1}, {6, 5, 4, 4, 2, 2}, {5, 4, 4, 2}, {4, 4, 2}, {4, 2}, {3, 1}, {1}}}},
    {"mongodb",
     "parties",
     {{{10, 10, 10, 10, 10, 10, 9, 9, 8},
       {10, 10, 10, 10, 10, 10, 9, 9},
       {10, 10, 10, 10, 10, 9, 9},
       {10, 10, 10, 10, 9, 9, 9},
       {10, 10, 10, 10},
       {10, 10, 10},
       {10, 10, 10},
       {10, 10},
       {10}}}},
};

const struct sim_table *table_published(const char *third, const char *name)
{
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++)
		if (!strcmp(published[i].third, third) && !strcmp(published[i].name, name))
			return &published[i].table;
	return NULL;
}

static void mix_of(const struct table_question *q, int a, int b, int c, struct sim_mix *mix)
{
	*mix = (struct sim_mix){
	    .nr = 3,
	    .apps = {sim_app_find("memcached"), sim_app_find("xapian"), q->third},
	    .load = {a / 10.0, b / 10.0, c / 10.0},
	};
}

static bool feasible(const struct sim_machine *m, const struct sim_mix *mix, bool unmanaged)
{
	struct sim_place places[CTL_APPS_MAX] = {0};
	struct sim_result results[CTL_APPS_MAX];

	for (size_t i = 0; i < mix->nr; i++)
		places[i] = (struct sim_place){.app = mix->apps[i], .load = mix->load[i]};
	if (!unmanaged)
		return oracle_find(m, places, mix->nr) > 0;
	sim_unmanaged(m, places, mix->nr);
	sim_evaluate(m, places, mix->nr, results);
	return sim_all_met(places, mix->nr, results);
}

/* Did this run succeed? And what it says of the controller. */
static bool count_run(const struct table_question *q, const struct sim_answer *a,
		      struct table_result *r)
{
	double s = (double)a->settled_ns / 1e9, worst = 0;

	r->runs++;
	if (a->settled_ns > q->settle_ns)
		return false;
	for (size_t i = 0; i < CTL_APPS_MAX; i++)
		worst = fmax(worst, a->violated[i]);
	r->settled++;
	r->settle_mean_s += s;
	r->settle_most_s = fmax(r->settle_most_s, s);
	r->violated += worst;
	r->changes_per_s += a->changes_per_s;
	r->reversals_per_s += a->reversals_per_s;
	return worst <= q->forgiven;
}

/* Runs of the controller with this mix: 1 most of them succeeded, 0, -ENOMEM. */
static int try_mix(const struct sim_machine *m, const struct table_question *q,
		   const struct sim_mix *mix, struct table_result *ret)
{
	unsigned int good = 0;

	for (unsigned int k = 0; k < q->repeats; k++) {
		struct sim_question run = {.controller = q->controller,
					   .mix = *mix,
					   .settle_ns = q->settle_ns,
					   .measure_ns = q->measure_ns,
					   .seed = q->seed + k};
		struct sim_answer a;
		int err = sim_run(m, &run, &a);

		if (err)
			return err;
		good += count_run(q, &a, ret);
	}
	return 2 * good > q->repeats;
}

static int cell(const struct sim_machine *m, const struct table_question *q, int a, int b,
		struct table_result *ret)
{
	for (int c = 10; c > 0; c--) {
		struct sim_mix mix;
		int r;

		mix_of(q, a, b, c, &mix);
		r = feasible(m, &mix, q->how == HOW_UNMANAGED);
		if (r > 0 && q->how == HOW_CONTROLLER)
			r = try_mix(m, q, &mix, ret);
		if (r < 0)
			return r;
		if (r > 0) {
			ret->table.third[a - 1][b - 1] = (uint8_t)c;
			return 0;
		}
	}
	return 0;
}

int table_make(const struct sim_machine *m, const struct table_question *q,
	       struct table_result *ret)
{
	double n;

	*ret = (struct table_result){0};
	for (int a = 1; a <= TABLE_SIDE; a++)
		for (int b = 1; b <= TABLE_SIDE; b++) {
			int err = cell(m, q, a, b, ret);

			if (err < 0)
				return err;
			if (q->progress)
				q->progress(q->arg, (unsigned int)((a - 1) * TABLE_SIDE + b));
		}
	n = ret->settled ? ret->settled : 1;
	ret->settle_mean_s /= n;
	ret->violated /= n;
	ret->changes_per_s /= n;
	ret->reversals_per_s /= n;
	return 0;
}

struct table_comparison table_compare(const struct sim_table *t, const struct sim_table *other)
{
	struct table_comparison c = {0};

	for (int a = 0; a < TABLE_SIDE; a++)
		for (int b = 0; b < TABLE_SIDE; b++) {
			if (!t->third[a][b] || !other->third[a][b])
				continue;
			c.cells++;
			c.mean += 10 * (a + b + 2 + t->third[a][b]);
			c.other += 10 * (a + b + 2 + other->third[a][b]);
		}
	c.mean /= c.cells ? c.cells : 1;
	c.other /= c.cells ? c.cells : 1;
	return c;
}

double table_emu(const struct sim_table *t, const struct sim_table *all)
{
	double sum = 0;
	unsigned int cells = 0;

	for (int a = 0; a < TABLE_SIDE; a++)
		for (int b = 0; b < TABLE_SIDE; b++) {
			cells += all->third[a][b] > 0;
			if (t->third[a][b])
				sum += 10 * (a + b + 2 + t->third[a][b]);
		}
	return cells ? sum / cells : 0;
}
