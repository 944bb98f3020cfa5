/* SPDX-License-Identifier: MIT */
/* The way of a sample: its period, its spec, its outliers. Suspects are ranked in cpi2-analyse.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "detect/cpi2-internal.h"

#define AHEAD 16 /* samples whose memory is under way */

int cpi2_grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap + *cap / 2 + 64;
	char *grown;

	if (need <= *cap)
		return 0;
	more = more < need ? need : more;
	grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	memset(grown + *cap * size, 0, (more - *cap) * size);
	*array = grown;
	*cap = more;
	return 0;
}

int cpi2_new(const struct cpi2_config *c, cpi2_alarm_fn fn, void *arg, struct cpi2 **ret)
{
	struct cpi2 *e;

	if (cpi2_config_check(c, NULL) < 0)
		return -EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->cfg = *c;
	e->fn = fn;
	e->arg = arg;
	e->nr_bins = c->bin_cpu_ppm ? CPI2_BINS : 1;
	e->nr_slots = (uint32_t)(c->correlate_ns / c->period_ns);
	*ret = e;
	return 0;
}

void cpi2_free(struct cpi2 *e)
{
	if (!e)
		return;
	free(e->tasks);
	free(e->slots);
	free(e->sums);
	free(e->specs);
	free(e->machines);
	free(e->waits);
	free(e->trials);
	free(e);
}

size_t cpi2_task_bytes(const struct cpi2_config *c)
{
	size_t bins = c->bin_cpu_ppm ? CPI2_BINS : 1, slots = c->correlate_ns / c->period_ns;

	return sizeof(struct cpi2_task) + slots * sizeof(struct cpi2_slot) +
	       bins * sizeof(struct cpi2_sums);
}

const struct cpi2_tally *cpi2_tally(const struct cpi2 *e)
{
	return &e->tally;
}

/* The arrays of tasks grow together, so that tasks_cap holds for all of them. */
static int tasks_grow(struct cpi2 *e, size_t need)
{
	size_t cap = e->tasks_cap, slots = cap, sums = cap;
	int r;

	if (need <= cap)
		return 0;
	r = cpi2_grow((void **)&e->slots, &slots, need, e->nr_slots * sizeof(*e->slots));
	if (r == 0)
		r = cpi2_grow((void **)&e->sums, &sums, need, e->nr_bins * sizeof(*e->sums));
	if (r == 0)
		r = cpi2_grow((void **)&e->tasks, &cap, need, sizeof(*e->tasks));
	if (r == 0)
		e->tasks_cap = cap;
	return r;
}

int cpi2_task_add(struct cpi2 *e, uint32_t task, uint32_t spec, uint32_t machine,
		  enum zone_class class)
{
	struct cpi2_task *t;
	size_t old = e->machines_cap;

	if (task >= CPI2_TASKS_MAX || spec >= CPI2_TASKS_MAX || machine >= CPI2_TASKS_MAX)
		return -ENOSPC;
	if (task < e->tasks_cap && e->tasks[task].added)
		return -EEXIST;
	if (tasks_grow(e, task + 1ul) < 0 ||
	    cpi2_grow((void **)&e->specs, &e->specs_cap, spec + 1ul,
		      e->nr_bins * sizeof(*e->specs)) < 0 ||
	    cpi2_grow((void **)&e->machines, &e->machines_cap, machine + 1ul,
		      sizeof(*e->machines)) < 0)
		return -ENOMEM;
	for (; old < e->machines_cap; old++)
		e->machines[old].first = CPI2_NONE;
	t = &e->tasks[task];
	*t = (struct cpi2_task){.spec = spec,
				.machine = machine,
				.class = (uint8_t) class,
				.added = true,
				.next = e->machines[machine].first};
	e->machines[machine].first = task;
	return 0;
}

