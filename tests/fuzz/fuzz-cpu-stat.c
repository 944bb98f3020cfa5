/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "fuzz.h"

/* What is refused leaves the result alone; what is read ends in a newline. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	size_t n = strlen(s);

	for (int v2 = 0; v2 < 2; v2++) {
		struct cgroup_cpu_stat st = {.nr_periods = 42};
		uint64_t ns = 42;
		bool finite;

		if (cgroup_cpu_stat_parse(v2, s, &st) < 0)
			FUZZ_ASSERT(st.nr_periods == 42);
		else
			FUZZ_ASSERT(n && s[n - 1] == '\n');
		if (!v2)
			FUZZ_ASSERT(cgroup_usage_parse(false, s, &ns) < 0 ? ns == 42
									  : s[n - 1] == '\n');
		else if (cgroup_usage_parse(true, s, &ns) == 0)
			FUZZ_ASSERT(!strncmp(s, "usage_usec ", 11));
		if (cgroup_quota_parse(v2, s, &finite) == 0)
			FUZZ_ASSERT(strchr(s, '\n'));
	}
	return 0;
}
