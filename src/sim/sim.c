/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "sim/sim.h"

#define HALF_NS	       500000000u
#define STAYS_NS       (2 * UINT64_C(1000000000)) /* met so long is settled */
#define TICK_S	       (SIM_TICK_NS / 1e9)
#define BACKLOG_S      1.0 /* of its capacity: open connections bound what can wait */
#define WARM_S	       0.2 /* a way is filled with that time constant */
#define NOISE	       0.03
#define NOISE_MOST     0.15
#define P99_LOG	       4.605170186 /* ln 100 */
#define LATENCY_MAX_NS 1e12	   /* without a core, it is never: more than any target */

/* Microseconds until a knob acts; ASPLOS'19: cores tens of ms, ways and frequency a few. */
static const uint32_t delay_us[RES_NR] = {40000, 5000, 5000, 100000, 200000, 5000};

struct app_run {
	double backlog;			/* requests */
	double rate_sum, late_sum;	/* of requests, while measured */
	double weighted, weight;	/* latency since the controller's last step */
	double half, half_weight;	/* and in this half second */
	double work, work_s, dram, cpi; /* since the last step */
	double p99_sum, violated, progress_sum;
	uint64_t due_ns[RES_NR]; /* when the wanted units act */
};

struct run {
	const struct sim_machine *m;
	const struct sim_question *q;
	struct sim_answer *answer;
	struct sim_place places[CTL_APPS_MAX];
	struct app_run apps[CTL_APPS_MAX];
	struct ctl_alloc wanted[CTL_APPS_MAX], before[CTL_APPS_MAX];
	void *state;
	uint64_t random, next_step_ns, met_since_ns, from_ns;
	double total_dram;
	size_t next_change, halves, changes, reversals;
	bool measuring;
};

static double uniform(struct run *s)
{
	return ((double)(random_next(&s->random) >> 11) + 0.5) / 9007199254740992.0;
}

static double gauss(struct run *s)
{
	return sqrt(-2 * log(uniform(s))) * cos(6.283185307179586 * uniform(s));
}

/* The 99th percentile of n requests scatters by sqrt(p (1 - p) / n) over the density there. */
static double measured(struct run *s, double p99_ns, double n)
{
	double sigma = NOISE + fmin(NOISE_MOST, 2.16 / sqrt(fmax(n, 1)));

	return p99_ns * exp(sigma * gauss(s) - sigma * sigma / 2);
}

static void see(struct run *s, struct ctl_view *v, double since_s)
{
	double dram = 0;

	*v = (struct ctl_view){.host = s->m->host, .nr = s->q->mix.nr};
	for (size_t i = 0; i < v->nr; i++) {
		const struct sim_place *p = &s->places[i];
		struct app_run *a = &s->apps[i];
		double n = p->load * p->app->max_rps * since_s;

		v->apps[i] = (struct ctl_app){
		    .be = p->app->be,
		    .uses_disk = p->app->disk_share > 0,
		    .target_ns = (uint64_t)p->app->target_ns,
		    .load_ppm = p->app->be ? 0 : (uint32_t)(p->load * 1e6),
		    .mem_slack_mib = (int32_t)((p->alloc.units[RES_MEM] - p->app->mem_gib) * 1024),
		    .alloc = s->wanted[i],
		};
		if (a->weight > 0 && !p->app->be)
			v->apps[i].latency_ns =
			    (uint64_t)fmin(measured(s, a->weighted / a->weight, n), LATENCY_MAX_NS);
		if (a->work_s > 0) {
			v->apps[i].cpi_ppm = (uint32_t)(a->cpi / a->work_s * 1e6);
			v->apps[i].progress_ppm = (uint32_t)(a->work / a->work_s * 1e6);
			v->apps[i].dram_bytes_per_s = (uint64_t)(a->dram / a->work_s * 1e9);
		}
		dram += (double)v->apps[i].dram_bytes_per_s;
		a->weighted = a->weight = a->work = a->work_s = a->dram = a->cpi = 0;
	}
	v->host.dram_bytes_per_s = (uint64_t)dram;
}

static bool same(const struct ctl_alloc *a, const struct ctl_alloc *b, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (memcmp(a[i].units, b[i].units, sizeof(a[i].units)) ||
		    a[i].owner != b[i].owner || a[i].cap_ppm != b[i].cap_ppm)
			return false;
	return true;
}

