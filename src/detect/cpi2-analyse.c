/* SPDX-License-Identifier: MIT */
/* Whose CPU use goes with the victim's CPI: ranking, naming, and what a cap said of a name. */
#include <stdlib.h>
#include "base/cleanup.h"
#include "detect/cpi2-internal.h"

#define TRIAL_SAMPLES 3
#define REFUTED_NS    3600000000000ull
#define TRIALS_MAX    65536

/* What one of the victim's samples says, for or against whoever used the CPU then: -1..1. */
static double term(double cpi, double threshold)
{
	if (cpi > threshold)
		return 1 - threshold / cpi;
	return cpi / threshold - 1;
}

double cpi2_correlation(const double *cpi, const double *use, size_t n, double threshold)
{
	double sum = 0, all = 0;

	for (size_t i = 0; i < n; i++) {
		sum += use[i] * term(cpi[i], threshold);
		all += use[i];
	}
	return all > 0 ? sum / all : 0;
}

double cpi2_ceiling(double cpi_max, double threshold)
{
	return cpi_max > threshold ? 1 - threshold / cpi_max : 0;
}

/* The victim's last periods in which its CPI is known. */
struct course {
	size_t nr;
	uint32_t at[CPI2_SLOTS_MAX], number[CPI2_SLOTS_MAX];
	double terms[CPI2_SLOTS_MAX], most;
};

static void course_of(const struct cpi2 *e, uint32_t task, double threshold, struct course *ret)
{
	const struct cpi2_slot *slots = &e->slots[(size_t)task * e->nr_slots];

	ret->nr = 0;
	ret->most = 0;
	for (uint32_t i = 0; i < e->nr_slots; i++) {
		double cpi = slots[i].cpi_ppm;

		if (!slots[i].number || !slots[i].cpi_ppm ||
		    slots[i].number + e->nr_slots <= e->slot)
			continue;
		ret->at[ret->nr] = i;
		ret->number[ret->nr] = slots[i].number;
		ret->terms[ret->nr++] = term(cpi, threshold);
		ret->most = cpi > ret->most ? cpi : ret->most;
	}
}

/* A period of which nothing is known of the suspect is one in which it did not run. */
static double correlate(const struct cpi2 *e, const struct course *c, uint32_t suspect,
			double *ret_use)
{
	const struct cpi2_slot *slots = &e->slots[(size_t)suspect * e->nr_slots];
	double sum = 0, all = 0;

	for (size_t i = 0; i < c->nr; i++) {
		const struct cpi2_slot *s = &slots[c->at[i]];

		if (s->number != c->number[i])
			continue;
		sum += s->cpu_ppm * c->terms[i];
		all += s->cpu_ppm;
	}
	*ret_use = all;
	return all > 0 ? sum / all : 0;
}

static void rank(struct cpi2_alarm *a, uint32_t task, double correlation)
{
	uint32_t i = a->nr_suspects;

	if (i == CPI2_SUSPECTS && correlation <= a->suspects[i - 1].correlation)
		return;
	if (i < CPI2_SUSPECTS)
		a->nr_suspects++;
	else
		i--;
	for (; i > 0 && a->suspects[i - 1].correlation < correlation; i--)
		a->suspects[i] = a->suspects[i - 1];
	a->suspects[i] = (struct cpi2_suspect){task, correlation};
}

static void find_suspects(struct cpi2 *e, struct cpi2_alarm *a, uint32_t *ret_largest)
{
	const struct cpi2_task *victim = &e->tasks[a->task];
	struct course c;
	double use, most = 0;

	course_of(e, a->task, a->threshold_ppm, &c);
	a->needed = e->cfg.correlation_ppm / MILLION;
	if (e->cfg.ceiling_ppm)
		a->needed = e->cfg.ceiling_ppm / MILLION * cpi2_ceiling(c.most, a->threshold_ppm);
	*ret_largest = CPI2_NONE;
	for (uint32_t i = e->machines[victim->machine].first; i != CPI2_NONE;
	     i = e->tasks[i].next) {
		const struct cpi2_task *t = &e->tasks[i];
		double correlation;

		if (t->spec == victim->spec || t->newest + e->nr_slots <= e->slot ||
		    cpi2_is_refuted(e, a->task, i, a->time_ns))
			continue;
		correlation = correlate(e, &c, i, &use);
		if (use <= 0)
			continue;
		rank(a, i, correlation);
		if (t->class != CLASS_LC && use > most) {
			most = use;
			*ret_largest = i;
		}
	}
}

