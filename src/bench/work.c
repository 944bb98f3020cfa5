/* SPDX-License-Identifier: MIT */
/* cz-work: workloads whose demand is known exactly, to try a machine's sharing with. */
#include "bench/work.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "bench/bench.h"

#define HOUR_NS (3600 * 1000000000ull)

static const struct workload *const workloads[] = {
    &workload_sine,
    &workload_hog,
    &workload_chase,
    &workload_stream,
};

#define OPT(...) OPTION(struct work_options, __VA_ARGS__)
static const struct option_desc common_options[] = {
    OPT("seconds", DURATION, seconds_ns, "TIME", "how long (default: until stopped)",
	.max = 24 * HOUR_NS),
    OPT("cpu", CPUS, cpus, "LIST", "run on these CPUs only"),
    OPT("report", DURATION, report_ns, "TIME", "length of an interval (default 1s)",
	.min = 10000000, .max = HOUR_NS),
    OPT("output", CHOICE, output, "text|json", "form of the result (default text)",
	.choices = bench_outputs, .letter = 'o'),
    OPT("quiet", FLAG, quiet, NULL, "no progress lines on stderr", .letter = 'q'),
    OPT("help", FLAG, help, NULL, "this text", .letter = 'h'),
    OPTIONS_END,
};

uint64_t work_unit(uint64_t x)
{
	for (int i = 0; i < WORK_UNIT_STEPS; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	return x;
}

uint64_t work_end_ns(const struct work_options *o, uint64_t start_ns)
{
	return o->seconds_ns ? start_ns + o->seconds_ns : UINT64_MAX;
}

void work_progress(const struct work_options *o, const char *fmt, ...)
{
	va_list ap;

	if (o->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

static void print_help(const struct workload *only)
{
	printf("Usage: cz-work %s [options]\n\n", only ? only->name : "WORKLOAD");
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
		const struct workload *w = workloads[i];

		if (only && w != only)
			continue;
		printf("%s: %s\n", w->name, w->summary);
		options_print(w->options);
		printf("\n");
	}
	printf("all workloads:\n");
	options_print(common_options);
	printf("\nSIGTERM and SIGINT end it early; the result is printed all the same.\n"
	       "Example: cz-work sine --cpu 1 --period 20 --min 10%% --max 90%% --seconds 40 -o "
	       "json\n");
}

static const struct workload *find_workload(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
		if (strcmp(workloads[i]->name, name) == 0)
			return workloads[i];
	}
	return NULL;
}

static int run(const struct workload *w, const struct work_options *o, struct error *reterr)
{
	json_t *result = NULL;
	int r;

	r = bench_pin(&o->cpus, reterr);
	if (r < 0)
		return r;
	r = w->run(o, &result, reterr);
	if (r < 0)
		return r;
	if (o->output == OUTPUT_JSON)
		return bench_print_json(result, JSON_INDENT(2), reterr);
	w->print(result);
	json_decref(result);
	return 0;
}

int main(int argc, char **argv)
{
	struct work_options o = {
	    .report_ns = 1000000000,
	    .sine = {.period_ns = 120 * 1000000000ull, .min_ppm = 100000, .max_ppm = 900000},
	    .slot_ns = 10000000,
	    .threads = 1,
	};
	const struct workload *w = argc > 1 ? find_workload(argv[1]) : NULL;
	const struct option_desc *tables[] = {common_options, w ? w->options : NULL, NULL};
	struct error err = {0};

	if (argc > 1 && !w && argv[1][0] != '-') {
		error_set(&err, -EINVAL, "no workload '%s'", argv[1]);
		error_hint(&err, "There are sine, hog, chase and stream.");
		return bench_fail("cz-work", &err, EXIT_USAGE);
	}
	if (options_parse(tables, &o, argc - 1 - (w != NULL), argv + 1 + (w != NULL), NULL, 0,
			  &err) < 0)
		return bench_fail("cz-work", &err, EXIT_USAGE);
	if (!w || o.help) {
		print_help(w);
		return o.help ? EXIT_OK : EXIT_USAGE;
	}
	bench_init();
	if (run(w, &o, &err) < 0)
		return bench_fail("cz-work", &err, EXIT_FAILED);
	return EXIT_OK;
}
