/* SPDX-License-Identifier: MIT */
/*
 * Pointer chase: one random cycle through all cache lines of a buffer. Each access depends on the
 * one before, so ns per access is the latency of the cache or memory the buffer fits into.
 */
#include "bench/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "bench/bench.h"

#define LINE_BYTES   64
#define BATCH	     4096 /* accesses between looks at the clock: 0.1 to 0.5 ms from memory */
#define SIZE_DEFAULT (8ull << 20)

#define OPT(...) OPTION(struct work_options, __VA_ARGS__)
static const struct option_desc options[] = {
    OPT("size", SIZE, size_bytes, "BYTES", "of the buffer (default 8M)", .min = 2 * LINE_BYTES,
	.max = 1ull << 40),
    OPTIONS_END,
};

struct line {
	struct line *next;
	char rest[LINE_BYTES - sizeof(struct line *)];
};

/* Sattolo's shuffle: a single cycle through all lines, so none is left out. */
static void link_lines(struct line *lines, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		lines[i].next = &lines[i];
	for (size_t i = nr - 1; i > 0; i--) {
		size_t j = hash_u64(i) % i;
		struct line *swap = lines[i].next;

		lines[i].next = lines[j].next;
		lines[j].next = swap;
	}
}

static struct line *chase(struct line *at, size_t steps)
{
	while (steps--)
		at = *(struct line *volatile *)&at->next;
	return at;
}

struct reading {
	uint64_t mono_ns, cpu_ns, accesses;
};

static json_t *interval_json(const struct reading *from, const struct reading *to,
			     uint64_t start_ns)
{
	double n = (double)(to->accesses - from->accesses);

	return json_pack("{s:I,s:I,s:I,s:o,s:o}", "t_ns", (json_int_t)(from->mono_ns - start_ns),
			 "length_ns", (json_int_t)(to->mono_ns - from->mono_ns), "accesses",
			 (json_int_t)(to->accesses - from->accesses), "ns_per_access",
			 bench_real((double)(to->mono_ns - from->mono_ns) / n), "cpu_ns_per_access",
			 bench_real((double)(to->cpu_ns - from->cpu_ns) / n));
}

static json_t *measure(const struct work_options *o, struct line *at, uint64_t size)
{
	struct reading first = {clock_mono_ns(), clock_thread_cpu_ns(), 0}, last = first,
		       now = first;
	uint64_t end_ns = work_end_ns(o, first.mono_ns);
	json_t *intervals = json_array(), *result;

	while (!bench_stopped && now.mono_ns < end_ns) {
		at = chase(at, BATCH);
		now =
		    (struct reading){clock_mono_ns(), clock_thread_cpu_ns(), now.accesses + BATCH};
		if (now.mono_ns - last.mono_ns < o->report_ns)
			continue;
		json_array_append_new(intervals, interval_json(&last, &now, first.mono_ns));
		work_progress(
		    o, "%6.0f s  %.2f ns per access\n", (double)(now.mono_ns - first.mono_ns) / 1e9,
		    (double)(now.mono_ns - last.mono_ns) / (double)(now.accesses - last.accesses));
		last = now;
	}
	result = interval_json(&first, &now, first.mono_ns);
	json_object_set_new(result, "workload", json_string("chase"));
	json_object_set_new(result, "start_mono_ns", json_integer((json_int_t)first.mono_ns));
	json_object_set_new(result, "size_bytes", json_integer((json_int_t)size));
	json_object_set_new(result, "intervals", intervals);
	return result;
}

static int run(const struct work_options *o, json_t **ret_result, struct error *reterr)
{
	size_t size = o->size_bytes ? o->size_bytes : SIZE_DEFAULT, nr = size / LINE_BYTES;
	struct line *lines =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char text[16];

	if (lines == MAP_FAILED)
		return error_errno(reterr, -errno, "get %s of memory",
				   format_bytes(size, text, sizeof(text)));
	link_lines(lines, nr);
	*ret_result = measure(o, chase(lines, nr), size); /* once around first: all pages mapped */
	munmap(lines, size);
	return 0;
}

static void print(const json_t *result)
{
	char text[16];

	printf("chase over %s: %.2f ns per access (%.2f ns of CPU time)\n",
	       format_bytes((uint64_t)json_integer_value(json_object_get(result, "size_bytes")),
			    text, sizeof(text)),
	       json_number_value(json_object_get(result, "ns_per_access")),
	       json_number_value(json_object_get(result, "cpu_ns_per_access")));
}

const struct workload workload_chase = {
    .name = "chase",
    .summary = "pointer chase through a buffer; reports ns per access",
    .options = options,
    .run = run,
    .print = print,
};
