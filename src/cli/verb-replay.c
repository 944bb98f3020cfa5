/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/errors.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "replay/file.h"
#include "replay/perfetto.h"
#include "replay/replay.h"
#include "spec/spec.h"

enum { OPT_MODE, OPT_CONFIG, OPT_SLO, OPT_PERFETTO };
static const struct verb_option options[] = {
    [OPT_MODE] = {"mode", "MODE", "what if in this mode: observe or enforce"},
    [OPT_CONFIG] = {"config", "FILE", "what if with this czd.yaml (mode, tick, guard)"},
    [OPT_SLO] = {"slo", "ZONE=GOALS", "what if with these goals; several with ';'"},
    [OPT_PERFETTO] = {"perfetto", "FILE", "write a trace for ui.perfetto.dev"},
    {0},
};

#define SLOS_MAX 32
struct show {
	struct cli *cli;
	const char *path;
	struct replay_options options;
	enum guard_mode mode;
	struct config config;
	struct replay_slo slos[SLOS_MAX];
	json_t *lines; /* -o json: kept until the end */
	FILE *trace_file;
	struct trace *trace;
	uint64_t first_ns, real_ns; /* real_ns: at first_ns; 0 not known */
	bool cut;
};

static bool is_what_if(const struct show *s)
{
	return s->options.config || s->options.mode || s->options.nr_slos;
}

/* Finding, action and step lines have a number; -1: none. */
static json_int_t seq_of(const struct replay_line *l)
{
	return l->kind == REPLAY_FINDING			    ? (json_int_t)l->finding.seq
	       : l->kind == REPLAY_ACTION || l->kind == REPLAY_STEP ? (json_int_t)l->action.seq
								    : -1;
}

static json_t *utf8(const char *s)
{
	char safe[REPLAY_TEXT_MAX];

	return json_string(str_escape(safe, sizeof(safe), s));
}

static void keep_line(struct show *s, const struct replay_line *l)
{
	static const char *const kinds[] = {"finding", "action", "step", "note", "gap"};
	static const char *const sides[] = {"both", "replay", "recording"};
	uint64_t at_ns = l->now_ns - s->first_ns, real_ns = s->real_ns + at_ns;
	json_int_t seq = seq_of(l);

	json_array_append_new(
	    s->lines, json_pack("{s:I,s:o,s:s,s:s,s:o,s:o}", "at_ns", (json_int_t)at_ns, "real_ns",
				s->real_ns ? json_integer((json_int_t)real_ns) : json_null(),
				"kind", kinds[l->kind], "side", sides[l->side], "seq",
				seq < 0 ? json_null() : json_integer(seq), "text", utf8(l->text)));
}

