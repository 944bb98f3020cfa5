/* SPDX-License-Identifier: MIT */
#include "sched/counters.h"
#include "sched/loader.h"
#include "sched/scx-fifo.h"
#include "scx-fifo.skel.h"

static const struct option_desc options[] = {
    POLICY_OPTION(scx_fifo_bpf, "max-turn", DURATION, max_turn_ns, "TIME",
		  "how long a task keeps its CPU at most; 0: for ever", .max = 10000000000),
    OPTIONS_END,
};

static const char *const counters[] = {FIFO_COUNTERS(COUNTER_NAME) NULL};

static const struct policy policy = {
    .name = "fifo",
    .elf = scx_fifo_bpf__elf_bytes,
    .options = options,
    .counters = counters,
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
