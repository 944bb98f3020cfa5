/* SPDX-License-Identifier: MIT */
/* A victim's CPI over time with its threshold and its outliers, and a suspect's CPU use below, as
 * one SVG. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

#define PLOT_POINTS_MAX (1u << 20)

struct plot_point {
	uint64_t time_ns;
	uint32_t cpi_ppm, threshold_ppm; /* 0: not known */
	uint32_t cpu_ppm;
	bool is_suspect;
};
struct plot {
	char victim[256], suspect[256];
	struct plot_point *points; /* in the order of time */
	size_t nr, cap;
	bool failed; /* no memory, or too many: what is there is drawn */
};
void plot_add(struct plot *p, const struct plot_point *point);
void plot_svg(const struct plot *p, struct strbuf *b);
