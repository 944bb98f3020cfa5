/* SPDX-License-Identifier: MIT */
#include "sched/counters.h"
#include "sched/loader.h"
#include "sched/scx-fifo.h"
#include "scx-fifo.skel.h"

static const char *const counters[] = {FIFO_COUNTERS(COUNTER_NAME) NULL};

static const struct policy policy = {
    .name = "fifo",
    .summary = "first come, first served, never interrupted",
    .elf = scx_fifo_bpf__elf_bytes,
    .counters = counters,
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
