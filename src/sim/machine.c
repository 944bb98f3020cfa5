/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "sim/machine.h"

/* Free parameters of the model; fitted to the paper's oracle and unmanaged columns alone. */
#define BASE	   0.4	 /* latency without waiting, of that at the knee */
#define SCALING	   0.9	 /* capacity goes with cores to this power */
#define WARM_WAYS  5.0	 /* the working set's e-folding */
#define LLC_SHARE  0.15	 /* how much of the stressor a fully loaded neighbour is */
#define SIBLING	   0.5	 /* of the time a neighbour is on the sibling: idle cores first */
#define DRAM_FREE  0.7	 /* traffic below that share of the peak costs nothing */
#define SLICE_NS   3e6	 /* what a running neighbour keeps a core at most */
#define NEARLY_ONE 0.995 /* beyond it the backlog says how long it takes */

/* ASPLOS'19 table 2 and figure 2: the stressors' rows hyperthread, power, LLC capacity, LLC
 * bandwidth, memory bandwidth, memory capacity. The best-effort apps stand for its stressors. */
const struct sim_app sim_apps[] = {
    {"memcached", false, 600e3, 1280000, 0.91, 0, 9.3, 0.6, .1, .6, .9, .05, .05, .05},
    {"xapian", false, 5e6, 8000, 0.65, 0, 0.1, 0.01, .5, .8, .9, .6, .5, 1},
    {"nginx", false, 10e6, 560000, 0.70, 0, 1.9, 0.6, .6, .9, .7, .7, .4, .05},
    {"moses", false, 15e6, 2800, 0.64, 0, 2.5, 26, .7, .9, .8, .3, .1, .05},
    {"mongodb", false, 300e6, 240, 0.05, 0.85, 18, 0.03, 1, 1, 1, .9, .7, .2},
    {"sphinx", false, 2.5e9, 14, 0.86, 0, 1.4, 3.1, .3, .7, .3, .05, .05, .8},
    {"stream", true, 0, 1, 1, 0, 2, 60, .8, .9, .95, .7, .3, 1},
    {"compute", true, 0, 1, 1, 0, 1, 0.1, .6, .5, 1, 1, 1, 1},
    {"analytics", true, 0, 1, 1, 0, 8, 14, .6, .7, .5, .5, .5, .5},
    {0},
};

/* Xeon E5-2699 v4: 14 cores are managed, 20 ways, 1.2 to 2.2 GHz and turbo, 128 GiB less 8 for the
 * system, four channels of DDR4-2400 of which 60 GB/s can be had. */
const struct sim_machine sim_xeon = {
    .host = {.total = {14, 20, 23, 120, 10, 10},
	     .min = {1, 1, 12, 1, 0, 1},
	     .start_freq = 22,
	     .dram_peak_bytes_per_s = 60000000000},
    .dram_gb_per_s = 60,
};

