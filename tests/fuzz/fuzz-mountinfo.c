/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "fuzz.h"

/* /proc/self/mountinfo by lines, and /proc/PID/cgroup: both name places in the cgroup trees. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct cgroup_mount m;
	char path[32];

	if (cgroup_mountinfo_parse(s, strlen(s), &m) == 0) {
		FUZZ_ASSERT(strstr(s, " - ") && strstr(s, " cgroup"));
		FUZZ_ASSERT(m.options[0] && strlen(m.mount) < sizeof(m.mount));
	}
	if (cgroup_pid_path_parse(s, "cpu", path, sizeof(path)) == 0)
		FUZZ_ASSERT(path[0] == '/' && strstr(s, "cpu"));
	if (cgroup_pid_path_parse(s, NULL, path, sizeof(path)) == 0)
		FUZZ_ASSERT(path[0] == '/' && strstr(s, "::/"));
	return 0;
}
