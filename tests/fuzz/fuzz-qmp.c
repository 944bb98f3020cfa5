/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "vm/qmp.h"
#include "fuzz.h"

static unsigned int answers;

static void on_answer(void *arg, const json_t *result, const struct error *e)
{
	FUZZ_ASSERT(!result != !e);
	answers++;
}

static void on_event(void *arg, const char *name, const json_t *data)
{
	struct qmp *q = *(struct qmp **)arg;

	FUZZ_ASSERT(name);
	if (qmp_command(q, "query-status", NULL, 1, on_answer, NULL) == 0)
		answers--;
}

/* Whatever QEMU says: every command has exactly one answer. The first byte says how it comes in
 * pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size ? data[0] % 64 + 1u : 1, n;
	struct qmp *q = NULL;
	int r = 0;

	answers = 0;
	FUZZ_ASSERT(qmp_new(on_event, &q, &q) == 0);
	for (size_t at = 1; at < size && r == 0; at += n) {
		n = size - at < piece ? size - at : piece;
		r = qmp_feed(q, data + at, n);
		FUZZ_ASSERT(r == 0 || r == -EPROTO || r == -E2BIG || r == -ENOBUFS);
	}
	qmp_expire(q, 0);
	qmp_free(q);
	FUZZ_ASSERT(answers == 0);
	return 0;
}