const struct sim_app *sim_app_find(const char *name)
{
	for (const struct sim_app *a = sim_apps; a->name; a++)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

/* Probability that a request has to wait, of c servers at this utilisation. */
static double erlang_c(double c, double utilisation)
{
	double b = 1, offered = c * utilisation;

	if (utilisation >= 1)
		return 1;
	for (int k = 1; k <= (int)c; k++)
		b = offered * b / (k + offered * b);
	return b / (1 - utilisation * (1 - b));
}

static double lack_of_ways(const struct sim_app *a, double ways, double all)
{
	double more = ways > 1 ? ways - 1 : 0;

	return a->at_one_way + (1 - a->at_one_way) * (1 - exp(-more / WARM_WAYS)) /
				   (1 - exp(-(all - 1) / WARM_WAYS));
}

static double lack_of_freq(const struct sim_machine *m, const struct sim_app *a, double units)
{
	double top = m->host.total[RES_FREQ], low = m->host.min[RES_FREQ];

	return top > low ? 1 - (1 - a->at_low_freq) * (top - units) / (top - low) : 1;
}

static double lack_of_mem(const struct sim_app *a, double units)
{
	double missing = (a->mem_gib - units) / a->mem_gib;

	return missing > 0 ? 1 - (1 - a->at_no_mem) * fmin(1, missing) : 1;
}

static double activity(const struct sim_machine *m, const struct sim_place *p)
{
	if (!p->app->be)
		return p->load;
	if (p->alloc.cap_ppm)
		return p->alloc.cap_ppm / 1e6 / m->host.total[RES_CORE];
	return (double)p->alloc.units[RES_CORE] / m->host.total[RES_CORE];
}

/* The others of its partition, and their number with itself. */
static size_t sharers(const struct sim_place *places, size_t nr, size_t i, double *ret_activity,
		      const struct sim_machine *m)
{
	size_t n = 0;

	*ret_activity = 0;
	for (size_t k = 0; k < nr; k++) {
		if (places[k].alloc.owner != places[i].alloc.owner)
			continue;
		n++;
		*ret_activity += activity(m, &places[k]);
	}
	return n;
}

/* What is its part of a cache that others of its partition use as well: by their activity. */
static double ways_of(const struct sim_machine *m, const struct sim_place *places, size_t nr,
		      size_t i)
{
	double all;
	size_t n = sharers(places, nr, i, &all, m);

	return n > 1 && all > 0 ? places[i].ways * activity(m, &places[i]) / all : places[i].ways;
}

/* Without a limit; what its cache lacks comes from memory. */
static double wanted_gb_per_s(const struct sim_machine *m, const struct sim_place *p, double cache)
{
	return p->app->dram_gb_per_s * activity(m, p) * (1 + 2 * (1 - cache));
}

static double traffic(const struct sim_machine *m, const struct sim_place *p, double cache)
{
	double limit =
	    m->host.total[RES_BW] ? (double)p->alloc.units[RES_BW] / m->host.total[RES_BW] : 1;

	return fmin(wanted_gb_per_s(m, p, cache), limit * m->dram_gb_per_s);
}

/* Capacity that its memory traffic leaves: by the pressure of all, and by its own limit. */
static double lack_of_dram(const struct sim_app *a, double wants, double gets, double pressure)
{
	double stress = fmin(1, fmax(0, (pressure - DRAM_FREE) / (1 - DRAM_FREE)));
	double left = 1 - (1 - a->at_dram_stress) * stress * stress;

	return wants > gets ? left * (a->be ? gets / wants : fmax(a->at_dram_stress, gets / wants))
			    : left;
}

static double llc_stress(const struct sim_machine *m, const struct sim_place *places, size_t nr,
			 size_t i)
{
	double others = 0;

	for (size_t k = 0; k < nr; k++)
		if (k != i)
			others += activity(m, &places[k]) * (1 - places[k].app->disk_share);
	return 1 - (1 - places[i].app->at_llc_stress) * LLC_SHARE * fmin(1, others);
}

/* Of the partition's cores, by what its apps demand: > 1 is overload. */
struct crowd {
	double cores, utilisation, slice_ns;
	size_t nr;
};

static double capacity(const struct sim_machine *m, const struct sim_place *p, double cores,
		       double speed)
{
	return p->app->max_rps / p->app->core_share *
	       pow(cores / m->host.total[RES_CORE], SCALING) * speed;
}

static double disk_capacity(const struct sim_machine *m, const struct sim_place *p)
{
	return p->app->disk_share > 0 ? p->app->max_rps / p->app->disk_share *
					    p->alloc.units[RES_DISK] / m->host.total[RES_DISK]
				      : INFINITY;
}

static double rps(const struct sim_place *p)
{
	return p->load * p->app->max_rps;
}

static struct crowd crowd_of(const struct sim_machine *m, const struct sim_place *places, size_t nr,
			     size_t i, const struct sim_result *results)
{
	struct crowd c = {.cores = places[places[i].alloc.owner].alloc.units[RES_CORE]};

	for (size_t k = 0; k < nr; k++) {
		const struct sim_place *p = &places[k];

		if (p->alloc.owner != places[i].alloc.owner)
			continue;
		c.nr++;
		if (k != i) {
			double service = p->app->be ? SLICE_NS
						    : p->app->core_share * 1e9 *
							  m->host.total[RES_CORE] / p->app->max_rps;

			c.slice_ns = fmax(c.slice_ns, fmin(SLICE_NS, service));
		}
		if (!p->app->be)
			c.utilisation += rps(p) / results[k].capacity_rps;
	}
	return c;
}

/* Waiting at this utilisation, of that at the knee: what limits it is the disk, or the cores. */
static double waiting(const struct sim_app *a, double utilisation)
{
	double u = fmin(utilisation, NEARLY_ONE);
	double knee = a->disk_share > 0 ? a->disk_share : a->core_share;

	return u * u / (1 - u) * (1 - knee) / (knee * knee);
}

static void latency(const struct sim_machine *m, const struct sim_place *p, const struct crowd *c,
		    struct sim_result *r)
{
	double target = p->app->target_ns, disk = rps(p) / disk_capacity(m, p), queue;

	/* A slower core does not make the disk slower. */
	r->base_ns = BASE * target *
		     (1 + (1 / r->speed - 1) * p->app->core_share /
			      (p->app->core_share + p->app->disk_share));
	r->p99_ns = r->base_ns + (1 - BASE) * target *
				     fmax(waiting(p->app, c->utilisation), waiting(p->app, disk));
	if (c->nr > 1) {
		/* A request that finds all cores busy waits for a neighbour's slice to end. */
		double u = fmin(c->utilisation, NEARLY_ONE);

		queue = erlang_c(c->cores, u);
		if (queue > 0.01)
			r->p99_ns += log(queue * 100) * c->slice_ns / (c->cores * (1 - u));
	}
}

double sim_evaluate(const struct sim_machine *m, const struct sim_place *places, size_t nr,
		    struct sim_result *results)
{
	double total = 0, cache[CTL_APPS_MAX], all;

	for (size_t i = 0; i < nr; i++) {
		cache[i] =
		    lack_of_ways(places[i].app, ways_of(m, places, nr, i), m->host.total[RES_WAY]);
		results[i].dram_gb_per_s = traffic(m, &places[i], cache[i]);
		total += results[i].dram_gb_per_s;
	}
	for (size_t i = 0; i < nr; i++) {
		const struct sim_place *p = &places[i];
		const struct sim_app *a = p->app;
		double wants = wanted_gb_per_s(m, p, cache[i]);
		double beside =
		    sharers(places, nr, i, &all, m) > 1 ? fmin(1, all - activity(m, p)) : 0;

		results[i].speed =
		    cache[i] * lack_of_freq(m, a, p->alloc.units[RES_FREQ]) *
		    lack_of_mem(a, p->alloc.units[RES_MEM]) *
		    lack_of_dram(a, wants, results[i].dram_gb_per_s, total / m->dram_gb_per_s) *
		    llc_stress(m, places, nr, i) * (1 - (1 - a->at_sibling) * SIBLING * beside);
		results[i].capacity_rps =
		    capacity(m, p, places[p->alloc.owner].alloc.units[RES_CORE], results[i].speed);
		results[i].progress = a->be ? activity(m, p) * results[i].speed : 0;
	}
	for (size_t i = 0; i < nr; i++) {
		struct crowd c = crowd_of(m, places, nr, i, results);

		results[i].p99_ns = 0;
		if (places[i].app->be)
			continue;
		latency(m, &places[i], &c, &results[i]);
		if (c.utilisation > 1)
			results[i].capacity_rps /=
			    c.utilisation * results[i].capacity_rps / rps(&places[i]);
		results[i].capacity_rps =
		    fmin(results[i].capacity_rps, disk_capacity(m, &places[i]));
	}
	return total;
}

bool sim_all_met(const struct sim_place *places, size_t nr, const struct sim_result *results)
{
	for (size_t i = 0; i < nr; i++)
		if (!places[i].app->be && !(results[i].p99_ns <= places[i].app->target_ns &&
					    results[i].capacity_rps > rps(&places[i])))
			return false;
	return true;
}

void sim_unmanaged(const struct sim_machine *m, struct sim_place *places, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		for (int r = 0; r < RES_NR; r++)
			places[i].alloc.units[r] = m->host.total[r];
		places[i].alloc.owner = 0;
		places[i].alloc.cap_ppm = 0;
		places[i].ways = m->host.total[RES_WAY];
	}
}