static void order(struct run *s, const struct ctl_plan *plan, uint64_t now_ns)
{
	size_t nr = s->q->mix.nr;

	if (same(plan->alloc, s->wanted, nr))
		return;
	if (s->measuring) {
		s->changes++;
		s->reversals += same(plan->alloc, s->before, nr);
	}
	memcpy(s->before, s->wanted, sizeof(s->before));
	for (size_t i = 0; i < nr; i++)
		for (int r = 0; r < RES_NR; r++)
			if (plan->alloc[i].units[r] != s->wanted[i].units[r])
				s->apps[i].due_ns[r] = now_ns + delay_us[r] * UINT64_C(1000);
	memcpy(s->wanted, plan->alloc, sizeof(s->wanted));
	if (s->q->changed)
		s->q->changed(s->q->arg, now_ns, plan, nr);
}

static void step(struct run *s, uint64_t now_ns)
{
	const struct controller *c = s->q->controller;
	struct ctl_plan plan = {.migrate = -1, .culprit = -1};
	struct ctl_view view;

	if (!c || now_ns < s->next_step_ns)
		return;
	s->next_step_ns = now_ns + c->period_ns;
	see(s, &view, (double)c->period_ns / 1e9);
	memcpy(plan.alloc, s->wanted, sizeof(plan.alloc));
	c->step(s->state, &view, now_ns, &plan);
	s->answer->samples = plan.samples;
	if (plan.migrate >= 0)
		s->answer->migrate = plan.migrate;
	order(s, &plan, now_ns);
}

/* What was ordered acts when its time has come; ways get warm. */
static void act(struct run *s, uint64_t now_ns)
{
	for (size_t i = 0; i < s->q->mix.nr; i++) {
		struct sim_place *p = &s->places[i];

		for (int r = 0; r < RES_NR; r++)
			if (now_ns >= s->apps[i].due_ns[r])
				p->alloc.units[r] = s->wanted[i].units[r];
		p->alloc.owner = s->wanted[i].owner;
		p->alloc.cap_ppm = s->wanted[i].cap_ppm;
	}
	for (size_t i = 0; i < s->q->mix.nr; i++) {
		struct sim_place *p = &s->places[i];
		double has = s->places[p->alloc.owner].alloc.units[RES_WAY];

		p->ways += has < p->ways ? has - p->ways : (has - p->ways) * TICK_S / WARM_S;
	}
}

/* Share of the requests of a tick that are later than the target: the tail is exponential. */
static double late_share(double base_ns, double p99_ns, double target_ns)
{
	if (target_ns <= base_ns)
		return 1;
	return p99_ns > base_ns ? exp(-P99_LOG * (target_ns - base_ns) / (p99_ns - base_ns)) : 0;
}

static void serve(struct run *s, size_t i, const struct sim_result *r)
{
	const struct sim_place *p = &s->places[i];
	struct app_run *a = &s->apps[i];
	double rps = p->load * p->app->max_rps, wait_ns, p99_ns;

	a->dram += r->dram_gb_per_s * TICK_S;
	a->work_s += TICK_S;
	a->cpi += TICK_S / r->speed;
	a->work +=
	    (p->app->be ? r->progress : fmin(p->load, r->capacity_rps / p->app->max_rps)) * TICK_S;
	if (s->measuring)
		a->progress_sum += r->progress * TICK_S;
	if (p->app->be)
		return;
	a->backlog = fmax(0, a->backlog + (rps - r->capacity_rps) * TICK_S);
	a->backlog = fmin(a->backlog, fmax(r->capacity_rps, rps) * BACKLOG_S);
	wait_ns = a->backlog / fmax(r->capacity_rps, rps * 0.01) * 1e9;
	p99_ns = r->p99_ns + wait_ns;
	a->weighted += p99_ns * TICK_S;
	a->weight += TICK_S;
	a->half += p99_ns * TICK_S;
	a->half_weight += TICK_S;
	if (!s->measuring)
		return;
	a->rate_sum += rps * TICK_S;
	a->late_sum += rps * TICK_S * late_share(r->base_ns + wait_ns, p99_ns, p->app->target_ns);
}

/* At the end of each half second: who missed the target in it? */
static void half(struct run *s, uint64_t now_ns)
{
	bool met = true;

	if (now_ns % HALF_NS)
		return;
	s->halves += s->measuring;
	for (size_t i = 0; i < s->q->mix.nr; i++) {
		struct app_run *a = &s->apps[i];
		double p99_ns = a->half_weight > 0 ? a->half / a->half_weight : 0;
		bool late = p99_ns > s->places[i].app->target_ns;

		a->half = a->half_weight = 0;
		if (s->places[i].app->be)
			continue;
		met &= !late;
		if (s->measuring) {
			a->p99_sum += p99_ns;
			a->violated += late;
		}
	}
	if (!met)
		s->met_since_ns = UINT64_MAX;
	else if (s->met_since_ns == UINT64_MAX)
		s->met_since_ns = now_ns;
}

