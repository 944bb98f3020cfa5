/* SPDX-License-Identifier: MIT */
/* Answers of czd, line by line: each is a snapshot as far as it can be. */
#include "fuzz.h"
#include "gate/czd.h"
#include "gate/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *rest = text, *line;
	struct view v = {0};
	struct pairs p = {0};

	while ((line = strsep(&rest, "\n")) != NULL) {
		struct error e = {0};
		int64_t id;
		json_t *answer = czd_parse(line, strlen(line), &id, &e);

		FUZZ_ASSERT(answer || e.code);
		if (answer && view_take(&v, answer, &e) == 1)
			FUZZ_ASSERT(pairs_take(&p, &v) == 0);
		FUZZ_ASSERT(v.known || !v.nr_zones);
		json_decref(answer);
	}
	pairs_done(&p);
	view_reset(&v);
	free(text);
	return 0;
}
