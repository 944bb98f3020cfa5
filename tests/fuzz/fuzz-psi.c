/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/procfs.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct psi_line line = {42, 42};

	if (psi_parse(s, &line) < 0)
		FUZZ_ASSERT(line.some_ns == 42 && line.full_ns == 42);
	else
		FUZZ_ASSERT(strstr(s, "some ") && strstr(s, " total=") && s[strlen(s) - 1] == '\n');
	return 0;
}
