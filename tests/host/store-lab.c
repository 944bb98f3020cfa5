/* SPDX-License-Identifier: MIT */
/*
 * Not a test: what history costs. store-lab FILE ZONES METRICS TICKS writes that many samples,
 * reads one zone's metric over the whole time in 300 points, and prints a JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "store/store.h"

#define T0     1800000000000ull
#define QUERYS 21

static void must(int r, const struct error *e, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "store-lab: %s: %s\n", what, e->msg);
	exit(1);
}

static uint32_t zone(struct store *s, uint64_t nr)
{
	uint32_t ref = store_known(s, nr + 1, 1);
	struct error e = {0};
	char path[64];
	struct store_identity who = {"boot", nr + 1, path, path + 7, "cgroup", "normal"};

	if (ref)
		return ref;
	snprintf(path, sizeof(path), "/slice/zone-%llu", (unsigned long long)nr);
	must(store_zone(s, &who, 1, T0, &ref, &e), &e, "zone");
	return ref;
}

/* As zones have it: some metrics move about, many hardly ever. */
static uint64_t value(uint64_t tick, uint64_t nr, uint64_t metric)
{
	uint64_t x = hash_u64(tick * 1000003 + nr * 31 + metric);

	return metric % 4 == 0 ? 20000000 + x % 5000000 : metric % 4 == 1 ? 4096 * (nr + x % 3) : 0;
}

static uint64_t fill(struct store *s, uint64_t zones, uint64_t metrics, uint64_t ticks)
{
	uint32_t ids[64];
	struct error e = {0};
	uint64_t worst_ns = 0;

	for (uint64_t m = 0; m < metrics; m++) {
		char name[32];

		snprintf(name, sizeof(name), "metric_%llu", (unsigned long long)m);
		must(store_metric(s, name, "ns/s", &ids[m], &e), &e, "metric");
	}
	for (uint64_t t = 0; t < ticks; t++) {
		uint64_t start_ns = clock_mono_ns();

		for (uint64_t z = 0; z < zones; z++) {
			uint32_t ref = zone(s, z);

			for (uint64_t m = 0; m < metrics; m++)
				must(store_sample(s, ref, ids[m], 0, value(t, z, m)), &e, "sample");
		}
		must(store_commit(s, T0 + t * 1000, &e), &e, "commit");
		start_ns = clock_mono_ns() - start_ns;
		worst_ns = start_ns > worst_ns ? start_ns : worst_ns;
	}
	return worst_ns;
}

/* One question as the API asks it, by name. */
static uint64_t query(struct store *s, uint64_t nr, uint64_t ticks)
{
	uint64_t start_ns = clock_mono_ns();
	struct store_result *res = NULL;
	struct error e = {0};
	uint32_t ref;
	struct store_query q = {&ref, 1, 0, 0, T0, T0 + ticks * 1000, 300};
	uint64_t seen = 0;
	char name[64];

	snprintf(name, sizeof(name), "zone-%llu", (unsigned long long)nr);
	must(store_find(s, name, q.from_ms, q.to_ms, &ref, 1, &e) - 1, &e, "find");
	q.metric = store_find_metric(s, "metric_0");
	must(store_read(s, &q, &res, &e), &e, "read");
	for (uint32_t i = 0; i < q.points; i++)
		seen += res->series[0].cells[i].count;
	store_result_free(res);
	if (seen != ticks) {
		fprintf(stderr, "store-lab: %llu of %llu samples\n", (unsigned long long)seen,
			(unsigned long long)ticks);
		exit(1);
	}
	return clock_mono_ns() - start_ns;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int main(int argc, char **argv)
{
	struct store_options opt = {.max_bytes = 8ull << 30, .max_age_ms = 1ull << 50};
	uint64_t zones, metrics, ticks, cpu_ns, worst_ns, took_ns[QUERYS];
	struct store *s = NULL;
	struct error e = {0};
	struct stat st;

	if (argc != 5 || parse_u64(argv[2], &zones) < 0 || parse_u64(argv[3], &metrics) < 0 ||
	    parse_u64(argv[4], &ticks) < 0 || !zones || !ticks || metrics > 64 || !metrics) {
		fputs("usage: store-lab FILE ZONES METRICS TICKS\n", stderr);
		return 2;
	}
	opt.path = argv[1];
	must(store_open(&opt, &s, &e), &e, "open");
	cpu_ns = clock_thread_cpu_ns();
	worst_ns = fill(s, zones, metrics, ticks);
	cpu_ns = clock_thread_cpu_ns() - cpu_ns;
	for (size_t i = 0; i < QUERYS; i++) {
		store_close(s); /* nothing is left in memory but what the kernel keeps */
		must(store_open(&opt, &s, &e), &e, "open again");
		took_ns[i] = query(s, hash_u64(i) % zones, ticks);
	}
	store_close(s);
	if (stat(opt.path, &st) < 0)
		return 1;
	qsort(took_ns, QUERYS, sizeof(took_ns[0]), by_value);
	printf(
	    "{\"samples\": %llu, \"bytes\": %llu, \"tick_cpu_ns\": %llu, \"worst_tick_ns\": %llu, "
	    "\"query_median_ns\": %llu, \"query_worst_ns\": %llu}\n",
	    (unsigned long long)(zones * metrics * ticks), (unsigned long long)st.st_size,
	    (unsigned long long)(cpu_ns / ticks), (unsigned long long)worst_ns,
	    (unsigned long long)took_ns[QUERYS / 2], (unsigned long long)took_ns[QUERYS - 1]);
	return 0;
}
