/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/hostio.h"
#include "fuzz.h"

static bool ask(const char *name, void *arg)
{
	FUZZ_ASSERT(name[0] && strlen(name) < 64);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct disk_totals d = {.reads = 42};
	struct net_totals n = {.dropped = 42};
	struct numa_bytes b = {{42}};
	uint64_t v = 42;

	FUZZ_ASSERT(proc_diskstats_parse(s, &d) == 0 || d.reads == 42);
	FUZZ_ASSERT(proc_net_dev_parse(s, ask, NULL, &n) == 0 || n.dropped == 42);
	FUZZ_ASSERT(proc_tcp_retransmits_parse(s, &v) == 0 || v == 42);
	FUZZ_ASSERT(cgroup_numa_parse(size & 1, s, &b) == 0 || b.bytes[0] == 42);
	return 0;
}
