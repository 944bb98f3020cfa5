/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "spec/spec.h"
#include "fuzz.h"

/* What loads is within its ranges; what does not leaves errors, each with a line of the text, and
 * no raw control character. */
static void check_errors(const struct error_list *errs, const uint8_t *data, size_t size)
{
	size_t lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80; /* NEL, LS, PS */
	FUZZ_ASSERT(errs->nr > 0 && errs->nr <= ERROR_LIST_MAX && errs->nr <= errs->total);
	for (size_t i = 0; i < errs->nr; i++) {
		FUZZ_ASSERT(errs->items[i].line <= lines + 1);
		FUZZ_ASSERT(!strncmp(errs->items[i].text, "f:", 2));
		for (const char *p = errs->items[i].text; *p; p++)
			FUZZ_ASSERT((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct error_list errs;
	_cleanup_(config_done) struct config c = {0};
	_cleanup_free_ char *text = fuzz_text(data, size);

	if (spec_load_text("f", text, size, &c, &errs) < 0) {
		FUZZ_ASSERT(!c.tick_ns && !c.rules);
		check_errors(&errs, data, size);
		return 0;
	}
	FUZZ_ASSERT(errs.total == 0);
	FUZZ_ASSERT(c.tick_ns >= 100000000 && c.guard.max_actions && c.nr_rules <= SPEC_RULES_MAX);
	for (size_t i = 0; i < c.nr_rules; i++) {
		FUZZ_ASSERT(c.rules[i].match && c.rules[i].match[0] && c.rules[i].line);
		FUZZ_ASSERT(!slo_is_set(&c.rules[i].slo) || c.rules[i].class == CLASS_LC);
	}
	return 0;
}
