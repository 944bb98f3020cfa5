/* SPDX-License-Identifier: MIT */
/*
 * Replays a recording and prints what was found and would have been done:
 *   replay [OPTION...] RECORDING              prints
 *   replay [OPTION...] RECORDING EXPECTED     compares, line by line; exit 1 at the first
 * difference Options ask what if: --mode MODE, --slo ZONE=GOALS. In hand-written recordings steps
 * "succeed" unless a "result" line says otherwise. Of those that czd made, lines that it did not do
 * itself begin with +, and those that only it did with -.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "replay/file.h"
#include "replay/replay.h"

struct printer {
	FILE *out;
	uint64_t first_ns; /* of czd's recordings: times are from here */
};

static void print_line(const struct replay_line *l, void *arg)
{
	static const char *const marks[] = {"", "+", "-"};
	const struct printer *p = arg;
	uint64_t ms = (l->now_ns - p->first_ns) / 1000000;

	fprintf(p->out, "%s%9.3f  %s\n", marks[l->side], (double)ms / 1000.0, l->text);
}

static int run(struct printer *p, struct recording_reader *file, struct record_reader *reader,
	       struct replay *replay, struct error *reterr)
{
	struct record rec;
	char *line;
	int r, err;

	while ((r = recording_next(file, &line, reterr)) > 0) {
		err = record_read(reader, line, &rec, reterr);
		if (err)
			return err;
		if (rec.kind == RECORD_HEAD)
			p->first_ns = rec.head.now_ns;
		err = replay_record(replay, &rec);
		if (err)
			return error_errno(reterr, err, "replay");
	}
	replay_end(replay);
	return r < 0 ? r : replay_tally(replay)->ticks ? 0 : -ENODATA;
}

static int replay_file(const char *path, const struct replay_options *options, char **ret_text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct printer p = {0};
	struct replay_sink sink = {.line = print_line, .arg = &p};
	struct recording_reader *file = NULL;
	struct record_reader *reader;
	struct replay *replay;
	struct error e = {.msg = "nothing in it"};
	size_t size;
	int err;

	p.out = open_memstream(ret_text, &size);
	if (!p.out || record_reader_new(&reader) < 0 || replay_new(options, &sink, &replay) < 0)
		abort();
	err = recording_open(fd, &file, &e);
	if (!err)
		err = run(&p, file, reader, replay, &e);
	if (err)
		fprintf(stderr, "%s:%llu: %s\n", path,
			(unsigned long long)(file ? recording_offset(file) : 0), e.msg);
	replay_free(replay);
	record_reader_free(reader);
	recording_reader_free(file);
	fclose(p.out);
	return err ? 2 : 0;
}

static int compare(const char *got, const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, nr = 0;

	if (!in) {
		fprintf(stderr, "replay: %s: %m\n", path);
		return 2;
	}
	while (getline(&line, &size, in) > 0) {
		nr++;
		if (strncmp(got, line, strlen(line))) {
			printf("%s:%zu: expected\n%sgot\n%.*s\n", path, nr, line,
			       (int)strcspn(got, "\n"), got);
			return 1;
		}
		got += strlen(line);
	}
	if (*got)
		printf("%s: more than expected:\n%s", path, got);
	return *got ? 1 : 0;
}

/* One goal is enough for a test. */
static bool read_slo(char *text, struct replay_slo *ret)
{
	char *goals = strchr(text, '=');
	struct error e = {0};

	if (!goals)
		return false;
	*goals++ = 0;
	return str_copy(ret->zone, sizeof(ret->zone), text) && slo_parse(goals, &ret->slo, &e) == 0;
}

static bool read_options(int argc, char **argv, struct replay_options *o)
{
	static const struct option options[] = {
	    {"mode", required_argument, NULL, 'm'}, {"slo", required_argument, NULL, 's'}, {0}};
	static enum guard_mode mode;
	static struct replay_slo slo;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm' && guard_mode_parse(optarg, &mode) == 0)
			o->mode = &mode;
		else if (c == 's' && read_slo(optarg, &slo)) {
			o->slos = &slo;
			o->nr_slos = 1;
		} else
			return false;
	}
	return argc - optind == 1 || argc - optind == 2;
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *text = NULL;
	struct replay_options options = {0};
	int status;

	if (!read_options(argc, argv, &options)) {
		fprintf(stderr,
			"usage: replay [--mode MODE] [--slo ZONE=GOALS] RECORDING [EXPECTED]\n");
		return 2;
	}
	status = replay_file(argv[optind], &options, &text);
	if (status)
		return status;
	if (optind + 1 < argc)
		return compare(text, argv[optind + 1]);
	fputs(text, stdout);
	return 0;
}
