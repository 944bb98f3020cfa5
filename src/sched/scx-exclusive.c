/* SPDX-License-Identifier: MIT */
#include "sched/counters.h"
#include "sched/exclusive-host.h"
#include "sched/loader.h"
#include "scx-exclusive.skel.h"

static const char *const counters[] = {EXCLUSIVE_COUNTERS(COUNTER_NAME) NULL};

static const struct option_desc options[] = {EXCLUSIVE_OPTIONS(scx_exclusive_bpf) OPTIONS_END};

static const struct policy policy = {
    .name = "exclusive",
    .elf = scx_exclusive_bpf__elf_bytes,
    .options = options,
    .counters = counters,
    .partial_is_be = true,
    .hooks.open = exclusive_open,
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
