/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "cli/anonymise.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "replay/file.h"

enum { OPT_FOR, OPT_OUTPUT, OPT_ANONYMOUS };
static const struct verb_option options[] = {
    [OPT_FOR] = {"for", "TIME", "how long (default: until Ctrl-C)"},
    [OPT_OUTPUT] = {"output", "FILE", "where to write it; must not exist yet"},
    [OPT_ANONYMOUS] = {"anonymous", NULL, "without names of zones, paths and commands"},
    {0},
};

#define DRAIN_NS 1000000000ull
struct recording {
	struct cli *cli;
	const char *path;
	struct recording_writer *file;
	bool anonymous;
	int signal_fd;
	uint64_t end_ns; /* 0: by hand */
	uint64_t ticks, span_ns, missed;
	double zone_seconds;
};

static bool is_tick(const json_t *line)
{
	return json_object_get(line, "moved") || json_object_get(line, "zones");
}

static void count(struct recording *rec, const json_t *line)
{
	uint64_t window_ns = get_count(line, "window");

	rec->missed += get_count(line, "missed");
	if (!is_tick(line))
		return;
	rec->ticks++;
	rec->span_ns += window_ns;
	rec->zone_seconds += (double)get_count(line, "nr") * (double)window_ns / 1e9;
}

/* A tick and what came before it are one frame: no more than that is lost with czctl. */
static int write_line(struct recording *rec, json_t *line, struct error *reterr)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (rec->anonymous)
		anonymise_line(line);
	count(rec, line);
	text = json_dumps(line, JSON_COMPACT);
	if (!text)
		return error_errno(reterr, -ENOMEM, "recording");
	r = recording_write(rec->file, text, strlen(text), reterr);
	return r == 0 && is_tick(line) ? recording_flush(rec->file, reterr) : r;
}

/* Until the end, or for a while. */
static int ms_left(const struct recording *rec, uint64_t now_ns)
{
	uint64_t ms = rec->end_ns ? (rec->end_ns - now_ns) / 1000000 + 1 : UINT64_MAX;

	return ms < 60000 ? (int)ms : 60000;
}

/* Until the time is over, or somebody has had enough: 0. What czd had told by then is taken along,
 * if that takes no longer than DRAIN_NS. */
static int follow(struct recording *rec, struct error *reterr)
{
	bool over = false;

	for (;;) {
		_cleanup_json_ json_t *line = NULL;
		uint64_t now_ns = clock_mono_ns();
		int r;

		if (over && now_ns >= rec->end_ns + DRAIN_NS)
			return 0;
		if (!over && rec->end_ns && now_ns >= rec->end_ns) {
			over = true;
			continue;
		}
		r = client_wait(&rec->cli->client, over ? -1 : rec->signal_fd,
				over ? 0 : ms_left(rec, now_ns));
		if (r == CLIENT_WAIT_OTHER) {
			over = true;
			rec->end_ns = now_ns;
		}
		if (r == CLIENT_WAIT_NOTHING && over)
			return 0;
		if (r != CLIENT_WAIT_ANSWER)
			continue;
		r = client_next(&rec->cli->client, &line, reterr);
		if (r == 0)
			r = write_line(rec, line, reterr);
		if (r < 0)
			return r;
	}
}

static int finish(struct recording *rec, struct error *reterr)
{
	_cleanup_json_ json_t *line = json_pack("{s:I}", "end", (json_int_t)clock_mono_ns());
	int r = write_line(rec, line, reterr);

	return r == 0 ? recording_flush(rec->file, reterr) : r;
}

