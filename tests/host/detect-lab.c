/* SPDX-License-Identifier: MIT */
/*
 * Not a test: what CPI2 costs. detect-lab PRESET TASKS PERIODS replays that many samples from
 * memory, in each period all tasks in another order, 32 tasks a machine, eight tasks a job, and
 * prints a JSON object. Of the samples 2.3 % are outliers, so that alarms and their analyses are
 * part of it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "detect/cpi2.h"

#define MINUTE	60000000000ull
#define VALUES	(1u << 16)
#define PER_JOB 8
#define BATCH	1024

static uint32_t cpi[VALUES];

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "detect-lab: %s: %s\n", what, error_name(r));
	exit(1);
}

static double uniform(uint64_t n)
{
	return ((double)(hash_u64(n * 0x9e3779b97f4a7c15ull) >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t rss_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

/* Coprime to the number of tasks: steps of it visit all. */
static uint32_t stride_of(uint32_t tasks, uint64_t period)
{
	uint32_t stride = (uint32_t)(hash_u64(period + 1) % tasks) | 1;

	for (;; stride += 2) {
		uint32_t a = stride, b = tasks, t;

		while (b) {
			t = a % b;
			a = b;
			b = t;
		}
		if (a == 1)
			return stride;
	}
}

static uint64_t replay(struct cpi2 *e, uint32_t tasks, uint64_t periods)
{
	uint64_t start = clock_thread_cpu_ns(), value = 0;
	struct cpi2_sample batch[BATCH];
	size_t n = 0;

	for (uint64_t p = 0; p < periods; p++) {
		uint32_t stride = stride_of(tasks, p), task = 0;

		for (uint32_t i = 0; i < tasks; i++) {
			batch[n++] =
			    (struct cpi2_sample){p * MINUTE + i, task, cpi[value++ % VALUES],
						 task & 1 ? 1000000 : 400000};
			if (n == BATCH) {
				must(cpi2_samples(e, batch, n), "samples");
				n = 0;
			}
			task += stride;
			task -= task >= tasks ? tasks : 0;
		}
	}
	must(cpi2_samples(e, batch, n), "samples");
	return clock_thread_cpu_ns() - start;
}

int main(int argc, char **argv)
{
	const struct cpi2_config *preset = argc == 4 ? cpi2_preset(argv[1]) : NULL;
	struct cpi2_config c;
	uint64_t tasks, periods, ns, before;
	struct cpi2 *e;

	if (!preset || parse_u64(argv[2], &tasks) < 0 || parse_u64(argv[3], &periods) < 0 ||
	    tasks < 64 || tasks > CPI2_TASKS_MAX) {
		fprintf(stderr, "usage: detect-lab PRESET TASKS PERIODS\n");
		return 2;
	}
	c = *preset;
	c.spec_ns = 120 * MINUTE; /* so that there is one within the run */
	for (uint32_t i = 0; i < VALUES; i++)
		cpi[i] = (uint32_t)((1.8 + 0.16 * sqrt(-2 * log(uniform(2 * i))) *
					       cos(2 * M_PI * uniform(2 * i + 1))) *
				    1e6);
	before = rss_bytes();
	must(cpi2_new(&c, NULL, NULL, &e), "new");
	for (uint32_t i = 0; i < tasks; i++)
		must(cpi2_task_add(e, i, i % ((uint32_t)tasks / PER_JOB), i / 32, CLASS_NORMAL),
		     "task");
	ns = replay(e, (uint32_t)tasks, periods);
	printf("{\"samples\": %llu, \"judged\": %llu, \"episodes\": %llu, \"analyses\": %llu, "
	       "\"ns\": %llu, \"rss_bytes\": %llu, \"grown_bytes\": %llu, \"task_bytes\": %zu}\n",
	       (unsigned long long)cpi2_tally(e)->samples,
	       (unsigned long long)cpi2_tally(e)->judged,
	       (unsigned long long)cpi2_tally(e)->episodes,
	       (unsigned long long)cpi2_tally(e)->analyses, (unsigned long long)ns,
	       (unsigned long long)rss_bytes(), (unsigned long long)(rss_bytes() - before),
	       cpi2_task_bytes(&c));
	cpi2_free(e);
	return 0;
}
