/* SPDX-License-Identifier: MIT */
/* A recording as a file: its frames, its lines, and what a replay and a trace make of them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "replay/file.h"
#include "replay/perfetto.h"
#include "replay/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(const struct replay_line *l, void *arg)
{
	trace_line(arg, l);
}

static void on_tick(const struct snapshot *s, void *arg)
{
	trace_tick(arg, s);
}

static void on_event(const struct fast_event *e, void *arg)
{
	trace_event(arg, e);
}

static void run(struct recording_reader *file, struct record_reader *reader, struct replay *replay)
{
	struct record rec;
	char *line;

	while (recording_next(file, &line, NULL) > 0) {
		if (record_read(reader, line, &rec, NULL) < 0 || replay_record(replay, &rec) < 0)
			break;
	}
	replay_end(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("recording", MFD_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct replay_options options = {0};
	struct replay_sink sink = {.line = on_line, .tick = on_tick, .event = on_event};
	struct recording_reader *file = NULL;
	struct record_reader *reader = NULL;
	struct replay *replay = NULL;
	struct trace *trace;
	size_t len;
	FILE *out;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0)
		return 0;
	out = open_memstream(&text, &len);
	if (!out || trace_new(out, &trace) < 0)
		abort();
	sink.arg = trace;
	if (recording_open(fd, &file, NULL) == 0 && record_reader_new(&reader) == 0 &&
	    replay_new(&options, &sink, &replay) == 0)
		run(file, reader, replay);
	if (trace_end(trace) < 0)
		abort();
	fclose(out);
	replay_free(replay);
	record_reader_free(reader);
	recording_reader_free(file);
	return 0;
}
