/* SPDX-License-Identifier: MIT */
/*
 * A service whose demand for CPU is a sine. Time is cut into slots; in each slot it computes until
 * it has had the CPU time demanded, or the slot is over. What a slot did not get is lost, as the
 * requests of that moment are: it is not carried over. Slots missed altogether count as demanded.
 */
#include "bench/work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/bench.h"

#define OPT(...) OPTION(struct work_options, __VA_ARGS__)
static const struct option_desc options[] = {
    OPT("period", DURATION, sine.period_ns, "TIME", "of the sine (default 120s)", .min = 100000000),
    OPT("min", RATIO, sine.min_ppm, "SHARE", "least demand, of one CPU (default 10%)"),
    OPT("max", RATIO, sine.max_ppm, "SHARE", "largest demand (default 90%)"),
    OPT("slot", DURATION, slot_ns, "TIME", "demand is met or lost in this (default 10ms)",
	.min = 100000, .max = 1000000000),
    OPTIONS_END,
};

struct series {
	struct sine_point *points;
	size_t nr, cap;
};

static int series_add(struct series *s, const struct sine_point *p)
{
	if (s->nr == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct sine_point *points = realloc(s->points, cap * sizeof(*points));

		if (!points)
			return -ENOMEM;
		s->points = points;
		s->cap = cap;
	}
	s->points[s->nr++] = *p;
	return 0;
}

/* Compute until `want_ns` of CPU time are had or the slot is over. Returns the CPU time had. */
static uint64_t run_slot(uint64_t want_ns, uint64_t slot_end_ns, uint64_t *units, uint64_t *x)
{
	uint64_t before = clock_thread_cpu_ns(), had = 0;

	while (had < want_ns && clock_mono_ns() < slot_end_ns && !bench_stopped) {
		*x = work_unit(*x);
		++*units;
		had = clock_thread_cpu_ns() - before;
	}
	return had;
}

static void report(const struct work_options *o, const struct sine_point *p)
{
	work_progress(o, "%6.0f s  demanded %5.1f %%  achieved %5.1f %%\n",
		      (double)(p->start_ns + p->length_ns) / 1e9,
		      100.0 * (double)p->demanded_ns / (double)p->length_ns,
		      100.0 * (double)p->achieved_ns / (double)p->length_ns);
}

/* All slots of one interval; its length may be cut by the end or a signal. */
static void run_interval(const struct work_options *o, uint64_t start_ns, uint64_t end_ns,
			 struct sine_point *p, uint64_t *x)
{
	uint64_t until = p->start_ns + o->report_ns;

	for (uint64_t at = p->start_ns; at < until && !bench_stopped; at += o->slot_ns) {
		uint64_t want = sine_demand_ns(&o->sine, at, o->slot_ns);

		if (start_ns + at >= end_ns)
			break;
		bench_sleep_until(start_ns + at);
		p->achieved_ns += run_slot(want, start_ns + at + o->slot_ns, &p->units, x);
		p->demanded_ns += want;
		p->length_ns += o->slot_ns;
	}
}

static json_t *result_json(const struct work_options *o, const struct series *s, uint64_t start_ns)
{
	json_t *intervals = json_array();
	uint64_t demanded = 0, achieved = 0, units = 0;
	struct sine_fit fit;

	sine_fit(&o->sine, s->points, s->nr, &fit);
	for (size_t i = 0; i < s->nr; i++) {
		const struct sine_point *p = &s->points[i];

		demanded += p->demanded_ns;
		achieved += p->achieved_ns;
		units += p->units;
		json_array_append_new(
		    intervals,
		    json_pack("{s:I,s:I,s:I,s:I,s:I}", "t_ns", (json_int_t)p->start_ns, "length_ns",
			      (json_int_t)p->length_ns, "demanded_ns", (json_int_t)p->demanded_ns,
			      "achieved_ns", (json_int_t)p->achieved_ns, "units",
			      (json_int_t)p->units));
	}
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "workload",
			 "sine", "start_mono_ns", (json_int_t)start_ns, "wall_ns",
			 (json_int_t)(clock_mono_ns() - start_ns), "period_ns",
			 (json_int_t)o->sine.period_ns, "demanded_ns", (json_int_t)demanded,
			 "achieved_ns", (json_int_t)achieved, "units", (json_int_t)units,
			 "correlation", bench_real(fit.correlation), "demanded_amplitude",
			 bench_real(fit.demanded_amplitude), "achieved_amplitude",
			 bench_real(fit.achieved_amplitude), "amplitude_ratio",
			 bench_real(fit.amplitude_ratio), "max_share", bench_real(fit.max_share),
			 "unmet_ratio", bench_real(fit.unmet_ratio), "intervals", intervals);
}

static int check(const struct work_options *o, struct error *reterr)
{
	if (o->sine.min_ppm > o->sine.max_ppm)
		return error_set(reterr, -EINVAL, "--min is larger than --max");
	if (o->report_ns % o->slot_ns)
		return error_set(reterr, -EINVAL, "--report is not a multiple of --slot");
	if (o->report_ns * 4 > o->sine.period_ns)
		return error_set(reterr, -EINVAL, "--report is longer than a quarter of --period");
	return 0;
}

static int run(const struct work_options *o, json_t **ret_result, struct error *reterr)
{
	struct series s = {0};
	uint64_t start_ns, end_ns, x = 1;
	int r = check(o, reterr);

	if (r < 0)
		return r;
	start_ns = clock_mono_ns();
	end_ns = work_end_ns(o, start_ns);
	for (uint64_t at = 0; !bench_stopped && start_ns + at < end_ns; at += o->report_ns) {
		struct sine_point p = {.start_ns = at};

		run_interval(o, start_ns, end_ns, &p, &x);
		/* A stump would weigh as much as a whole interval in the fit. */
		if (p.length_ns * 2 < o->report_ns)
			break;
		report(o, &p);
		r = series_add(&s, &p);
		if (r < 0)
			break;
	}
	if (r == 0)
		*ret_result = result_json(o, &s, start_ns);
	free(s.points);
	return r < 0 ? error_errno(reterr, r, "keep the series") : 0;
}

static void print_value(const json_t *result, const char *key, const char *text, double factor,
			const char *unit)
{
	const json_t *v = json_object_get(result, key);

	if (json_is_number(v))
		printf("  %-26s %.3g%s\n", text, json_number_value(v) * factor, unit);
	else
		printf("  %-26s -\n", text);
}

static void print(const json_t *result)
{
	printf("sine\n");
	print_value(result, "demanded_ns", "demanded", 1e-9, " s of CPU");
	print_value(result, "achieved_ns", "achieved", 1e-9, " s of CPU");
	print_value(result, "unmet_ratio", "not met", 100, " %");
	print_value(result, "correlation", "correlation", 1, "");
	print_value(result, "demanded_amplitude", "amplitude demanded", 100, " % of a CPU");
	print_value(result, "achieved_amplitude", "amplitude achieved", 100, " % of a CPU");
	print_value(result, "max_share", "largest share", 100, " % of a CPU");
}

const struct workload workload_sine = {
    .name = "sine",
    .summary = "demand for CPU is a sine wave; reports demanded and achieved work",
    .options = options,
    .run = run,
    .print = print,
};
