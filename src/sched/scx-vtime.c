/* SPDX-License-Identifier: MIT */
#include "sched/counters.h"
#include "sched/loader.h"
#include "sched/scx-vtime.h"
#include "scx-vtime.skel.h"

static const struct option_desc options[] = {
    POLICY_OPTION(scx_vtime_bpf, "slice", DURATION, slice_ns, "TIME", "how long a turn lasts",
		  .min = 100000, .max = 1000000000),
    POLICY_OPTION(scx_vtime_bpf, "max-wait", DURATION, max_wait_ns, "TIME",
		  "no task waits longer, whatever its weight", .min = 100000000,
		  .max = 20000000000),
    OPTIONS_END,
};

static const char *const counters[] = {VTIME_COUNTERS(COUNTER_NAME) NULL};

static const struct policy policy = {
    .name = "vtime",
    .elf = scx_vtime_bpf__elf_bytes,
    .options = options,
    .counters = counters,
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
