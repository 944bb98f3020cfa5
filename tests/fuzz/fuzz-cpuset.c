/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "fuzz.h"

/* What parses must survive format + parse unchanged. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct cpuset a, b;
	char text[CPUSET_MAX * 5];

	if (cpuset_parse(s, &a) < 0)
		return 0;
	FUZZ_ASSERT(cpuset_format(&a, text, sizeof(text)) == 0);
	FUZZ_ASSERT(cpuset_parse(text, &b) == 0);
	FUZZ_ASSERT(cpuset_equal(&a, &b));
	return 0;
}
