/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "fuzz.h"

/* What is refused leaves the result alone; what is read ends in a newline. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct cgroup_mem_events events = {.high = 42};
	struct cgroup_io io = {.reads = 42};
	size_t n = strlen(s);

	for (int v2 = 0; v2 < 2; v2++) {
		struct cgroup_mem_stat st = {.faults = 42};
		uint64_t bytes = 42;

		if (cgroup_mem_stat_parse(v2, s, &st) < 0)
			FUZZ_ASSERT(st.faults == 42);
		else
			FUZZ_ASSERT(n && s[n - 1] == '\n');
		FUZZ_ASSERT(cgroup_mem_limit_parse(v2, s, &bytes) < 0 ? bytes == 42
								      : s[n - 1] == '\n');
	}
	FUZZ_ASSERT(cgroup_mem_events_parse(s, &events) < 0 ? events.high == 42 : s[n - 1] == '\n');
	FUZZ_ASSERT(cgroup_io_stat_parse(s, &io) < 0 ? io.reads == 42 : !n || s[n - 1] == '\n');
	io = (struct cgroup_io){.reads = 42};
	FUZZ_ASSERT(cgroup_blkio_parse(s, size & 1, &io) < 0 ? io.reads == 42 && !io.nr_disks
							     : !n || s[n - 1] == '\n');
	(void)cgroup_io_limit_parse(s, NULL);
	(void)cgroup_io_limit_parse(s, "rbps=");
	return 0;
}
