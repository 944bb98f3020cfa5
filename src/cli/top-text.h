/* SPDX-License-Identifier: MIT */
/* Figures as pictures made of characters: bars and sparklines, in UTF-8 or ASCII. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cli/top-zones.h"

#define TOP_PICTURE_MAX	 128 /* columns */
#define TOP_PICTURE_SIZE (TOP_PICTURE_MAX * 3 + 1)

/* A part of a million, as a bar of at most `width` columns. buf: TOP_PICTURE_SIZE. */
char *top_bar(uint64_t ppm, unsigned int width, bool utf8, char *buf);
/*
 * The samples of one figure over `width` columns, the newest at the right, each column the largest
 * of its samples; unknown is blank. A sample stays in its column's group while it moves left.
 * *ret_max: the largest known, which is full height (or `least`, if that is larger); TREND_UNKNOWN:
 * none. buf: TOP_PICTURE_SIZE.
 */
char *top_spark(const uint32_t samples[TREND_SAMPLES], uint64_t count, unsigned int width,
		uint32_t least, bool utf8, char *buf, uint32_t *ret_max);
/* Does the locale that these say have UTF-8? As setlocale() looks at them: the first that is set.
 */
bool top_is_utf8(const char *lc_all, const char *lc_ctype, const char *lang);
