/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/resctrl.h"
#include "fuzz.h"

/* What was understood can be written, and is understood again as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resctrl_schemata first, second;
	static char text[RESCTRL_TEXT_MAX * 8];
	static const struct resctrl_info info = {
	    .alloc = {[RESCTRL_L3] = {.present = true, .cbm_mask = 0x7ff, .min_cbm_bits = 1},
		      [RESCTRL_MB] = {.present = true, .min_bandwidth = 10, .gran = 10}}};
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct error e = {0};

	first.lines[RESCTRL_L3].nr = 99;
	if (resctrl_schemata_parse(s, &first) < 0) {
		FUZZ_ASSERT(first.lines[RESCTRL_L3].nr == 99);
		return 0;
	}
	for (int i = 0; i < RESCTRL_NR; i++)
		FUZZ_ASSERT(first.lines[i].nr <= RESCTRL_DOMAINS_MAX);
	FUZZ_ASSERT(resctrl_schemata_format(&first, text, sizeof(text)) == 0);
	FUZZ_ASSERT(resctrl_schemata_parse(text, &second) == 0);
	for (int i = 0; i < RESCTRL_NR; i++) {
		FUZZ_ASSERT(first.lines[i].nr == second.lines[i].nr);
		for (size_t d = 0; d < first.lines[i].nr; d++)
			FUZZ_ASSERT(first.lines[i].domains[d].id == second.lines[i].domains[d].id &&
				    first.lines[i].domains[d].value ==
					second.lines[i].domains[d].value);
	}
	if (resctrl_schemata_check(&info, NULL, &first, &e) < 0) {
		FUZZ_ASSERT(e.msg[0]);
		return 0;
	}
	for (size_t d = 0; d < first.lines[RESCTRL_MB].nr; d++)
		FUZZ_ASSERT(first.lines[RESCTRL_MB].domains[d].value <= 100);
	return 0;
}
