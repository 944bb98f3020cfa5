/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/detect-plot.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "replay/usage-run.h"

enum { OPT_FORMAT, OPT_MAP, OPT_JOBS, OPT_PRESET, OPT_SET, OPT_PLOT, OPT_LENIENT };
static const struct verb_option options[] = {
    [OPT_FORMAT] = {"format", "NAME", "csv, google2011, google2019, alibaba2018, amtrace"},
    [OPT_MAP] = {"map", "LIST", "columns: time=ts:us,task=job+index,cpi=#6"},
    [OPT_JOBS] = {"jobs", "FILE", "which task is of which job (columns task, job)"},
    [OPT_PRESET] = {"preset", "NAME", "cpi2 (default), rubik, robust, host"},
    [OPT_SET] = {"set", "LIST", "constants: correlation=0.2,spec=1h; help lists them"},
    [OPT_PLOT] = {"plot", "FILE", "write an SVG of the task with the most alarms"},
    [OPT_LENIENT] = {"lenient", NULL, "count lines that are no rows, and go on"},
    {0},
};

#define ALARMS_KEPT 10000 /* in -o json */

struct detect {
	struct cli *cli;
	const struct args *args;
	struct cpi2_config config;
	const struct usage_format *format;
	struct usage_map map, jobs_map;
	json_t *alarms;
	uint64_t first_ns;
	bool has_first;
	struct usage_result result;
	struct plot plot;
};

static json_t *utf8(const char *s)
{
	char safe[1024];

	return s[0] ? json_string(str_escape(safe, sizeof(safe), s)) : json_null();
}

static json_t *real_or_null(bool known, double x)
{
	return known ? json_real(x) : json_null();
}

static void keep_alarm(struct detect *d, const struct usage_alarm *a)
{
	json_t *suspects = json_array();

	for (size_t i = 0; i < a->nr_suspects; i++)
		json_array_append_new(suspects,
				      json_pack("{s:o,s:f}", "task", utf8(a->suspects[i].task),
						"correlation", a->suspects[i].correlation));
	json_array_append_new(
	    d->alarms,
	    json_pack("{s:I,s:o,s:o,s:o,s:I,s:I,s:I,s:b,s:b,s:o,s:o,s:o,s:o,s:o}", "time_ns",
		      (json_int_t)a->time_ns, "task", utf8(a->task), "job", utf8(a->job), "machine",
		      utf8(a->machine), "cpi_ppm", (json_int_t)a->cpi_ppm, "mean_ppm",
		      (json_int_t)a->mean_ppm, "threshold_ppm", (json_int_t)a->threshold_ppm,
		      "begins", a->begins, "analysed", a->analysed, "culprit", utf8(a->culprit),
		      "needed", real_or_null(a->analysed, a->needed), "suspects", suspects,
		      "lacking", utf8(a->lacking), "hurt",
		      a->label < 0 ? json_null() : json_boolean(a->label)));
}

static void print_alarm(struct detect *d, const struct usage_alarm *a)
{
	char who[640] = "nobody: too many alarms at once", when[32];
	const char *truth = a->label < 0 ? "" : a->label ? " (hurt in truth)" : " (false)";

	if (a->analysed && a->culprit[0])
		snprintf(who, sizeof(who), "%s is named", a->culprit);
	else if (a->analysed)
		snprintf(who, sizeof(who), "nobody is named");
	if (a->analysed && a->nr_suspects) {
		size_t n = strlen(who);

		snprintf(who + n, sizeof(who) - n, "; first is %s with %.2f, %.2f is needed",
			 a->suspects[0].task, a->suspects[0].correlation, a->needed);
	}
	out_paragraph(&d->cli->out, 10, a->culprit[0] ? STYLE_WARN : STYLE_PLAIN,
		      "%9s %s: CPI %.2f, usual %.2f, threshold %.2f%s%s%s; %s",
		      format_duration(a->time_ns - d->first_ns, when, sizeof(when)), a->task,
		      a->cpi_ppm / 1e6, a->mean_ppm / 1e6, a->threshold_ppm / 1e6,
		      a->lacking[0] ? ", lacks " : "", a->lacking, truth, who);
}

static void on_alarm(const struct usage_alarm *a, void *arg)
{
	struct detect *d = arg;

	if (!d->alarms)
		print_alarm(d, a);
	else if (json_array_size(d->alarms) < ALARMS_KEPT)
		keep_alarm(d, a);
}

static void on_row(const struct usage_row *row, uint32_t threshold_ppm, void *arg)
{
	struct detect *d = arg;

	if (!d->has_first) {
		d->has_first = true;
		d->first_ns = row->time_ns;
	}
}

