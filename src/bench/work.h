/* SPDX-License-Identifier: MIT */
/* cz-work's workloads: one descriptor, one file each. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cpuset.h"
#include "base/error.h"
#include "base/options.h"
#include "bench/sine.h"

struct work_options {
	uint64_t seconds_ns; /* 0: until stopped */
	uint64_t report_ns;
	struct cpuset cpus;
	uint32_t output;
	bool quiet, help;
	struct sine sine;
	uint64_t slot_ns;
	uint64_t threads;
	uint64_t size_bytes; /* 0: the workload's default */
};

struct workload {
	const char *name, *summary;
	const struct option_desc *options;
	/* Runs until the time is over or bench_stopped; *ret_result is a new JSON object. */
	int (*run)(const struct work_options *o, json_t **ret_result, struct error *reterr);
	void (*print)(const json_t *result); /* for people, on stdout */
};

extern const struct workload workload_sine, workload_hog, workload_chase, workload_stream;

/* Counted work: a chain of dependent multiplications, about 2 us, no memory. Pass on the result. */
#define WORK_UNIT_STEPS 2000
uint64_t work_unit(uint64_t x);
/* When the run shall end: UINT64_MAX if only by a signal. */
uint64_t work_end_ns(const struct work_options *o, uint64_t start_ns);
/* A progress line on stderr, unless --quiet. */
void work_progress(const struct work_options *o, const char *fmt, ...) printf_like(2, 3);