/* "12:00:01.250", or seconds from the beginning where the time of day is not known. */
static char *format_when(const struct show *s, uint64_t now_ns, char *buf, size_t size)
{
	uint64_t at_ns = now_ns - s->first_ns, real_ns = s->real_ns + at_ns;
	time_t t = (time_t)(real_ns / 1000000000);
	char clock[16];
	struct tm tm;

	if (s->real_ns && localtime_r(&t, &tm) && strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		snprintf(buf, size, "%s.%03u", clock, (unsigned int)(real_ns / 1000000 % 1000));
	else
		snprintf(buf, size, "%8.3f s", (double)at_ns / 1e9);
	return buf;
}

static void print_line(const struct replay_line *l, void *arg)
{
	static const char marks[] = {' ', '+', '-'};
	struct show *s = arg;
	enum style style = l->side != SIDE_BOTH || l->kind == REPLAY_GAP ? STYLE_WARN : STYLE_PLAIN;
	char when[32];

	if (s->trace)
		trace_line(s->trace, l);
	if (s->lines)
		keep_line(s, l);
	else
		out_paragraph(&s->cli->out, 14, style, "%c%s %s", marks[l->side],
			      format_when(s, l->now_ns, when, sizeof(when)), l->text);
}

static void on_tick(const struct snapshot *snapshot, void *arg)
{
	struct show *s = arg;

	if (!s->first_ns)
		s->first_ns = snapshot->now_ns;
	if (s->trace)
		trace_tick(s->trace, snapshot);
}

static void on_event(const struct fast_event *e, void *arg)
{
	struct show *s = arg;

	if (s->trace)
		trace_event(s->trace, e);
}

static int run_file(struct show *s, struct recording_reader *file, struct record_reader *reader,
		    struct replay *replay, struct error *reterr)
{
	struct record rec;
	char *line;
	int r, err;

	while ((r = recording_next(file, &line, reterr)) > 0) {
		err = record_read(reader, line, &rec, reterr);
		if (err == -ENOMEM)
			return error_errno(reterr, err, "replay");
		if (err)
			return error_wrap(reterr, err, "the line at byte %llu",
					  (unsigned long long)recording_offset(file));
		if (rec.kind == RECORD_HEAD && !s->first_ns) {
			s->first_ns = rec.head.now_ns;
			s->real_ns = rec.head.real_ns;
		}
		err = replay_record(replay, &rec);
		if (err)
			return error_errno(reterr, err, "replay");
	}
	s->cut = recording_is_cut(file);
	return r;
}

static void print_head(const struct show *s)
{
	if (!s->lines && is_what_if(s))
		out_paragraph(&s->cli->out, 0, STYLE_PLAIN,
			      "What if: the recording does not know what other actions would have "
			      "led to; what comes after them is as it was.");
}

static void print_tally(const struct show *s, const struct replay_tally *t)
{
	const struct out *o = &s->cli->out;
	char span[32];

	out_paragraph(o, 0, STYLE_PLAIN, "%s: %s, %llu ticks, %llu fast events.", s->path,
		      format_duration(t->last_ns - t->first_ns, span, sizeof(span)),
		      (unsigned long long)t->ticks, (unsigned long long)t->events);
	if (s->cut || (t->has_head && !t->ended))
		out_paragraph(o, 0, STYLE_WARN,
			      "The recording was cut off: what follows was never written.");
	if (!t->has_head)
		return;
	if (!t->differing)
		out_paragraph(o, 0, STYLE_GOOD, "Findings and actions are as czd had them (%llu).",
			      (unsigned long long)t->same);
	else
		out_paragraph(o, 0, STYLE_WARN,
			      "%llu are as czd had them; %llu differ: + only here, - only then.",
			      (unsigned long long)t->same, (unsigned long long)t->differing);
}

static void print_json(struct show *s, const struct replay_tally *t)
{
	_cleanup_json_ json_t *data = json_pack(
	    "{s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:b,s:b,s:I,s:I,s:O}", "file", utf8(s->path), "czd",
	    t->czd[0] ? utf8(t->czd) : json_null(), "from_real_ns",
	    s->real_ns ? json_integer((json_int_t)s->real_ns) : json_null(), "duration_ns",
	    (json_int_t)(t->last_ns - t->first_ns), "ticks", (json_int_t)t->ticks, "fast_events",
	    (json_int_t)t->events, "missed_lines", (json_int_t)t->missed, "cut",
	    s->cut || (t->has_head && !t->ended), "what_if", is_what_if(s), "same",
	    (json_int_t)t->same, "differing", (json_int_t)t->differing, "lines", s->lines);

	cli_print_json(data);
}

static int unused_goal(const struct show *s, struct error *reterr)
{
	for (size_t i = 0; i < s->options.nr_slos; i++)
		if (!s->slos[i].used)
			return error_set(reterr, -ENOENT,
					 "--slo: no zone called '%s' was protected when this was "
					 "recorded: nothing is known of its waiting",
					 s->slos[i].zone);
	return 0;
}

static int replay_fd(struct show *s, int fd)
{
	struct replay_sink sink = {
	    .line = print_line, .tick = on_tick, .event = on_event, .arg = s};
	struct recording_reader *file = NULL;
	struct record_reader *reader = NULL;
	struct replay *replay = NULL;
	struct error e = {0};
	int r = recording_open(fd, &file, &e), code;

	if (r == 0 && (record_reader_new(&reader) < 0 || replay_new(&s->options, &sink, &replay)))
		r = error_errno(&e, -ENOMEM, "replay");
	if (r == 0) {
		print_head(s);
		r = run_file(s, file, reader, replay, &e);
		replay_end(replay);
	}
	if (r == 0)
		r = unused_goal(s, &e);
	code = r < 0 ? -1 : EXIT_OK;
	if (replay && replay_tally(replay)->ticks) {
		const struct replay_tally *t = replay_tally(replay);

		if (s->lines)
			print_json(s, t);
		else
			print_tally(s, t);
		if (code == EXIT_OK && t->differing && !is_what_if(s))
			code = EXIT_DIFFERS;
	} else if (r == 0) {
		code = -1;
		error_set(&e, -EINVAL, "nothing is in it");
	}
	if (code < 0) {
		(void)error_wrap(&e, e.code, "%s", s->path);
		code = cli_fail(s->cli, &e);
	}
	replay_free(replay);
	record_reader_free(reader);
	recording_reader_free(file);
	return code;
}

static int read_slos(struct show *s, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *item, *goals;
	struct error e = {0};

	while (copy && (item = strsep(&rest, ";"))) {
		struct replay_slo *slo = &s->slos[s->options.nr_slos];

		goals = strchr(item, '=');
		if (!goals || s->options.nr_slos == SLOS_MAX)
			return cli_usage(&verb_replay, "--slo: '%s' is not ZONE=GOALS", item);
		*goals++ = 0;
		if (!str_copy(slo->zone, sizeof(slo->zone), item) ||
		    slo_parse(goals, &slo->slo, &e) < 0)
			return cli_usage(&verb_replay, "--slo: %s", e.msg[0] ? e.msg : item);
		s->options.nr_slos++;
	}
	s->options.slos = s->slos;
	return EXIT_OK;
}

static int read_options(struct show *s, const struct args *args)
{
	static struct error_list errs; /* large */
	const char *mode = args->option[OPT_MODE], *config = args->option[OPT_CONFIG];

	if (mode && guard_mode_parse(mode, &s->mode) < 0)
		return cli_usage(&verb_replay, "--mode: '%s' is neither observe nor enforce", mode);
	s->options.mode = mode ? &s->mode : NULL;
	if (config && spec_load_file(AT_FDCWD, config, &s->config, &errs) < 0) {
		errors_print(&errs, "");
		return EXIT_USAGE;
	}
	s->options.config = config ? &s->config : NULL;
	return args->option[OPT_SLO] ? read_slos(s, args->option[OPT_SLO]) : EXIT_OK;
}

static int open_trace(struct show *s, const char *path, struct error *reterr)
{
	int err;

	s->trace_file = fopen(path, "we");
	if (!s->trace_file)
		return error_errno(reterr, -errno, "write %s", path);
	err = trace_new(s->trace_file, &s->trace);
	return err ? error_errno(reterr, err, "write %s", path) : 0;
}

static int close_trace(struct show *s, const char *path, struct error *reterr)
{
	int err = s->trace ? trace_end(s->trace) : 0;

	if (s->trace_file && fclose(s->trace_file) < 0 && !err)
		err = -errno;
	return err ? error_errno(reterr, err, "write %s", path) : 0;
}

static int replay_run(struct cli *cli, const struct args *args)
{
	struct show *s = calloc(1, sizeof(*s));
	const char *trace = args->option[OPT_PERFETTO];
	_cleanup_close_ int fd = -1;
	struct error e = {0};
	int code = s ? read_options(s, args) : EXIT_FAILED;

	if (code == EXIT_OK) {
		s->cli = cli;
		s->path = args->words[0];
		s->lines = cli->json ? json_array() : NULL;
		fd = open(s->path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			error_errno(&e, -errno, "%s", s->path);
		if (fd < 0 || (trace && open_trace(s, trace, &e) < 0))
			code = cli_fail(cli, &e);
	}
	if (code == EXIT_OK)
		code = replay_fd(s, fd);
	if (s && close_trace(s, trace, &e) < 0)
		code = cli_fail(cli, &e);
	if (s) {
		if (s->options.config)
			config_done(&s->config);
		json_decref(s->lines);
	}
	free(s);
	return code;
}

const struct verb verb_replay = {
    .name = "replay",
    .summary = "run detectors and guard on a recording; needs no czd",
    .usage = "[--mode MODE] [--slo ZONE=GOALS] [--perfetto FILE] FILE",
    .help = "Finds in FILE what czd would find, decides as it would, and says what differs\n"
	    "from what it did: lines with + are only in the replay, those with - only in the\n"
	    "recording. What czd had learned before the recording began is not in it: until\n"
	    "then things may differ. Exit code 6 when something differs.\n"
	    "\n"
	    "With --mode, --config or --slo: what if. The recording cannot tell what other\n"
	    "actions would have led to; after the first of them, outcomes say little.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl replay incident.czrec\n"
	    "  czctl replay --mode enforce incident.czrec\n"
	    "  czctl replay --slo redis=wait.p99=200us incident.czrec\n"
	    "  czctl replay --perfetto trace.json incident.czrec\n",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .run = replay_run,
};
