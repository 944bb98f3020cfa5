/* SPDX-License-Identifier: MIT */
#include "replay/usage-run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "detect/prm.h"
#include "replay/names.h"

#define DAY_NS 86400e9

struct job {
	uint32_t name;
	enum zone_class class;
};
struct task {
	uint32_t name, job, machine; /* names */
	uint32_t told, true_culprit; /* told: whom the episode at hand has named */
	uint32_t worst_suspect;	     /* task */
	uint64_t alarms;
	uint64_t hurt_ns; /* the last time at which it was hurt in truth; 0: never */
	bool span_found;
	/* rows of the same time that are not yet a sample */
	bool pending;
	uint64_t pending_ns;
	double cycles, instructions, misses, cpu_ppm;
	uint32_t spec;
	struct prm_sample last;
};

struct usage_run {
	struct cpi2_config cfg;
	struct usage_sink sink;
	bool lenient;
	struct cpi2 *e;
	struct names tasks, specs, machines, words; /* words: names to print */
	struct task *task;
	size_t task_cap;
	struct prm_model **model; /* by spec; NULL until a row tells more than CPI */
	size_t model_cap;
	struct job *job_of; /* by word of a task's name */
	size_t job_cap;
	uint32_t *pending;
	size_t nr_pending, pending_cap;
	struct usage_result result;
};

static void on_alarm(const struct cpi2_alarm *a, void *arg);

int usage_run_new(const struct cpi2_config *c, const struct usage_sink *sink, bool lenient,
		  struct usage_run **ret)
{
	struct usage_run *u = calloc(1, sizeof(*u));
	uint32_t empty;

	if (!u)
		return -ENOMEM;
	u->cfg = *c;
	u->sink = *sink;
	u->lenient = lenient;
	if (cpi2_new(c, on_alarm, u, &u->e) < 0 || names_id(&u->words, "", &empty) < 0) {
		usage_run_free(u);
		return -ENOMEM;
	}
	*ret = u;
	return 0;
}

void usage_run_free(struct usage_run *u)
{
	if (!u)
		return;
	cpi2_free(u->e);
	names_done(&u->tasks);
	names_done(&u->specs);
	names_done(&u->machines);
	names_done(&u->words);
	free(u->task);
	free(u->job_of);
	for (size_t i = 0; i < u->model_cap; i++)
		free(u->model[i]);
	free(u->model);
	free(u->pending);
	free(u);
}

static int grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap * 2 > need ? *cap * 2 : need + 64;
	char *grown;

	if (need <= *cap)
		return 0;
	grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	memset(grown + *cap * size, 0, (more - *cap) * size);
	*array = grown;
	*cap = more;
	return 0;
}

static const char *word(const struct usage_run *u, uint32_t id)
{
	return names_text(&u->words, id);
}

/* ---- the truth, where it is told ---- */

static bool is_hurt(const struct usage_run *u, const struct task *t, uint64_t now_ns)
{
	return t->hurt_ns && (now_ns < t->hurt_ns || now_ns - t->hurt_ns < u->cfg.window_ns);
}

static int learn_truth(struct usage_run *u, struct task *t, const struct usage_row *row)
{
	if (row->label < 0)
		return 0;
	u->result.has_labels = true;
	if (!row->label)
		return 0;
	if (!is_hurt(u, t, row->time_ns)) {
		u->result.spans++;
		t->span_found = false;
	}
	t->hurt_ns = row->time_ns ? row->time_ns : 1;
	if (!row->culprit[0])
		return 0;
	u->result.has_culprits = true;
	return names_id(&u->words, row->culprit, &t->true_culprit);
}