int cpi2_task_renew(struct cpi2 *e, uint32_t task, enum zone_class class)
{
	struct cpi2_task *t = task < e->tasks_cap ? &e->tasks[task] : NULL;
	size_t kept = 0;

	if (!t || !t->added)
		return -ENOENT;
	*t = (struct cpi2_task){.spec = t->spec,
				.machine = t->machine,
				.class = (uint8_t) class,
				.added = true,
				.next = t->next};
	memset(&e->slots[(size_t)task * e->nr_slots], 0, e->nr_slots * sizeof(*e->slots));
	memset(&e->sums[(size_t)task * e->nr_bins], 0, e->nr_bins * sizeof(*e->sums));
	for (size_t i = 0; i < e->nr_waits; i++)
		if (e->waits[i].task != task)
			e->waits[kept++] = e->waits[i];
	e->nr_waits = kept;
	cpi2_trials_forget(e, task);
	return 0;
}

static void sums_add(struct cpi2_sums *s, uint32_t cpi_ppm)
{
	double x = cpi_ppm / MILLION;

	s->n += 1;
	s->sum += x;
	s->squares += x * x;
}

/* Mean and deviation in ppm of 1; the sums are not empty. */
static void sums_level(const struct cpi2_sums *s, double *ret_mean, double *ret_stddev)
{
	double mean = s->sum / s->n, variance = s->squares / s->n - mean * mean;

	*ret_mean = mean * MILLION;
	*ret_stddev = variance > 0 ? sqrt(variance) * MILLION : 0;
}

static uint32_t limit_ppm(const struct cpi2 *e, double mean_ppm, double stddev_ppm)
{
	double limit = mean_ppm + e->cfg.sigmas_ppm / MILLION * stddev_ppm;

	return limit < UINT32_MAX ? (uint32_t)lround(limit) : UINT32_MAX;
}

static int spec_fill(const struct cpi2 *e, struct cpi2_spec *spec, double mean, double stddev)
{
	spec->mean_ppm = mean < UINT32_MAX ? (uint32_t)lround(mean) : UINT32_MAX;
	spec->stddev_ppm = stddev < UINT32_MAX ? (uint32_t)lround(stddev) : UINT32_MAX;
	spec->threshold_ppm = limit_ppm(e, mean, stddev);
	return 0;
}

int cpi2_spec_set(struct cpi2 *e, uint32_t spec, uint32_t bin, uint32_t mean_ppm,
		  uint32_t stddev_ppm)
{
	if (spec >= CPI2_TASKS_MAX || bin >= e->nr_bins || !mean_ppm)
		return -EINVAL;
	if (cpi2_grow((void **)&e->specs, &e->specs_cap, spec + 1ul,
		      e->nr_bins * sizeof(*e->specs)) < 0)
		return -ENOMEM;
	return spec_fill(e, &e->specs[(size_t)spec * e->nr_bins + bin], mean_ppm, stddev_ppm);
}

bool cpi2_spec_get(const struct cpi2 *e, uint32_t spec, uint32_t bin, uint32_t *ret_mean_ppm,
		   uint32_t *ret_stddev_ppm)
{
	const struct cpi2_spec *s;

	if (spec >= e->specs_cap || bin >= e->nr_bins)
		return false;
	s = &e->specs[(size_t)spec * e->nr_bins + bin];
	*ret_mean_ppm = s->mean_ppm;
	*ret_stddev_ppm = s->stddev_ppm;
	return s->threshold_ppm != 0;
}

static size_t bin_of(const struct cpi2 *e, uint32_t cpu_ppm)
{
	uint32_t bin = e->nr_bins > 1 ? cpu_ppm / e->cfg.bin_cpu_ppm : 0;

	return bin < e->nr_bins ? bin : e->nr_bins - 1;
}

/* New specs from what was sampled since the last. Older samples weigh less; a spec that saw too few
 * tasks keeps what it had. */
