/* SPDX-License-Identifier: MIT */
/* Single values: a JSON field -> text for people. */
#include "cli/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/parse.h"

#define SECOND_NS 1000000000ull

const char *get_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

const char *text_or_dash(const json_t *o, const char *key)
{
	const char *s = get_text(o, key);

	return s[0] ? s : "-";
}

bool get_number(const json_t *o, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

uint64_t get_count(const json_t *o, const char *key)
{
	uint64_t n = 0;

	return get_number(o, key, &n) ? n : 0;
}

bool get_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static char *dash(char *buf)
{
	strcpy(buf, "-");
	return buf;
}

char *show_duration(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	return get_number(o, key, &v) ? format_duration(v, buf, SHOW_MAX) : dash(buf);
}

char *show_wait(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	if (get_number(o, key, &v) && !v) {
		snprintf(buf, SHOW_MAX, "< 1 us");
		return buf;
	}
	return show_duration(o, key, buf);
}

char *show_ppm(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	return get_number(o, key, &v) ? format_ppm(v, buf, SHOW_MAX) : dash(buf);
}

char *show_bytes(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	return get_number(o, key, &v) ? format_bytes(v, buf, SHOW_MAX) : dash(buf);
}

char *show_cpus(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	if (!get_number(o, key, &v))
		return dash(buf);
	snprintf(buf, SHOW_MAX, "%.2f", (double)v / 1e6);
	return buf;
}

char *format_count(uint64_t n, char *buf, size_t size)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	size_t out = 0;

	for (size_t i = 0; i < len && out + 2 < size; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = 0;
	return buf;
}

char *show_number(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	return get_number(o, key, &v) ? format_count(v, buf, SHOW_MAX) : dash(buf);
}

char *show_id(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	if (!get_number(o, key, &v))
		return dash(buf);
	snprintf(buf, SHOW_MAX, "%llu", (unsigned long long)v);
	return buf;
}

char *show_plural(uint64_t n, const char *noun, char *buf)
{
	char number[32];

	snprintf(buf, SHOW_MAX, "%s %s%s", format_count(n, number, sizeof(number)), noun,
		 n == 1 ? "" : "s");
	return buf;
}

/* Time of day; with the date when that is not today's. */
static char *format_time(uint64_t real_ns, char *buf)
{
	time_t at = (time_t)(real_ns / SECOND_NS), now = (time_t)(clock_real_ns() / SECOND_NS);
	struct tm tm, today;

	if (!localtime_r(&at, &tm) || !localtime_r(&now, &today))
		return dash(buf);
	strftime(buf, SHOW_MAX,
		 tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday ? "%H:%M:%S"
		 : tm.tm_year == today.tm_year				    ? "%b %d %H:%M"
									    : "%Y-%m-%d",
		 &tm);
	return buf;
}

char *show_real_time(const json_t *o, const char *key, char *buf)
{
	uint64_t v;

	return get_number(o, key, &v) && v ? format_time(v, buf) : dash(buf);
}

char *show_mono_time(const json_t *o, const char *key, char *buf)
{
	uint64_t v, mono_ns = clock_mono_ns(), real_ns = clock_real_ns();

	if (!get_number(o, key, &v) || !v || (v < mono_ns && mono_ns - v > real_ns))
		return dash(buf);
	return format_time(real_ns + v - mono_ns, buf);
}