static void judge_alarm(struct usage_run *u, struct task *t, const struct cpi2_alarm *a, bool named)
{
	bool hurt = is_hurt(u, t, a->time_ns);
	const struct task *culprit = a->culprit == CPI2_NONE ? NULL : &u->task[a->culprit];

	if (!u->result.has_labels)
		return;
	if (hurt && !t->span_found) {
		t->span_found = true;
		u->result.spans_found++;
	}
	if (a->begins && hurt)
		u->result.true_episodes++;
	else if (a->begins)
		u->result.false_episodes++;
	if (!named || (hurt && !t->true_culprit))
		return;
	if (hurt && (culprit->name == t->true_culprit || culprit->job == t->true_culprit))
		u->result.names_right++;
	else
		u->result.names_wrong++;
}

/* What is lacking, as text; buf >= 64. */
static const char *lacking_of(const struct usage_run *u, const struct task *t, char *buf,
			      size_t size)
{
	const struct prm_model *m = t->spec < u->model_cap ? u->model[t->spec] : NULL;
	uint32_t lacking = m ? prm_judge(m, &t->last) & ~(uint32_t)PRM_UNKNOWN : 0;
	size_t len = 0;

	buf[0] = 0;
	for (uint32_t bit = 1; bit <= lacking; bit <<= 1)
		if (lacking & bit)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "",
						prm_resource_name((enum prm_resource)bit));
	return buf;
}

static void on_alarm(const struct cpi2_alarm *a, void *arg)
{
	struct usage_run *u = arg;
	struct task *t = &u->task[a->task];
	char lacking[64];
	uint32_t name = a->culprit == CPI2_NONE ? 0 : u->task[a->culprit].name;
	bool named = a->culprit != CPI2_NONE && (a->begins || name != t->told);
	struct usage_alarm told = {.time_ns = a->time_ns,
				   .task = word(u, t->name),
				   .job = word(u, t->job),
				   .machine = word(u, t->machine),
				   .culprit = word(u, name),
				   .cpi_ppm = a->cpi_ppm,
				   .mean_ppm = a->mean_ppm,
				   .threshold_ppm = a->threshold_ppm,
				   .begins = a->begins,
				   .analysed = a->analysed,
				   .needed = a->needed,
				   .nr_suspects = a->nr_suspects,
				   .lacking = lacking_of(u, t, lacking, sizeof(lacking))};

	t->alarms++;
	if (a->begins)
		t->told = 0;
	if (a->nr_suspects)
		t->worst_suspect = a->culprit == CPI2_NONE ? a->suspects[0].task : a->culprit;
	judge_alarm(u, t, a, named);
	told.label = u->result.has_labels ? is_hurt(u, t, a->time_ns) : -1;
	for (size_t i = 0; i < a->nr_suspects; i++)
		told.suspects[i] = (struct usage_suspect){
		    word(u, u->task[a->suspects[i].task].name), a->suspects[i].correlation};
	if (named)
		t->told = name;
	if (u->sink.alarm && (a->begins || named))
		u->sink.alarm(&told, u->sink.arg);
}

/* ---- rows ---- */

/* Numbers for the row's task, at its first row. A task that moved to another machine is another. */
static int task_of(struct usage_run *u, const struct usage_row *row, uint32_t *ret)
{
	uint32_t id, spec, machine, name, job_name, machine_name;
	const struct job *given;
	enum zone_class class = row->class;
	size_t before = u->tasks.nr;
	int r = names_pair(&u->tasks, row->task, row->machine, &id);

	*ret = id;
	if (r < 0 || u->tasks.nr == before)
		return r;
	if (names_id(&u->words, row->task, &name) < 0 ||
	    names_id(&u->words, row->machine, &machine_name) < 0 ||
	    names_id(&u->words, row->job, &job_name) < 0 ||
	    names_id(&u->machines, row->machine, &machine) < 0 ||
	    grow((void **)&u->task, &u->task_cap, id + 1ul, sizeof(*u->task)) < 0)
		return -ENOMEM;
	given = name < u->job_cap && u->job_of[name].name ? &u->job_of[name] : NULL;
	if (given && !job_name)
		job_name = given->name;
	if (given && class == CLASS_NORMAL)
		class = given->class;
	r = names_pair(&u->specs, job_name ? word(u, job_name) : row->task, row->platform, &spec);
	if (r < 0)
		return r;
	u->task[id] = (struct task){.name = name,
				    .job = job_name,
				    .machine = machine_name,
				    .worst_suspect = CPI2_NONE,
				    .spec = spec};
	return cpi2_task_add(u->e, id, spec, machine, class);
}