static int specs_renew(struct cpi2 *e)
{
	size_t nr = e->specs_cap * e->nr_bins;
	struct sum {
		struct cpi2_sums sums;
		uint32_t tasks;
	} *fresh = calloc(nr ? nr : 1, sizeof(*fresh));
	double age = e->cfg.age_ppm / MILLION, mean, stddev;

	if (!fresh)
		return -ENOMEM;
	for (size_t i = 0; i < e->tasks_cap * e->nr_bins; i++) {
		const struct cpi2_task *t = &e->tasks[i / e->nr_bins];
		struct sum *f = &fresh[(size_t)t->spec * e->nr_bins + i % e->nr_bins];

		if (t->added && e->sums[i].n >= e->cfg.min_samples) {
			f->tasks++;
			f->sums.n += e->sums[i].n;
			f->sums.sum += e->sums[i].sum;
			f->sums.squares += e->sums[i].squares;
		}
		e->sums[i] = (struct cpi2_sums){0};
	}
	for (size_t i = 0; i < nr; i++) {
		struct cpi2_sums *past = &e->specs[i].past;

		if (fresh[i].tasks < e->cfg.min_tasks)
			continue;
		past->n = past->n * age + fresh[i].sums.n;
		past->sum = past->sum * age + fresh[i].sums.sum;
		past->squares = past->squares * age + fresh[i].sums.squares;
		sums_level(past, &mean, &stddev);
		spec_fill(e, &e->specs[i], mean, stddev);
	}
	free(fresh);
	return 0;
}

/* The period is over. Its alarms are told, and another begins; a pause makes old slots invalid by
 * their numbers. */
int cpi2_advance(struct cpi2 *e, uint64_t now_ns)
{
	uint64_t periods;
	int r = 0;

	if (!e->started) {
		e->started = true;
		e->slot = 1;
		e->slot_ns = now_ns;
		e->slot_end_ns = now_ns + e->cfg.period_ns;
		e->spec_at_ns = now_ns + e->cfg.spec_ns;
		return 0;
	}
	if (now_ns < e->slot_end_ns)
		return 0;
	for (size_t i = 0; i < e->nr_waits; i++)
		cpi2_analyse(e, &e->waits[i]);
	e->nr_waits = 0;
	periods = (now_ns - e->slot_ns) / e->cfg.period_ns;
	if (periods >= UINT32_MAX - e->slot)
		return -ERANGE;
	e->slot += (uint32_t)periods;
	e->at = e->slot % e->nr_slots;
	e->slot_ns += periods * e->cfg.period_ns;
	e->slot_end_ns = e->slot_ns + e->cfg.period_ns;
	if (now_ns >= e->spec_at_ns) {
		if (!e->cfg.own)
			r = specs_renew(e);
		e->spec_at_ns += ((now_ns - e->spec_at_ns) / e->cfg.spec_ns + 1) * e->cfg.spec_ns;
	}
	return r;
}

struct limit {
	uint32_t mean_ppm, threshold_ppm; /* threshold 0: not known */
};

static struct limit limit_of(const struct cpi2 *e, uint32_t task, size_t bin)
{
	const struct cpi2_sums *own = &e->sums[(size_t)task * e->nr_bins + bin];
	const struct cpi2_spec *spec = &e->specs[(size_t)e->tasks[task].spec * e->nr_bins + bin];
	double mean, stddev;

	if (!e->cfg.own)
		return (struct limit){spec->mean_ppm, spec->threshold_ppm};
	if (own->n < e->cfg.min_samples)
		return (struct limit){0};
	sums_level(own, &mean, &stddev);
	return (struct limit){(uint32_t)lround(mean), limit_ppm(e, mean, stddev)};
}

uint32_t cpi2_threshold_ppm(const struct cpi2 *e, uint32_t task, uint32_t cpu_ppm)
{
	if (task >= e->tasks_cap || !e->tasks[task].added)
		return 0;
	return limit_of(e, task, bin_of(e, cpu_ppm)).threshold_ppm;
}

/* Own past: a sample teaches when it leaves the ring, that is after correlate_ns. */
static void learn_own(struct cpi2 *e, uint32_t task, const struct cpi2_slot *old)
{
	size_t bin = bin_of(e, old->cpu_ppm);
	struct limit limit;

	if (!old->number || !old->cpi_ppm)
		return;
	limit = limit_of(e, task, bin);
	if (e->cfg.skip_outliers && limit.threshold_ppm && old->cpi_ppm > limit.threshold_ppm)
		return;
	sums_add(&e->sums[(size_t)task * e->nr_bins + bin], old->cpi_ppm);
}