static uint32_t name(const struct cpi2 *e, const struct cpi2_alarm *a, uint32_t largest)
{
	const struct cpi2_suspect *first = &a->suspects[0];

	if (e->tasks[a->task].class == CLASS_BE)
		return CPI2_NONE;
	if (a->nr_suspects && first->correlation >= a->needed && a->needed > 0 &&
	    e->tasks[first->task].class != CLASS_LC)
		return first->task;
	return e->cfg.blame_largest ? largest : CPI2_NONE;
}

void cpi2_analyse(struct cpi2 *e, const struct cpi2_wait *w)
{
	struct cpi2_machine *m = &e->machines[e->tasks[w->task].machine];
	uint64_t at_ns = w->time_ns > m->free_ns ? w->time_ns : m->free_ns;
	struct cpi2_alarm a = {.time_ns = w->time_ns,
			       .task = w->task,
			       .cpi_ppm = w->cpi_ppm,
			       .mean_ppm = w->mean_ppm,
			       .threshold_ppm = w->threshold_ppm,
			       .begins = w->begins,
			       .culprit = CPI2_NONE};
	uint32_t largest;

	/* Those who have to wait are analysed in turn, as long as what they are about is new. */
	a.analysed = at_ns < w->time_ns + e->cfg.period_ns;
	if (a.analysed) {
		m->free_ns = at_ns + e->cfg.analysis_gap_ns;
		e->tally.analyses++;
		find_suspects(e, &a, &largest);
		a.culprit = name(e, &a, largest);
		e->tally.named += a.culprit != CPI2_NONE;
	} else {
		e->tally.limited++;
	}
	if (e->fn)
		e->fn(&a, e->arg);
}

static struct cpi2_trial *trial_of(const struct cpi2 *e, uint32_t victim, uint32_t culprit)
{
	for (size_t i = 0; i < e->nr_trials; i++)
		if (e->trials[i].victim == victim && e->trials[i].culprit == culprit)
			return &e->trials[i];
	return NULL;
}

bool cpi2_is_refuted(const struct cpi2 *e, uint32_t victim, uint32_t culprit, uint64_t now_ns)
{
	const struct cpi2_trial *t = e->nr_trials ? trial_of(e, victim, culprit) : NULL;

	return t && t->until_ns > now_ns;
}

void cpi2_trials_forget(struct cpi2 *e, uint32_t task)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->nr_trials; i++)
		if (e->trials[i].victim != task && e->trials[i].culprit != task)
			e->trials[kept++] = e->trials[i];
	e->nr_trials = kept;
}

/* What is over makes room. */
static void trials_drop(struct cpi2 *e, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->nr_trials; i++)
		if (!e->trials[i].until_ns || e->trials[i].until_ns > now_ns)
			e->trials[kept++] = e->trials[i];
	e->nr_trials = kept;
}

int cpi2_capped(struct cpi2 *e, uint32_t victim, uint32_t culprit, uint64_t now_ns)
{
	struct cpi2_trial *t;

	if (!e->cfg.verify || victim >= e->tasks_cap || culprit >= e->tasks_cap)
		return -EINVAL;
	trials_drop(e, now_ns);
	t = trial_of(e, victim, culprit);
	if (!t && e->nr_trials == TRIALS_MAX)
		return -ENOSPC;
	if (!t) {
		int r = cpi2_grow((void **)&e->trials, &e->trials_cap, e->nr_trials + 1,
				  sizeof(*e->trials));

		if (r < 0)
			return r;
		t = &e->trials[e->nr_trials++];
	}
	*t = (struct cpi2_trial){.victim = victim, .culprit = culprit};
	e->tasks[victim].verifying = true;
	e->tally.capped++;
	return 0;
}

void cpi2_trial_sample(struct cpi2 *e, uint32_t task, uint32_t cpi_ppm, uint32_t threshold_ppm,
		       uint64_t time_ns)
{
	bool open = false;

	for (size_t i = 0; i < e->nr_trials; i++) {
		struct cpi2_trial *t = &e->trials[i];

		if (t->victim != task || t->until_ns)
			continue;
		t->nr++;
		t->sum_ppm += cpi_ppm;
		if (t->nr < TRIAL_SAMPLES) {
			open = true;
		} else if (t->sum_ppm / t->nr <= threshold_ppm) {
			e->tally.confirmed++;
			t->until_ns = time_ns; /* over */
		} else {
			e->tally.refuted++;
			t->until_ns = time_ns + REFUTED_NS;
		}
	}
	e->tasks[task].verifying = open;
}
