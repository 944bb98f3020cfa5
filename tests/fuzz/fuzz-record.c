/* SPDX-License-Identifier: MIT */
/* A recording of several lines: what is accepted can be written, and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const char *text)
{
	struct record_reader *r;
	struct record rec;

	if (!text || record_reader_new(&r) < 0 || record_read(r, text, &rec, NULL) < 0)
		abort();
	record_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct record_reader *r;
	struct record rec;
	char *rest = text, *line;

	if (!text || record_reader_new(&r) < 0)
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		if (record_read(r, line, &rec, NULL) < 0)
			continue;
		_cleanup_free_ char *out =
		    rec.kind == RECORD_SNAPSHOT ? record_snapshot_text(rec.snapshot, true)
		    : rec.kind == RECORD_EVENT	? record_event_text(&rec.event)
						: NULL;

		if (out)
			again(out);
	}
	record_reader_free(r);
	return 0;
}
