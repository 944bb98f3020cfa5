/* SPDX-License-Identifier: MIT */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include "sched/counters.h"
#include "sched/loader.h"
#include "sched/scx-central.h"
#include "scx-central.skel.h"

static const struct option_desc options[] = {
    POLICY_OPTION(scx_central_bpf, "cpu", NUMBER, central_cpu, "CPU",
		  "the CPU that decides for all", .max = 1023),
    POLICY_OPTION(scx_central_bpf, "slice", DURATION, slice_ns, "TIME",
		  "how long a task runs while others wait", .min = 1000000, .max = 1000000000),
    POLICY_OPTION(scx_central_bpf, "tick", DURATION, tick_ns, "TIME",
		  "how often the central CPU looks", .min = 100000, .max = 1000000000),
    OPTIONS_END,
};

static const char *const counters[] = {CENTRAL_COUNTERS(COUNTER_NAME) NULL};

static int run_program(struct policy_run *run, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(run->obj, name);
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int r = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	return r < 0 ? r : (int)opts.retval;
}

/* The timer stays on the CPU that starts it. */
static int start_ticker(struct policy_run *run, struct error *reterr)
{
	const struct scx_central_bpf__rodata *rodata = (const void *)run->settings->rodata;
	cpu_set_t before, central;
	int r;

	CPU_ZERO(&central);
	CPU_SET((int)rodata->central_cpu, &central);
	if (sched_getaffinity(0, sizeof(before), &before) < 0 ||
	    sched_setaffinity(0, sizeof(central), &central) < 0) {
		error_errno(reterr, -errno, "could not go to CPU %d", (int)rodata->central_cpu);
		error_hint(reterr, "Choose one that is online, with --cpu.");
		return reterr->code;
	}
	r = run_program(run, "ticker_start");
	sched_setaffinity(0, sizeof(before), &before);
	return r < 0 ? error_errno(reterr, r, "could not start the timer") : 0;
}

static void stop_ticker(struct policy_run *run)
{
	run_program(run, "ticker_stop");
}

static const struct policy policy = {
    .name = "central",
    .elf = scx_central_bpf__elf_bytes,
    .options = options,
    .counters = counters,
    .hooks = {.attach = start_ticker, .detach = stop_ticker},
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
