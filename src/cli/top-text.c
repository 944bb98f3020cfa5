/* SPDX-License-Identifier: MIT */
#include "cli/top-text.h"

#include <string.h>
#include "base/cleanup.h"

static const char *const blocks[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
static const char *const heights[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const ascii_heights[] = {"_", ".", ":", "-", "=", "+", "#", "@"};

char *top_bar(uint64_t ppm, unsigned int width, bool utf8, char *buf)
{
	uint64_t eighths;
	char *p = buf;

	width = width > TOP_PICTURE_MAX ? TOP_PICTURE_MAX : width;
	ppm = ppm > 1000000 ? 1000000 : ppm;
	eighths = (ppm * width * 8 + 500000) / 1000000;
	for (; eighths >= 8; eighths -= 8)
		p = stpcpy(p, utf8 ? blocks[8] : "#");
	*p = 0;
	if (eighths && utf8)
		stpcpy(p, blocks[eighths]);
	else if (eighths >= 4)
		stpcpy(p, "#");
	return buf;
}

/* The largest known of the samples [from, to). */
static uint32_t largest(const uint32_t samples[TREND_SAMPLES], uint64_t from, uint64_t to)
{
	uint32_t max = TREND_UNKNOWN, v;

	for (uint64_t i = from; i < to; i++) {
		v = samples[i % TREND_SAMPLES];
		if (v != TREND_UNKNOWN && (max == TREND_UNKNOWN || v > max))
			max = v;
	}
	return max;
}

static const char *height(uint32_t v, uint32_t max, bool utf8)
{
	uint64_t step;

	if (v == TREND_UNKNOWN)
		return " ";
	step = max ? ((uint64_t)v * 8 + max - 1) / max : 0;
	step = step > 8 ? 8 : step;
	return (utf8 ? heights : ascii_heights)[step ? step - 1 : 0];
}

char *top_spark(const uint32_t samples[TREND_SAMPLES], uint64_t count, unsigned int width,
		uint32_t least, bool utf8, char *buf, uint32_t *ret_max)
{
	uint64_t oldest = count > TREND_SAMPLES ? count - TREND_SAMPLES : 0, group, last;
	uint32_t max = largest(samples, oldest, count), full;
	char *p = buf;

	width = !width ? 1 : width > TOP_PICTURE_MAX ? TOP_PICTURE_MAX : width;
	group = (TREND_SAMPLES + width - 1) / width;
	last = count ? (count - 1) / group : 0; /* the group of the newest sample */
	full = max == TREND_UNKNOWN || max < least ? least : max;
	*buf = 0;
	for (uint64_t i = 0; i < width; i++) {
		uint64_t behind = width - 1 - i, from, to;

		if (behind > last) {
			p = stpcpy(p, " ");
			continue;
		}
		from = (last - behind) * group;
		to = from + group < count ? from + group : count;
		p = stpcpy(p,
			   height(largest(samples, from < oldest ? oldest : from, to), full, utf8));
	}
	*ret_max = max;
	return buf;
}

bool top_is_utf8(const char *lc_all, const char *lc_ctype, const char *lang)
{
	const char *const values[] = {lc_all, lc_ctype, lang};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (values[i] && values[i][0])
			return strcasestr(values[i], "utf-8") || strcasestr(values[i], "utf8");
	return false;
}
