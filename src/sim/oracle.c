/* SPDX-License-Identifier: MIT */
/*
 * What one app needs hangs on the others only through the traffic to memory and the stress on the
 * cache, which are the same for nearly all divisions: they are taken from the last solution, until
 * it holds under its own (a fixed point). Given them, the apps are independent, and a table over
 * (cores, ways) left answers exactly whether a division exists, as a knapsack does.
 */
#include <math.h>
#include <string.h>
#include "sim/oracle.h"

#define CORES_MAX 64
#define ROUNDS	  6

/* least[app][cores]: ways it needs with so many cores; 0: no number suffices */
struct search {
	const struct sim_machine *m;
	struct sim_place *places;
	size_t nr;
	int cores, ways, be; /* be: the best-effort app, or -1 */
	int least[CTL_APPS_MAX][CORES_MAX + 1];
	/* fewest ways for the first i latency-critical apps in that many cores, and what the last
	 * one has */
	int best[CTL_APPS_MAX + 1][CORES_MAX + 1], chosen[CTL_APPS_MAX + 1][CORES_MAX + 1];
	size_t order[CTL_APPS_MAX], nr_lc;
};

static void place(struct sim_place *p, int cores, int ways)
{
	p->alloc.units[RES_CORE] = (uint16_t)cores;
	p->alloc.units[RES_WAY] = (uint16_t)ways;
	p->ways = ways;
}

static bool suffices(const struct search *s, size_t i, int cores, int ways)
{
	struct sim_place all[CTL_APPS_MAX];
	struct sim_result results[CTL_APPS_MAX];

	memcpy(all, s->places, s->nr * sizeof(*all));
	place(&all[i], cores, ways);
	sim_evaluate(s->m, all, s->nr, results);
	return results[i].p99_ns <= all[i].app->target_ns &&
	       results[i].capacity_rps > all[i].load * all[i].app->max_rps;
}

static void needs(struct search *s, size_t i)
{
	int ways = s->ways;

	/* More cores never need more ways. */
	for (int c = 1; c <= s->cores; c++) {
		s->least[i][c] = 0;
		if (!suffices(s, i, c, ways))
			continue;
		while (ways > 1 && suffices(s, i, c, ways - 1))
			ways--;
		s->least[i][c] = ways;
	}
}

static void fill(struct search *s)
{
	for (int c = 0; c <= s->cores; c++)
		s->best[0][c] = 0;
	for (size_t i = 0; i < s->nr_lc; i++)
		for (int c = 0; c <= s->cores; c++) {
			s->best[i + 1][c] = s->ways + 1;
			for (int own = 1; own <= c; own++) {
				int least = s->least[s->order[i]][own];

				if (!least || s->best[i][c - own] + least >= s->best[i + 1][c])
					continue;
				s->best[i + 1][c] = s->best[i][c - own] + least;
				s->chosen[i + 1][c] = own;
			}
		}
}

static void take(struct search *s, int cores)
{
	for (size_t i = s->nr_lc; i-- > 0;) {
		int own = s->chosen[i + 1][cores];

		place(&s->places[s->order[i]], own, s->least[s->order[i]][own]);
		cores -= own;
	}
}

/* With so many cores for the best-effort app, and all ways that the others do not need. */
static bool attempt(struct search *s, int be_cores)
{
	struct sim_result results[CTL_APPS_MAX];
	int cores = s->cores - be_cores, be_ways = s->ways / (int)s->nr;

	for (int round = 0; round < ROUNDS; round++) {
		if (s->be >= 0)
			place(&s->places[s->be], be_cores, be_ways);
		for (size_t i = 0; i < s->nr_lc; i++)
			needs(s, s->order[i]);
		fill(s);
		be_ways = s->ways - s->best[s->nr_lc][cores];
		if (be_ways < (s->be >= 0))
			return false;
		take(s, cores);
		if (s->be >= 0)
			place(&s->places[s->be], be_cores, be_ways);
		sim_evaluate(s->m, s->places, s->nr, results);
		if (sim_all_met(s->places, s->nr, results))
			return true;
	}
	return false;
}

/* The number of cores with which the best-effort app does most. */
static bool attempt_all(struct search *s)
{
	struct sim_place best[CTL_APPS_MAX];
	double most = -1;

	for (int c = s->cores - (int)s->nr_lc; c > 0; c--) {
		struct sim_result results[CTL_APPS_MAX];

		if (!attempt(s, c))
			continue;
		sim_evaluate(s->m, s->places, s->nr, results);
		if (results[s->be].progress <= most)
			continue;
		most = results[s->be].progress;
		memcpy(best, s->places, s->nr * sizeof(*best));
	}
	if (most >= 0)
		memcpy(s->places, best, s->nr * sizeof(*best));
	return most >= 0;
}

/* Memory is a threshold: each gets what it needs. The disk goes to those that use it, by load. */
static bool give_storage(struct search *s)
{
	int mem = 0, disk = s->m->host.total[RES_DISK];
	double loads = 0;

	for (size_t i = 0; i < s->nr; i++)
		if (s->places[i].app->disk_share > 0)
			loads += s->places[i].load;
	for (size_t i = 0; i < s->nr; i++) {
		struct sim_place *p = &s->places[i];

		p->alloc.owner = (uint8_t)i;
		for (int r = 0; r < RES_NR; r++)
			p->alloc.units[r] = s->m->host.total[r];
		p->alloc.units[RES_MEM] = (uint16_t)ceil(p->app->mem_gib);
		mem += p->alloc.units[RES_MEM];
		p->alloc.units[RES_DISK] =
		    (uint16_t)(p->app->disk_share > 0 ? disk * p->load / loads : 0);
		place(p, s->cores / (int)s->nr, s->ways / (int)s->nr);
	}
	return mem <= s->m->host.total[RES_MEM];
}

int oracle_find(const struct sim_machine *m, struct sim_place *places, size_t nr)
{
	struct search s = {.m = m,
			   .places = places,
			   .nr = nr,
			   .cores = m->host.total[RES_CORE],
			   .ways = m->host.total[RES_WAY],
			   .be = -1};

	for (size_t i = 0; i < nr; i++) {
		if (places[i].app->be)
			s.be = (int)i;
		else
			s.order[s.nr_lc++] = i;
	}
	if (!nr || !give_storage(&s))
		return 0;
	return s.be < 0 ? attempt(&s, 0) : attempt_all(&s);
}