static int push(struct usage_run *u, uint32_t id, uint64_t time_ns, uint32_t cpi_ppm,
		uint32_t cpu_ppm)
{
	struct cpi2_sample s = {
	    .time_ns = time_ns, .task = id, .cpi_ppm = cpi_ppm, .cpu_ppm = cpu_ppm};

	return cpi2_sample(u->e, &s);
}

/* Beside CPI: the job's fences learn from its tasks while they are well. After the sample was
 * judged. */
static int learn_more(struct usage_run *u, uint32_t id, uint32_t cpi_ppm, uint32_t cpu_ppm,
		      double mpki, double bandwidth)
{
	struct task *t = &u->task[id];
	uint32_t threshold;
	int r;

	if (!cpi_ppm || (isnan(mpki) && isnan(bandwidth)))
		return 0;
	r = grow((void **)&u->model, &u->model_cap, t->spec + 1ul, sizeof(*u->model));
	if (r == 0 && !u->model[t->spec]) {
		u->model[t->spec] = calloc(1, sizeof(**u->model));
		if (u->model[t->spec])
			u->model[t->spec]->cpus = PRM_BINS / 2 - 1;
	}
	if (r < 0 || !u->model[t->spec])
		return -ENOMEM;
	t->last = (struct prm_sample){cpu_ppm, {cpi_ppm / 1e6, mpki, NAN, bandwidth, NAN}};
	threshold = cpi2_threshold_ppm(u->e, id, cpu_ppm);
	if (!cpi2_is_anomalous(u->e, id) && (!threshold || cpi_ppm <= threshold))
		prm_learn(u->model[t->spec], &t->last);
	return 0;
}

static uint32_t clamp_ppm(double x)
{
	return x < UINT32_MAX ? (uint32_t)lround(x) : UINT32_MAX;
}

static int flush_pending(struct usage_run *u)
{
	int r = 0;

	for (size_t i = 0; i < u->nr_pending && r == 0; i++) {
		struct task *t = &u->task[u->pending[i]];
		double cpi = t->instructions > 0 ? t->cycles / t->instructions : 0;

		t->pending = false;
		r = push(u, u->pending[i], t->pending_ns, clamp_ppm(cpi * 1e6),
			 clamp_ppm(t->cpu_ppm));
		if (r == 0)
			r = learn_more(
			    u, u->pending[i], clamp_ppm(cpi * 1e6), clamp_ppm(t->cpu_ppm),
			    t->misses > 0 ? 1000 * t->misses / t->instructions : NAN, NAN);
	}
	u->nr_pending = 0;
	return r;
}

/* Counters of one CPU each: the task's sample is their sum. */
static int gather(struct usage_run *u, uint32_t id, const struct usage_row *row)
{
	struct task *t = &u->task[id];
	int r = 0;

	if (u->nr_pending && u->task[u->pending[0]].pending_ns != row->time_ns)
		r = flush_pending(u);
	if (r < 0)
		return r;
	if (!t->pending) {
		r = grow((void **)&u->pending, &u->pending_cap, u->nr_pending + 1,
			 sizeof(*u->pending));
		if (r < 0)
			return r;
		u->pending[u->nr_pending++] = id;
		t->pending = true;
		t->pending_ns = row->time_ns;
		t->cycles = t->instructions = t->misses = t->cpu_ppm = 0;
	}
	t->cycles += row->cycles;
	t->instructions += row->instructions;
	t->misses += row->misses;
	t->cpu_ppm += row->cpu_ppm;
	return 0;
}

