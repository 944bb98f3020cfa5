/* SPDX-License-Identifier: MIT */
/*
 * Replays a recording and prints what was found and would have been done:
 *   replay RECORDING              prints
 *   replay RECORDING EXPECTED     compares, line by line; exit 1 at the first difference
 * In hand-written recordings steps "succeed" unless a "result" line says otherwise. Of those that
 * czd made, lines that it did not do itself begin with +, and those that only it did with -.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
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

static int replay_file(const char *path, char **ret_text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct printer p = {0};
	struct replay_options options = {0};
	struct replay_sink sink = {.line = print_line, .arg = &p};
	struct recording_reader *file = NULL;
	struct record_reader *reader;
	struct replay *replay;
	struct error e = {.msg = "nothing in it"};
	size_t size;
	int err;

	p.out = open_memstream(ret_text, &size);
	if (!p.out || record_reader_new(&reader) < 0 || replay_new(&options, &sink, &replay) < 0)
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

int main(int argc, char **argv)
{
	_cleanup_free_ char *text = NULL;
	int status;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: replay RECORDING [EXPECTED]\n");
		return 2;
	}
	status = replay_file(argv[1], &text);
	if (status)
		return status;
	if (argc == 3)
		return compare(text, argv[2]);
	fputs(text, stdout);
	return 0;
}
