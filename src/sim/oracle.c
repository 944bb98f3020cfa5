/* SPDX-License-Identifier: MIT */
/*
 * What one app needs hangs on the others only through the traffic to memory and the stress on the
 * cache, which are the same for nearly all divisions: they are taken from the last solution, until
 * it holds under its own (a fixed point). Given them, the apps are independent, and a table over
 * (cores, ways) left answers exactly whether a division exists, as a knapsack does.
 */
#include <errno.h>
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

/* What is left over goes to the best-effort app; the number of cores that gives it most. */
static bool choose(struct search *s)
{
	double most = -1;
	int chosen = -1;

	if (s->be < 0) {
		if (s->best[s->nr_lc][s->cores] > s->ways)
			return false;
		take(s, s->cores);
		return true;
	}
	for (int c = (int)s->nr_lc; c < s->cores; c++) {
		struct sim_place all[CTL_APPS_MAX];
		struct sim_result results[CTL_APPS_MAX];
		int left = s->ways - s->best[s->nr_lc][c];

		if (left < 1)
			continue;
		take(s, c);
		memcpy(all, s->places, s->nr * sizeof(*all));
		place(&all[s->be], s->cores - c, left);
		sim_evaluate(s->m, all, s->nr, results);
		if (results[s->be].progress > most && sim_all_met(all, s->nr, results)) {
			most = results[s->be].progress;
			chosen = c;
		}
	}
	if (chosen < 0)
		return false;
	take(s, chosen);
	place(&s->places[s->be], s->cores - chosen, s->ways - s->best[s->nr_lc][chosen]);
	return true;
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
	struct sim_result results[CTL_APPS_MAX];
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
	if (!give_storage(&s))
		return 0;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < s.nr_lc; i++)
			needs(&s, s.order[i]);
		fill(&s);
		if (!choose(&s))
			return 0;
		sim_evaluate(m, places, nr, results);
		if (sim_all_met(places, nr, results))
			return 1;
	}
	return 0;
}