static void plot_row(const struct usage_row *row, uint32_t threshold_ppm, void *arg)
{
	struct detect *d = arg;
	bool is_suspect = !strcmp(row->task, d->plot.suspect);
	uint32_t cpi_ppm = row->cpi_ppm;

	if (row->instructions > 0 && !cpi_ppm)
		cpi_ppm = (uint32_t)(row->cycles / row->instructions * 1e6);
	if (is_suspect || !strcmp(row->task, d->plot.victim))
		plot_add(&d->plot, &(struct plot_point){row->time_ns, cpi_ppm, threshold_ppm,
							row->cpu_ppm, is_suspect});
}

static int read_with(const char *path, const struct usage_map *map, const char *columns,
		     int (*run)(struct usage_run *, struct usage_reader *, struct error *),
		     struct usage_run *u, struct error *reterr)
{
	struct usage_reader *reader = NULL;
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO), r;

	if (fd < 0)
		return error_errno(reterr, -errno, "%s", path);
	r = usage_open(fd, path, map, columns, &reader, reterr);
	if (r == 0)
		r = run(u, reader, reterr);
	usage_close(reader);
	return r;
}

/* All files once. The first pass finds; a second one gathers what is plotted. */
static int pass(struct detect *d, const struct usage_sink *sink, bool first, struct error *reterr)
{
	const char *jobs = d->args->option[OPT_JOBS];
	struct usage_run *u = NULL;
	const char *victim, *suspect;
	int r = usage_run_new(&d->config, sink, d->args->option[OPT_LENIENT] != NULL, &u);

	if (r < 0)
		return error_set(reterr, r, "out of memory");
	if (jobs)
		r = read_with(jobs, &d->jobs_map, d->format->jobs_columns, usage_run_jobs, u,
			      reterr);
	for (int i = 0; r == 0 && i < d->args->nr; i++)
		r = read_with(d->args->words[i], &d->map, d->format->columns, usage_run_file, u,
			      reterr);
	if (r == 0 && first) {
		r = usage_run_end(u, &d->result);
		if (r < 0)
			error_set(reterr, r, "out of memory");
		usage_run_worst(u, &victim, &suspect);
		str_copy(d->plot.victim, sizeof(d->plot.victim), victim);
		str_copy(d->plot.suspect, sizeof(d->plot.suspect), suspect);
	}
	usage_run_free(u);
	return r;
}

static int write_plot(struct detect *d, const char *path, struct error *reterr)
{
	struct usage_sink sink = {.row = plot_row, .arg = d};
	struct strbuf b = {0};
	_cleanup_fclose_ FILE *out = NULL;
	int r;

	if (!d->plot.victim[0])
		return error_set(reterr, -ENOENT, "--plot: there was no alarm to plot");
	r = pass(d, &sink, false, reterr);
	if (r < 0)
		return r;
	plot_svg(&d->plot, &b);
	out = fopen(path, "we");
	if (b.failed)
		error_set(reterr, r = -ENOMEM, "out of memory");
	else if (!out || fwrite(b.data, 1, b.len, out) != b.len || fflush(out) != 0)
		r = error_errno(reterr, -errno, "write %s", path);
	strbuf_done(&b);
	return r;
}

static void print_counts(const struct detect *d)
{
	const struct usage_result *t = &d->result;
	const struct cpi2_tally *c = &t->cpi2;
	const struct out *o = &d->cli->out;
	char a[32], b[32], e[32], f[32], span[32];

	out_paragraph(o, 0, STYLE_PLAIN, "%s rows over %s: %s tasks of %s jobs on %s machines.",
		      format_count(t->rows, a, sizeof(a)),
		      format_duration(t->last_ns - t->first_ns, span, sizeof(span)),
		      format_count(t->tasks, b, sizeof(b)), format_count(t->jobs, e, sizeof(e)),
		      format_count(t->machines, f, sizeof(f)));
	out_paragraph(
	    o, 0, STYLE_PLAIN,
	    "%s samples judged (%.2f task-days): %s outliers, %s alarms, a culprit named %s "
	    "times.",
	    format_count(c->judged, a, sizeof(a)), t->task_days,
	    format_count(c->outliers, b, sizeof(b)), format_count(c->episodes, e, sizeof(e)),
	    format_count(c->named, f, sizeof(f)));
	out_paragraph(
	    o, 0, STYLE_PLAIN,
	    "Not judged: %s of too little CPU or unknown CPI, %s before there was a spec.",
	    format_count(c->idle, a, sizeof(a)), format_count(c->unjudged, b, sizeof(b)));
	if (c->extra || c->late)
		out_paragraph(o, 0, c->late ? STYLE_WARN : STYLE_PLAIN,
			      "Left out: %s beyond one a period, %s that came too late%s.",
			      format_count(c->extra, a, sizeof(a)),
			      format_count(c->late, b, sizeof(b)),
			      c->late ? " (rows must be sorted by time)" : "");
	if (t->bad_rows)
		out_paragraph(o, 0, STYLE_WARN, "%s lines are no rows; the first: %s",
			      format_count(t->bad_rows, a, sizeof(a)), t->first_bad.msg);
	if (!c->judged && c->samples && t->jobs == t->tasks)
		out_paragraph(
		    o, 0, STYLE_WARN,
		    "Each task is a job of its own here, and a spec needs %u tasks: try --set "
		    "min-tasks=1, or --jobs FILE.",
		    d->config.min_tasks);
}

