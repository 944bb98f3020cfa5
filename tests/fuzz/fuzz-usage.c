/* SPDX-License-Identifier: MIT */
/* A first line of settings (format, mapping, constants, behind blanks), then a trace as a file;
 * through CPI2. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "fuzz.h"
#include "replay/usage-run.h"

static void run(const struct cpi2_config *c, const struct usage_map *map,
		const struct usage_format *f, const char *text, size_t len)
{
	struct usage_sink sink = {0};
	struct usage_reader *reader = NULL;
	struct usage_run *u = NULL;
	struct usage_result result;
	const char *task, *suspect;
	int fd = memfd_create("trace", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (usage_open(fd, "trace", map, f->columns, &reader, NULL) < 0)
		return;
	if (usage_run_new(c, &sink, true, &u) == 0 && usage_run_file(u, reader, NULL) == 0 &&
	    usage_run_end(u, &result) == 0) {
		FUZZ_ASSERT(result.cpi2.outliers <= result.cpi2.judged);
		FUZZ_ASSERT(result.cpi2.named <= result.cpi2.analyses);
		usage_run_worst(u, &task, &suspect);
	}
	usage_run_free(u);
	usage_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	char *rest = text, *line = strsep(&rest, "\n"), *format, *map_text;
	struct cpi2_config c = cpi2_default;
	const struct usage_format *f;
	struct usage_map map = {0};

	if (!rest)
		return 0;
	format = strsep(&line, " ");
	map_text = strsep(&line, " ");
	f = usage_format_find(format);
	if (!f || usage_map_set(&map, f->map, NULL) < 0)
		return 0;
	if (map_text && usage_map_set(&map, map_text, NULL) < 0)
		return 0;
	if (line && cpi2_config_set(&c, line, NULL) < 0)
		return 0;
	if (usage_map_check(&map, NULL) == 0)
		run(&c, &map, f, rest, size - (size_t)(rest - text));
	return 0;
}
