/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/resctrl.h"
#include "fuzz.h"

/* The small texts: the mount, what is monitored, counters, names of directories, of groups. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct resctrl rc = {.fd = -1};
	struct resctrl_info info = {0};
	char path[RESCTRL_PATH_MAX];
	bool flag = false, on, off;
	uint64_t v = 77;
	uint32_t id = 77;

	if (resctrl_mountinfo_parse(s, strlen(s), &rc) == 0)
		FUZZ_ASSERT(strstr(s, "resctrl") && strlen(rc.mount) < sizeof(rc.mount));
	if (resctrl_features_parse(s, &info) == 0 && info.llc_occupancy)
		FUZZ_ASSERT(strstr(s, "llc_occupancy\n"));
	if (resctrl_assign_mode_parse(s, &flag) == 0)
		FUZZ_ASSERT(!flag || strstr(s, "[mbm_event]\n"));
	if (resctrl_count_parse(s, &v) < 0)
		FUZZ_ASSERT(v == 77);
	if (resctrl_assignments_parse(s, "mbm_total_bytes", &on, &off) == 0)
		FUZZ_ASSERT(strstr(s, "mbm_total_bytes:") && !(on && off));
	if (resctrl_mon_name_parse(s, &id, &flag) < 0)
		FUZZ_ASSERT(id == 77);
	if (resctrl_path(path, sizeof(path), s, s, NULL) == 0)
		FUZZ_ASSERT(!s[0] || strlen(path) == 2 * strlen(s) + strlen("/mon_groups/"));
	return 0;
}