static void change_load(struct run *s, uint64_t now_ns)
{
	const struct sim_trace *t = &s->q->trace;

	for (; s->next_change < t->nr && now_ns >= t->changes[s->next_change].at_ns;
	     s->next_change++)
		s->places[t->changes[s->next_change].app].load = t->changes[s->next_change].load;
}

static void tick(struct run *s, uint64_t now_ns)
{
	struct sim_result results[CTL_APPS_MAX];

	change_load(s, now_ns);
	step(s, now_ns);
	act(s, now_ns);
	s->total_dram = sim_evaluate(s->m, s->places, s->q->mix.nr, results);
	for (size_t i = 0; i < s->q->mix.nr; i++)
		serve(s, i, &results[i]);
	half(s, now_ns + SIM_TICK_NS);
}

static void judge_end(struct run *s)
{
	struct sim_result results[CTL_APPS_MAX];
	size_t nr = s->q->mix.nr;

	for (size_t i = 0; i < nr; i++) {
		s->places[i].alloc = s->wanted[i];
		s->places[i].ways = s->wanted[s->wanted[i].owner].units[RES_WAY];
	}
	sim_evaluate(s->m, s->places, nr, results);
	s->answer->final_met = sim_all_met(s->places, nr, results);
	for (size_t i = 0; i < nr; i++)
		s->answer->final_progress += results[i].progress;
}

static void sum_up(struct run *s, double measured_s)
{
	struct sim_answer *a = s->answer;

	a->met = s->halves > 0;
	for (size_t i = 0; i < s->q->mix.nr; i++) {
		const struct app_run *r = &s->apps[i];

		a->alloc[i] = s->wanted[i];
		a->progress[i] = measured_s > 0 ? r->progress_sum / measured_s : 0;
		if (s->places[i].app->be) {
			a->emu += a->progress[i];
			continue;
		}
		a->late[i] = r->rate_sum > 0 ? r->late_sum / r->rate_sum : 1;
		a->violated[i] = s->halves ? r->violated / (double)s->halves : 1;
		a->p99_ns[i] = s->halves ? r->p99_sum / (double)s->halves : NAN;
		if (a->late[i] > 0.01)
			a->met = false;
		else
			a->emu += s->places[i].load;
	}
	a->changes_per_s = measured_s > 0 ? (double)s->changes / measured_s : 0;
	a->reversals_per_s = measured_s > 0 ? (double)s->reversals / measured_s : 0;
}

static void begin(struct run *s)
{
	s->met_since_ns = UINT64_MAX;
	for (size_t i = 0; i < s->q->mix.nr; i++)
		s->places[i] =
		    (struct sim_place){.app = s->q->mix.apps[i], .load = s->q->mix.load[i]};
	sim_unmanaged(s->m, s->places, s->q->mix.nr);
	for (size_t i = 0; i < s->q->mix.nr; i++)
		s->wanted[i] = s->before[i] = s->places[i].alloc;
}

int sim_run(const struct sim_machine *m, const struct sim_question *q, struct sim_answer *ret)
{
	const struct controller *c = q->controller;
	struct run s = {.m = m, .q = q, .answer = ret, .random = q->seed ^ 0x51};
	uint64_t now_ns = 0, end_ns = UINT64_MAX;

	*ret = (struct sim_answer){.settled_ns = UINT64_MAX, .migrate = -1};
	s.state = c ? c->create(c->options, q->seed) : NULL;
	if (c && !s.state)
		return -ENOMEM;
	begin(&s);
	for (; now_ns < end_ns; now_ns += SIM_TICK_NS) {
		tick(&s, now_ns);
		if (ret->settled_ns == UINT64_MAX && s.met_since_ns != UINT64_MAX &&
		    now_ns + SIM_TICK_NS - s.met_since_ns >= STAYS_NS)
			ret->settled_ns = s.met_since_ns;
		if (s.measuring || (ret->settled_ns == UINT64_MAX && now_ns < q->settle_ns) ||
		    now_ns < STAYS_NS)
			continue;
		s.measuring = true;
		s.from_ns = now_ns + SIM_TICK_NS;
		end_ns = s.from_ns + q->measure_ns;
	}
	judge_end(&s);
	sum_up(&s, (double)(now_ns - s.from_ns) / 1e9);
	if (c)
		c->destroy(s.state);
	return 0;
}
