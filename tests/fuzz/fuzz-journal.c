/* SPDX-License-Identifier: MIT */
#include "actuate/journal.h"
#include "base/cleanup.h"
#include "fuzz.h"

static void check(const struct entry *e)
{
	FUZZ_ASSERT(e->seq && e->nr && e->nr <= PARTS_MAX && zone_path_valid(e->path));
	FUZZ_ASSERT((unsigned int)e->knob < KNOB_NR);
	for (size_t i = 0; i < e->nr; i++) {
		const struct part *p = &e->parts[i];

		/* What may reach a kernel file: a file of the table, of a group, one line. */
		FUZZ_ASSERT((unsigned int)p->file < KF_NR && p->id > 1);
		FUZZ_ASSERT(!p->path || zone_path_valid(p->path));
		FUZZ_ASSERT(!strchr(p->old, '\n') && !strchr(p->new, '\n'));
	}
}

/* Whatever the text: what was understood is sane, and written again it is understood the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal a = {.fd = -1}, b = {.fd = -1};
	struct strbuf one = {0}, two = {0};
	char boot[37];

	FUZZ_ASSERT(journal_parse(&a, (const char *)data, size, boot) == 0);
	FUZZ_ASSERT(a.size <= size && strlen(boot) < sizeof(boot));
	for (size_t i = 0; i < a.nr; i++) {
		check(a.open[i]);
		journal_format_entry(a.open[i], &one);
	}
	if (one.len) {
		FUZZ_ASSERT(journal_parse(&b, one.data, one.len, boot) == 0);
		FUZZ_ASSERT(!b.bad_lines && b.nr == a.nr && b.size == one.len);
		for (size_t i = 0; i < b.nr; i++)
			journal_format_entry(b.open[i], &two);
		FUZZ_ASSERT(two.len == one.len && !memcmp(one.data, two.data, one.len));
	}
	strbuf_done(&one);
	strbuf_done(&two);
	journal_done(&a);
	journal_done(&b);
	return 0;
}
