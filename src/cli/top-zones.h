/* SPDX-License-Identifier: MIT */
/* What czctl top knows of the zones: czd's latest answer, and each zone's last minutes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"

enum top_figure { TOP_WAIT_PPM, TOP_CPU_PPM, TOP_MEMORY_BYTES, TOP_IO_BYTES, TOP_FIGURES };

/* What was, a sample a tick: the samples [count - TREND_SAMPLES, count), at count % TREND_SAMPLES.
 */
#define TREND_SAMPLES 180
#define TREND_UNKNOWN UINT32_MAX
struct top_past {
	uint32_t wait_ppm[TREND_SAMPLES], cpu_ppm[TREND_SAMPLES];
	uint64_t count;
	uint64_t busy_at; /* count when it last used CPU; 0: never */
	bool folded;	  /* the user does not want to see what is below it */
};

struct top_zone {
	const json_t *row; /* of czd; borrowed from `data`, as the texts are */
	const char *name, *path;
	uint64_t figure[TOP_FIGURES];
	bool known[TOP_FIGURES];
	struct top_past *past;
};

struct top_zones {
	json_t *data;		/* czd's answer to `top`; NULL: none yet */
	struct top_zone *items; /* by path */
	size_t nr;
};

/*
 * Take over an answer of czd (consumed): zones that were there before keep their past, the others
 * are forgotten. One with the now_ns of the answer before adds no sample. -ENOMEM and -EPROTO leave
 * all as it was.
 */
must_check int top_zones_take(struct top_zones *z, json_t *data);
void top_zones_done(struct top_zones *z);
/* NULL: not there. */
struct top_zone *top_zones_find(const struct top_zones *z, const char *path);
/* The nearest zone above it that is there, or NULL. */
struct top_zone *top_zones_parent(const struct top_zones *z, const struct top_zone *zone);
/* Has it a class, is it part of harm, or was it busy lately? */
bool top_zone_matters(const struct top_zone *zone);
/* As `why` wants to have it called. */
const char *top_zone_handle(const struct top_zone *zone);