static double ratio(uint64_t part, uint64_t rest)
{
	return (double)part / (double)(part + rest);
}

static void print_truth(const struct detect *d)
{
	const struct usage_result *t = &d->result;
	const struct out *o = &d->cli->out;
	uint64_t alarms = t->true_episodes + t->false_episodes;
	uint64_t names = t->names_right + t->names_wrong;

	if (!t->has_labels) {
		if (t->task_days > 0)
			out_paragraph(
			    o, 0, STYLE_PLAIN,
			    "%.3f alarms per task-day; which are false the trace does not "
			    "say.",
			    (double)t->cpi2.episodes / t->task_days);
		return;
	}
	if (t->task_days > 0)
		out_paragraph(o, 0, STYLE_PLAIN, "%.3f false alarms per task-day.",
			      (double)t->false_episodes / t->task_days);
	if (alarms)
		out_paragraph(o, 0, STYLE_PLAIN, "Precision %.3f: %llu of %llu alarms were true.",
			      ratio(t->true_episodes, t->false_episodes),
			      (unsigned long long)t->true_episodes, (unsigned long long)alarms);
	if (t->spans)
		out_paragraph(o, 0, STYLE_PLAIN,
			      "Recall %.3f: %llu of %llu times of harm were found.",
			      (double)t->spans_found / (double)t->spans,
			      (unsigned long long)t->spans_found, (unsigned long long)t->spans);
	if (names)
		out_paragraph(o, 0, STYLE_PLAIN, "Names: %llu of %llu were right.",
			      (unsigned long long)t->names_right, (unsigned long long)names);
}

static json_t *truth_json(const struct usage_result *t)
{
	uint64_t names = t->names_right + t->names_wrong;

	if (!t->has_labels)
		return json_null();
	return json_pack(
	    "{s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "true_alarms",
	    (json_int_t)t->true_episodes, "false_alarms", (json_int_t)t->false_episodes,
	    "times_of_harm", (json_int_t)t->spans, "times_found", (json_int_t)t->spans_found,
	    "names_right", (json_int_t)t->names_right, "names_wrong", (json_int_t)t->names_wrong,
	    "precision",
	    real_or_null(t->true_episodes + t->false_episodes,
			 ratio(t->true_episodes, t->false_episodes)),
	    "recall", real_or_null(t->spans, (double)t->spans_found / (double)t->spans),
	    "name_precision", real_or_null(names, ratio(t->names_right, t->names_wrong)),
	    "false_alarms_per_task_day",
	    real_or_null(t->task_days > 0, (double)t->false_episodes / t->task_days));
}

static void print_json(struct detect *d)
{
	const struct usage_result *t = &d->result;
	const struct cpi2_tally *c = &t->cpi2;
	_cleanup_json_ json_t *data = json_pack(
	    "{s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:o,s:o,s:o,s:b}", "rows", (json_int_t)t->rows,
	    "bad_rows", (json_int_t)t->bad_rows, "tasks", (json_int_t)t->tasks, "jobs",
	    (json_int_t)t->jobs, "machines", (json_int_t)t->machines, "duration_ns",
	    (json_int_t)(t->last_ns - t->first_ns), "task_days", t->task_days, "truth",
	    truth_json(t), "samples",
	    json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "judged", (json_int_t)c->judged,
		      "outliers", (json_int_t)c->outliers, "idle", (json_int_t)c->idle,
		      "without_spec", (json_int_t)c->unjudged, "late", (json_int_t)c->late, "extra",
		      (json_int_t)c->extra, "alarms", (json_int_t)c->episodes, "analyses",
		      (json_int_t)c->analyses, "limited", (json_int_t)c->limited, "named",
		      (json_int_t)c->named),
	    "alarms", d->alarms, "alarms_cut", json_array_size(d->alarms) == ALARMS_KEPT);

	cli_print_json(data);
}

static void list_settings(void)
{
	const char *name, *help;

	for (size_t i = 0; cpi2_config_key(i, &name, &help); i++)
		printf("  %-14s %s\n", name, help);
}

