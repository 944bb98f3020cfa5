/* SPDX-License-Identifier: MIT */
/* Numbers for people. Rounded to what is known; machine-readable output never comes from here. */
#include "base/parse.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"

struct scale {
	const char *unit;
	double factor;
	double below; /* of the unit's own number; the next unit from there on */
};

/* The limits are where three digits would round up into the next unit. */
static const struct scale durations[] = {
    {"ns", 1, 999.5},  {"us", 1e3, 999.5}, {"ms", 1e6, 999.5},
    {"s", 1e9, 119.5}, {"m", 60e9, 119.5}, {"h", 3600e9, 1e300},
};

static const struct scale sizes[] = {
    {"B", 1, 1023.5},
    {"KiB", 1024.0, 1023.5},
    {"MiB", 1048576.0, 1023.5},
    {"GiB", 1073741824.0, 1023.5},
    {"TiB", 1099511627776.0, 1e300},
};

static void strip_zeros(char *s)
{
	size_t n = strlen(s);

	if (!strchr(s, '.'))
		return;
	while (s[n - 1] == '0')
		n--;
	if (s[n - 1] == '.')
		n--;
	s[n] = 0;
}

static char *format_scaled(double value, const struct scale *s, char *buf, size_t size)
{
	char number[32];
	double v;

	while (value / s->factor >= s->below)
		s++;
	v = value / s->factor;
	snprintf(number, sizeof(number), "%.*f", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v);
	strip_zeros(number);
	snprintf(buf, size, "%s %s", number, s->unit);
	return buf;
}

char *format_duration(uint64_t ns, char *buf, size_t size)
{
	return format_scaled((double)ns, durations, buf, size);
}

char *format_bytes(uint64_t bytes, char *buf, size_t size)
{
	return format_scaled((double)bytes, sizes, buf, size);
}

char *format_ppm(uint64_t ppm, char *buf, size_t size)
{
	snprintf(buf, size, "%.1f %%", (double)ppm / 1e4);
	return buf;
}

char *format_share(uint64_t ppm, char *buf, size_t size)
{
	snprintf(buf, size, "%.1f %% of the time%s", (double)ppm / 1e4,
		 ppm > 1000000 ? " (its threads together)" : "");
	return buf;
}
