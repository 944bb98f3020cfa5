/* SPDX-License-Identifier: MIT */
/* Burns all the CPU it is given, in any number of threads, and counts the work done. */
#include "bench/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/bench.h"

#define THREADS_MAX 4096

#define OPT(...) OPTION(struct work_options, __VA_ARGS__)
static const struct option_desc options[] = {
    OPT("threads", NUMBER, threads, "N", "how many burn (default 1)", .min = 1, .max = THREADS_MAX),
    OPTIONS_END,
};

struct burner {
	pthread_t thread;
	atomic_bool *stop;
	atomic_uint_fast64_t units, cpu_ns, first_ns;
};

static void *burn(void *arg)
{
	struct burner *b = arg;
	uint64_t x = 1;

	atomic_store(&b->first_ns, clock_mono_ns());
	while (!atomic_load_explicit(b->stop, memory_order_relaxed)) {
		x = work_unit(x);
		atomic_fetch_add_explicit(&b->units, 1 + (x == 0), memory_order_relaxed);
		atomic_store_explicit(&b->cpu_ns, clock_thread_cpu_ns(), memory_order_relaxed);
	}
	return NULL;
}

struct totals {
	uint64_t units, cpu_ns, first_ns;
};

static struct totals sum(struct burner *burners, uint64_t nr)
{
	struct totals t = {.first_ns = UINT64_MAX};

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t first = atomic_load(&burners[i].first_ns);

		t.units += atomic_load(&burners[i].units);
		t.cpu_ns += atomic_load(&burners[i].cpu_ns);
		if (first && first < t.first_ns)
			t.first_ns = first;
	}
	return t;
}

/* Follows the threads until the end; returns the intervals as JSON. */
static json_t *watch(const struct work_options *o, struct burner *burners, uint64_t start_ns)
{
	uint64_t end_ns = work_end_ns(o, start_ns), last_ns = start_ns;
	json_t *intervals = json_array();
	struct totals before = {0};

	while (!bench_stopped && last_ns < end_ns) {
		uint64_t next_ns = last_ns + o->report_ns, now_ns;
		struct totals t;

		bench_sleep_until(next_ns < end_ns ? next_ns : end_ns);
		now_ns = clock_mono_ns();
		t = sum(burners, o->threads);
		json_array_append_new(intervals,
				      json_pack("{s:I,s:I,s:I,s:I}", "t_ns",
						(json_int_t)(last_ns - start_ns), "length_ns",
						(json_int_t)(now_ns - last_ns), "achieved_ns",
						(json_int_t)(t.cpu_ns - before.cpu_ns), "units",
						(json_int_t)(t.units - before.units)));
		work_progress(o, "%6.0f s  %5.1f %% of a CPU\n", (double)(now_ns - start_ns) / 1e9,
			      100.0 * (double)(t.cpu_ns - before.cpu_ns) /
				  (double)(now_ns - last_ns));
		before = t;
		last_ns = now_ns;
	}
	return intervals;
}

static int start_all(struct burner *burners, uint64_t nr, atomic_bool *stop, uint64_t *ret_started,
		     struct error *reterr)
{
	for (uint64_t i = 0; i < nr; i++) {
		int r;

		burners[i].stop = stop;
		r = pthread_create(&burners[i].thread, NULL, burn, &burners[i]);
		if (r > 0)
			return error_errno(reterr, -r, "start thread %d", (int)i + 1);
		*ret_started = i + 1;
	}
	return 0;
}

static int run(const struct work_options *o, json_t **ret_result, struct error *reterr)
{
	_cleanup_free_ struct burner *burners = calloc(o->threads, sizeof(*burners));
	uint64_t start_ns = clock_mono_ns(), started = 0, wall_ns;
	json_t *intervals = NULL;
	atomic_bool stop = false;
	struct totals t;
	int r;

	if (!burners)
		return error_errno(reterr, -ENOMEM, "start");
	r = start_all(burners, o->threads, &stop, &started, reterr);
	if (r == 0)
		intervals = watch(o, burners, start_ns);
	atomic_store(&stop, true);
	for (uint64_t i = 0; i < started; i++)
		pthread_join(burners[i].thread, NULL);
	if (r < 0)
		return r;
	wall_ns = clock_mono_ns() - start_ns;
	t = sum(burners, o->threads);
	*ret_result =
	    json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:o}", "workload", "hog", "threads",
		      (json_int_t)o->threads, "start_mono_ns", (json_int_t)start_ns,
		      "first_work_mono_ns", (json_int_t)t.first_ns, "wall_ns", (json_int_t)wall_ns,
		      "achieved_ns", (json_int_t)t.cpu_ns, "units", (json_int_t)t.units, "share",
		      (double)t.cpu_ns / (double)wall_ns, "intervals", intervals);
	return 0;
}

static void print(const json_t *result)
{
	printf("hog\n  CPU time   %.3g s (%.1f %% of a CPU)\n  work       %lld units\n",
	       json_number_value(json_object_get(result, "achieved_ns")) / 1e9,
	       json_number_value(json_object_get(result, "share")) * 100,
	       (long long)json_integer_value(json_object_get(result, "units")));
}

const struct workload workload_hog = {
    .name = "hog",
    .summary = "burns all the CPU it is given",
    .options = options,
    .run = run,
    .print = print,
};