/* The format's own settings first, then those of the command line. */
static int read_options(struct detect *d, struct error *reterr)
{
	const char *const *o = d->args->option;
	const struct cpi2_config *preset = cpi2_preset(o[OPT_PRESET] ? o[OPT_PRESET] : "cpi2");
	const char *jobs_map;
	int r;

	d->format = usage_format_find(o[OPT_FORMAT] ? o[OPT_FORMAT] : "csv");
	if (!d->format)
		return error_set(reterr, -EINVAL, "--format: '%s' is not known", o[OPT_FORMAT]);
	if (!preset)
		return error_set(reterr, -EINVAL,
				 "--preset: '%s' is not cpi2, rubik, robust or host",
				 o[OPT_PRESET]);
	d->config = *preset;
	jobs_map = d->format->jobs_map ? d->format->jobs_map : "task=task,job=job";
	r = usage_map_set(&d->map, d->format->map, reterr);
	if (r == 0)
		r = usage_map_set(&d->jobs_map, jobs_map, reterr);
	if (r == 0 && o[OPT_MAP])
		r = usage_map_set(&d->map, o[OPT_MAP], reterr);
	if (r == 0)
		r = usage_map_check(&d->map, reterr);
	if (r < 0)
		return error_wrap(reterr, r, "--map");
	if (d->format->settings)
		r = cpi2_config_set(&d->config, d->format->settings, reterr);
	if (r == 0 && o[OPT_SET])
		r = cpi2_config_set(&d->config, o[OPT_SET], reterr);
	if (r < 0)
		return error_wrap(reterr, r, "--set");
	for (int i = 0; o[OPT_PLOT] && i < d->args->nr; i++)
		if (!strcmp(d->args->words[i], "-"))
			return error_set(reterr, -EINVAL,
					 "--plot reads the trace twice, which '-' cannot be");
	return 0;
}

static int detect_run(struct cli *cli, const struct args *args)
{
	struct detect *d;
	struct error e = {0};
	int r, code = EXIT_OK;

	if (args->option[OPT_SET] && !strcmp(args->option[OPT_SET], "help")) {
		list_settings();
		return EXIT_OK;
	}
	if (!args->nr)
		return cli_usage(&verb_detect, "a trace is missing");
	d = calloc(1, sizeof(*d));
	if (!d)
		return EXIT_FAILED;
	d->cli = cli;
	d->args = args;
	d->alarms = cli->json ? json_array() : NULL;
	r = read_options(d, &e);
	if (r < 0)
		code = cli_usage(&verb_detect, "%s", e.msg);
	if (r == 0) {
		struct usage_sink sink = {.alarm = on_alarm, .row = on_row, .arg = d};

		r = pass(d, &sink, true, &e);
		if (r == 0 && !d->result.rows)
			r = error_set(&e, -EINVAL, "%s: nothing is in it", args->words[0]);
		if (r == 0 && cli->json)
			print_json(d);
		if (r == 0 && !cli->json) {
			print_counts(d);
			print_truth(d);
		}
		if (r == 0 && args->option[OPT_PLOT])
			r = write_plot(d, args->option[OPT_PLOT], &e);
		code = r < 0 ? cli_fail(cli, &e) : EXIT_OK;
	}
	json_decref(d->alarms);
	free(d->plot.points);
	free(d);
	return code;
}

const struct verb verb_detect = {
    .name = "detect",
    .summary = "run CPI2 on a trace of CPU use and CPI; needs no czd",
    .usage = "[--format NAME] [--map ..] [--set ..] [--plot FILE] FILE..",
    .help = "Finds in FILE (CSV, plain or gzip, or JSON objects, one a line; - is the\n"
	    "input) the tasks whose cycles per instruction were far above what is usual for\n"
	    "their job, and whose CPU use went with it: alarms with the suspects, how often,\n"
	    "and where the trace has a column label (1: hurt) or culprit (by whom), how many\n"
	    "alarms and names were true. Rows are sorted by time. Several files are parts of\n"
	    "one trace.\n"
	    "\n"
	    "Equations, constants, presets and their flaws: docs/algorithms/cpi2.md.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl detect trace.csv\n"
	    "  czctl detect --format google2011 part-00000-of-00500.csv.gz\n"
	    "  czctl detect --format alibaba2018 --jobs container_meta.csv usage.csv\n"
	    "  czctl detect --map time=ts:ms,task=pod,cpu=millicores*0.001,cpi=#7 mine.csv\n"
	    "  czctl detect --preset robust --set spec=1h --plot worst.svg trace.csv\n"
	    "  czctl detect --set help\n",
    .options = options,
    .min_words = 0,
    .max_words = -1,
    .run = detect_run,
};