static void push_outlier(struct cpi2_task *t, uint32_t keep, uint64_t time_ns)
{
	if (t->nr_outliers == keep)
		memmove(t->outlier_ns, t->outlier_ns + 1,
			--t->nr_outliers * sizeof(t->outlier_ns[0]));
	t->outlier_ns[t->nr_outliers++] = time_ns;
}

static int judge(struct cpi2 *e, const struct cpi2_sample *s, struct cpi2_task *t,
		 struct limit limit)
{
	bool was = t->anomalous;
	int r;

	e->tally.judged++;
	if (t->verifying)
		cpi2_trial_sample(e, s->task, s->cpi_ppm, limit.threshold_ppm, s->time_ns);
	if (s->cpi_ppm > limit.threshold_ppm) {
		e->tally.outliers++;
		push_outlier(t, e->cfg.outliers, s->time_ns);
	}
	t->anomalous =
	    t->nr_outliers == e->cfg.outliers && s->time_ns - t->outlier_ns[0] < e->cfg.window_ns;
	if (!t->anomalous)
		return 0;
	e->tally.episodes += !was;
	r = cpi2_grow((void **)&e->waits, &e->waits_cap, e->nr_waits + 1, sizeof(*e->waits));
	if (r == 0)
		e->waits[e->nr_waits++] = (struct cpi2_wait){.time_ns = s->time_ns,
							     .task = s->task,
							     .cpi_ppm = s->cpi_ppm,
							     .mean_ppm = limit.mean_ppm,
							     .threshold_ppm = limit.threshold_ppm,
							     .begins = !was};
	return r;
}

int cpi2_sample(struct cpi2 *e, const struct cpi2_sample *s)
{
	struct cpi2_task *t = &e->tasks[s->task];
	struct cpi2_slot *slot;
	bool idle = s->cpu_ppm < e->cfg.min_cpu_ppm || !s->cpi_ppm;
	struct limit limit;
	size_t bin;
	int r = s->time_ns >= e->slot_end_ns || !e->started ? cpi2_advance(e, s->time_ns) : 0;

	if (r < 0)
		return r;
	e->tally.samples++;
	if (s->time_ns < e->slot_ns) {
		e->tally.late++;
		return 0;
	}
	if (t->newest == e->slot) {
		e->tally.extra++;
		return 0;
	}
	t->newest = e->slot;
	slot = &e->slots[(size_t)s->task * e->nr_slots + e->at];
	if (e->cfg.own)
		learn_own(e, s->task, slot);
	*slot = (struct cpi2_slot){e->slot, idle ? 0 : s->cpi_ppm, s->cpu_ppm};
	if (idle) {
		e->tally.idle++;
		return 0;
	}
	bin = bin_of(e, s->cpu_ppm);
	limit = limit_of(e, s->task, bin);
	if (!e->cfg.own)
		sums_add(&e->sums[(size_t)s->task * e->nr_bins + bin], s->cpi_ppm);
	if (limit.threshold_ppm)
		return judge(e, s, t, limit);
	e->tally.unjudged++;
	return 0;
}

/* What a sample of the task will touch. */
static void fetch_ahead(const struct cpi2 *e, uint32_t task)
{
	__builtin_prefetch(&e->tasks[task], 1);
	__builtin_prefetch(&e->slots[(size_t)task * e->nr_slots + e->at], 1);
	__builtin_prefetch(&e->sums[(size_t)task * e->nr_bins], 1);
}

int cpi2_samples(struct cpi2 *e, const struct cpi2_sample *s, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (i + AHEAD < n)
			fetch_ahead(e, s[i + AHEAD].task);
		r = cpi2_sample(e, &s[i]);
	}
	return r;
}

bool cpi2_is_anomalous(const struct cpi2 *e, uint32_t task)
{
	return task < e->tasks_cap && e->tasks[task].anomalous;
}
