/* SPDX-License-Identifier: MIT */
#include "sched/counters.h"
#include "sched/loader.h"
#include "sched/scx-rr.h"
#include "scx-rr.skel.h"

static const struct option_desc options[] = {
    POLICY_OPTION(scx_rr_bpf, "slice", DURATION, slice_ns, "TIME", "how long a turn lasts",
		  .min = 100000, .max = 1000000000),
    OPTIONS_END,
};

static const char *const counters[] = {RR_COUNTERS(COUNTER_NAME) NULL};

static const struct policy policy = {
    .name = "rr",
    .elf = scx_rr_bpf__elf_bytes,
    .options = options,
    .counters = counters,
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