static int take_row(struct usage_run *u, const struct usage_row *row)
{
	uint32_t id;
	int r = task_of(u, row, &id);

	if (r < 0)
		return r;
	if (!u->result.rows++)
		u->result.first_ns = row->time_ns;
	u->result.last_ns = row->time_ns > u->result.last_ns ? row->time_ns : u->result.last_ns;
	if (u->sink.row)
		u->sink.row(row, cpi2_threshold_ppm(u->e, id, row->cpu_ppm), u->sink.arg);
	if (row->instructions > 0 && !row->cpi_ppm) {
		r = gather(u, id, row);
	} else {
		r = push(u, id, row->time_ns, row->cpi_ppm, row->cpu_ppm);
		if (r == 0)
			r = learn_more(u, id, row->cpi_ppm, row->cpu_ppm, row->mpki,
				       row->bandwidth);
	}
	return r < 0 ? r : learn_truth(u, &u->task[id], row);
}

/* 1: a row; 0: the end, or -Exxx. */
static int next_row(struct usage_run *u, struct usage_reader *r, struct usage_row *row,
		    struct error *reterr)
{
	struct error e = {0};
	int err;

	while ((err = usage_next(r, row, &e)) == -EINVAL && u->lenient) {
		if (!u->result.bad_rows++)
			u->result.first_bad = e;
	}
	if (err < 0 && reterr) {
		*reterr = e;
		if (err == -EINVAL)
			error_hint(reterr, "--lenient counts such lines and goes on");
	}
	return err;
}

static int tell(int r, struct error *reterr)
{
	return r == -ENOSPC ? error_set(reterr, r, "more than %u tasks", CPI2_TASKS_MAX)
	       : r == -ERANGE
		   ? error_set(reterr, r, "the times are too far apart: is the unit right?")
		   : error_set(reterr, r, "out of memory");
}

int usage_run_file(struct usage_run *u, struct usage_reader *r, struct error *reterr)
{
	struct usage_row row;
	int err;

	while ((err = next_row(u, r, &row, reterr)) > 0) {
		err = take_row(u, &row);
		if (err < 0)
			return tell(err, reterr);
	}
	return err;
}

int usage_run_jobs(struct usage_run *u, struct usage_reader *r, struct error *reterr)
{
	struct usage_row row;
	uint32_t task, job;
	int err;

	while ((err = next_row(u, r, &row, reterr)) > 0) {
		if (names_id(&u->words, row.task, &task) < 0 ||
		    names_id(&u->words, row.job, &job) < 0 ||
		    grow((void **)&u->job_of, &u->job_cap, task + 1ul, sizeof(*u->job_of)) < 0)
			return tell(-ENOMEM, reterr);
		u->job_of[task] = (struct job){job, row.class};
	}
	return err;
}

int usage_run_end(struct usage_run *u, struct usage_result *ret)
{
	int r = flush_pending(u);

	if (r == 0 && u->result.rows)
		r = cpi2_advance(u->e, u->result.last_ns + u->cfg.period_ns);
	if (r < 0)
		return r;
	u->result.cpi2 = *cpi2_tally(u->e);
	u->result.tasks = u->tasks.nr;
	u->result.jobs = u->specs.nr;
	u->result.machines = u->machines.nr;
	u->result.task_days = (double)u->result.cpi2.judged * (double)u->cfg.period_ns / DAY_NS;
	*ret = u->result;
	return 0;
}

void usage_run_worst(const struct usage_run *u, const char **ret_task, const char **ret_suspect)
{
	const struct task *worst = NULL;

	for (size_t i = 0; i < u->tasks.nr; i++)
		if (u->task[i].alarms && (!worst || u->task[i].alarms > worst->alarms))
			worst = &u->task[i];
	*ret_task = worst ? word(u, worst->name) : "";
	*ret_suspect = worst && worst->worst_suspect != CPI2_NONE
			   ? word(u, u->task[worst->worst_suspect].name)
			   : "";
}