static void summarise(const struct recording *rec)
{
	uint64_t bytes = recording_bytes(rec->file);
	double rate = rec->zone_seconds > 0 ? (double)bytes / rec->zone_seconds : 0;
	char size[32], span[32];

	if (rec->cli->json) {
		_cleanup_json_ json_t *data = json_pack(
		    "{s:s,s:I,s:I,s:I,s:I,s:f}", "file", rec->path, "bytes", (json_int_t)bytes,
		    "ticks", (json_int_t)rec->ticks, "duration_ns", (json_int_t)rec->span_ns,
		    "missed_lines", (json_int_t)rec->missed, "bytes_per_zone_second", rate);

		cli_print_json(data);
		return;
	}
	out_paragraph(&rec->cli->out, 0, STYLE_PLAIN, "%s: %s, %s, %.2f bytes per zone and second.",
		      rec->path, format_duration(rec->span_ns, span, sizeof(span)),
		      format_bytes(bytes, size, sizeof(size)), rate);
	if (rec->missed)
		out_paragraph(&rec->cli->out, 0, STYLE_WARN,
			      "%llu lines are missing: czctl could not write them in time.",
			      (unsigned long long)rec->missed);
	out_paragraph(&rec->cli->out, 0, STYLE_PLAIN, "Next: czctl replay %s", rec->path);
}

static int record_to(struct recording *rec, int fd, json_t *head, struct error *reterr)
{
	int r = recording_create(fd, &rec->file, reterr), ended;
	struct error e = {0};

	if (r == 0)
		r = write_line(rec, head, reterr);
	if (r == 0)
		r = recording_flush(rec->file, reterr);
	if (r == 0)
		r = follow(rec, reterr);
	if (!rec->file)
		return r;
	/* Whatever ended it, what there is is kept; only a whole one has an end. */
	ended = r == 0 ? finish(rec, reterr) : recording_flush(rec->file, &e);
	if (rec->ticks)
		summarise(rec);
	return r < 0 ? r : ended;
}

static int signals_as_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int record_run(struct cli *cli, const struct args *args)
{
	struct recording rec = {.cli = cli,
				.path = verb_output(cli, args->option[OPT_OUTPUT]),
				.anonymous = args->option[OPT_ANONYMOUS],
				.signal_fd = -1};
	_cleanup_close_ int fd = -1;
	_cleanup_json_ json_t *head = NULL;
	struct error e = {0};
	uint64_t for_ns = 0;
	int r;

	if (args->option[OPT_FOR] &&
	    (parse_duration_ns(args->option[OPT_FOR], &for_ns) < 0 || !for_ns))
		return cli_usage(&verb_record, "--for: '%s' is not a time (ns, us, ms, s, m, h)",
				 args->option[OPT_FOR]);
	if (!rec.path)
		return cli_usage(&verb_record, "where to? -o FILE is missing");
	r = cli_call(cli, "record", json_object(), &head);
	if (r != EXIT_OK)
		return r;
	fd = open(rec.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_errno(&e, -errno, "write %s", rec.path);
		if (errno == EEXIST)
			error_hint(&e, "Recordings are not written over: give another name.");
		return cli_fail(cli, &e);
	}
	rec.signal_fd = signals_as_fd();
	rec.end_ns = for_ns ? clock_mono_ns() + for_ns : 0;
	if (!cli->json && !for_ns)
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "Recording to %s. Ctrl-C ends it.",
			      rec.path);
	r = record_to(&rec, fd, head, &e);
	recording_writer_free(rec.file);
	close_fd(&rec.signal_fd);
	return r < 0 ? cli_fail(cli, &e) : EXIT_OK;
}

const struct verb verb_record = {
    .name = "record",
    .summary = "record what czd sees and does, for czctl replay",
    .usage = "[--for TIME] [--anonymous] -o FILE",
    .help = "Writes what the detectors and the guard go by into FILE, tick by tick: metrics\n"
	    "of zones, who waited for whom, fast events, changes of zones, goals and mode;\n"
	    "and, to compare with, what was found and done. It ends with Ctrl-C or after\n"
	    "--for. If czctl is killed or the disk is full, FILE is good up to there.\n"
	    "\n"
	    "FILE has names of zones and commands in it, no command lines; with --anonymous\n"
	    "zones are called after their numbers.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl record --for 5m -o incident.czrec\n"
	    "  czctl replay incident.czrec\n",
    .options = options,
    .letters = "o",
    .run = record_run,
};
