/* SPDX-License-Identifier: MIT */
/*
 * Memory bandwidth by the four classic loops over three arrays: copy c = a, scale b = q c,
 * add c = a + b, triad a = b + q c. Bytes are counted as the loops ask for them, without the
 * fills a write may cost.
 */
#include "bench/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "bench/bench.h"

#define SIZE_DEFAULT (192ull << 20)
#define FACTOR	     3.0

#define OPT(...) OPTION(struct work_options, __VA_ARGS__)
static const struct option_desc options[] = {
    OPT("size", SIZE, size_bytes, "BYTES", "of all three arrays (default 192M)", .min = 1 << 16,
	.max = 1ull << 40),
    OPTIONS_END,
};

struct arrays {
	double *a, *b, *c;
	size_t n;
};

#define LOOP(name, statement)                                                                      \
	static __attribute__((noinline)) void name(const struct arrays *s)                         \
	{                                                                                          \
		double *restrict a = s->a, *restrict b = s->b, *restrict c = s->c;                 \
                                                                                                   \
		for (size_t i = 0; i < s->n; i++)                                                  \
			statement;                                                                 \
		__asm__ volatile("" : : "r"(a), "r"(b), "r"(c) : "memory");                        \
	}
LOOP(copy, c[i] = a[i])
LOOP(scale, b[i] = FACTOR * c[i])
LOOP(add, c[i] = a[i] + b[i])
LOOP(triad, a[i] = b[i] + FACTOR * c[i])
#undef LOOP

static const struct kernel {
	const char *name;
	void (*run)(const struct arrays *s);
	unsigned int words; /* read or written per element */
} kernels[] = {
    {"copy", copy, 2},
    {"scale", scale, 2},
    {"add", add, 3},
    {"triad", triad, 3},
};

struct reading {
	uint64_t rounds, sum_ns, best_ns;
};

static void time_one(const struct kernel *k, const struct arrays *s, struct reading *r)
{
	uint64_t before = clock_mono_ns(), took;

	k->run(s);
	took = clock_mono_ns() - before;
	r->rounds++;
	r->sum_ns += took;
	if (r->best_ns == 0 || took < r->best_ns)
		r->best_ns = took;
}

static double mb_per_sec(const struct kernel *k, const struct arrays *s, double ns)
{
	return (double)(k->words * s->n * sizeof(double)) / ns * 1e3;
}

static json_t *result_json(const struct arrays *s, const struct reading *r, uint64_t start_ns)
{
	json_t *rates = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		double mean = (double)r[i].sum_ns / (double)r[i].rounds;

		json_object_set_new(
		    rates, kernels[i].name,
		    json_pack("{s:I,s:o,s:o}", "rounds", (json_int_t)r[i].rounds, "best_mb_per_sec",
			      bench_real(mb_per_sec(&kernels[i], s, (double)r[i].best_ns)),
			      "mean_mb_per_sec", bench_real(mb_per_sec(&kernels[i], s, mean))));
	}
	return json_pack("{s:s,s:I,s:I,s:I,s:o}", "workload", "stream", "start_mono_ns",
			 (json_int_t)start_ns, "wall_ns", (json_int_t)(clock_mono_ns() - start_ns),
			 "size_bytes", (json_int_t)(3 * s->n * sizeof(double)), "kernels", rates);
}

static json_t *measure(const struct work_options *o, const struct arrays *s)
{
	struct reading readings[ARRAY_SIZE(kernels)] = {0};
	uint64_t start_ns = clock_mono_ns(), end_ns = work_end_ns(o, start_ns), last_ns = start_ns;

	while (!bench_stopped && clock_mono_ns() < end_ns) {
		uint64_t round_ns = clock_mono_ns();
		double bytes = 0;

		for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
			time_one(&kernels[i], s, &readings[i]);
			bytes += (double)(kernels[i].words * s->n * sizeof(double));
		}
		if (clock_mono_ns() - last_ns < o->report_ns)
			continue;
		last_ns = clock_mono_ns();
		work_progress(o, "%6.0f s  %.0f MB/s\n", (double)(last_ns - start_ns) / 1e9,
			      bytes / (double)(last_ns - round_ns) * 1e3);
	}
	return result_json(s, readings, start_ns);
}

static int run(const struct work_options *o, json_t **ret_result, struct error *reterr)
{
	size_t size = o->size_bytes ? o->size_bytes : SIZE_DEFAULT;
	double *memory =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct arrays s = {.n = size / (3 * sizeof(double))};
	char text[16];

	if (memory == MAP_FAILED)
		return error_errno(reterr, -errno, "get %s of memory",
				   format_bytes(size, text, sizeof(text)));
	s.a = memory;
	s.b = s.a + s.n;
	s.c = s.b + s.n;
	for (size_t i = 0; i < 3 * s.n; i++)
		memory[i] = 1.0; /* maps every page before the first measured round */
	*ret_result = measure(o, &s);
	munmap(memory, size);
	return 0;
}

static void print(const json_t *result)
{
	const json_t *rates = json_object_get(result, "kernels");

	printf("stream        best MB/s   mean MB/s\n");
	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		const json_t *k = json_object_get(rates, kernels[i].name);

		printf("  %-10s %10.0f  %10.0f\n", kernels[i].name,
		       json_number_value(json_object_get(k, "best_mb_per_sec")),
		       json_number_value(json_object_get(k, "mean_mb_per_sec")));
	}
}

const struct workload workload_stream = {
    .name = "stream",
    .summary = "memory bandwidth: copy, scale, add, triad",
    .options = options,
    .run = run,
    .print = print,
};
