/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/procfs.h"
#include "kernel/text.h"
#include "fuzz.h"

/* /proc/stat, /proc/meminfo, /proc/PID/stat and schedstat. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct proc_cpu_times t = {.busy_ns = 42};
	struct proc_pid_stat ps;
	uint64_t a = 42, b = 42;

	if (proc_stat_parse(s, &t) < 0)
		FUZZ_ASSERT(t.busy_ns == 42);
	else
		FUZZ_ASSERT(!strncmp(s, "cpu ", 4));
	if (proc_meminfo_parse(s, &a, &b) < 0)
		FUZZ_ASSERT(a == 42 && b == 42);
	if (proc_schedstat_parse(s, &a) == 0)
		FUZZ_ASSERT(strchr(s, '\n'));
	if (proc_pid_stat_parse(s, &ps) == 0)
		FUZZ_ASSERT(strlen(ps.comm) < sizeof(ps.comm));
	return 0;
}
