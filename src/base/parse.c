/* SPDX-License-Identifier: MIT */
#include "base/parse.h"

#include <stdbool.h>
#include <string.h>
#include "base/cleanup.h"

/* More digits after the point than this carry nothing for ns, bytes or ppm: refused. */
#define FRACTION_DIGITS_MAX 9

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60 * 1000000000ull},
    {"h", 3600 * 1000000000ull},
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", 1ull << 10},
    {"KB", 1ull << 10},
    {"KiB", 1ull << 10},
    {"Ki", 1ull << 10},
    {"M", 1ull << 20},
    {"MB", 1ull << 20},
    {"MiB", 1ull << 20},
    {"Mi", 1ull << 20},
    {"G", 1ull << 30},
    {"GB", 1ull << 30},
    {"GiB", 1ull << 30},
    {"Gi", 1ull << 30},
    {"T", 1ull << 40},
    {"TB", 1ull << 40},
    {"TiB", 1ull << 40},
    {"Ti", 1ull << 40},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits in [s, end); *ret_end is the first other character. */
static int digits(const char *s, const char *end, uint64_t *ret, const char **ret_end)
{
	uint64_t v = 0;
	const char *p;

	for (p = s; p < end && is_digit(*p); p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	if (p == s)
		return -EINVAL;
	*ret = v;
	*ret_end = p;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	const char *end = s + strlen(s), *p;
	uint64_t v;
	int r;

	r = digits(s, end, &v, &p);
	if (r < 0)
		return r;
	if (p != end)
		return -EINVAL;
	*ret = v;
	return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t v;
	int r;

	r = parse_u64(negative ? s + 1 : s, &v);
	if (r < 0)
		return r;
	if (v > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t v;
	int r;

	r = parse_u64(s, &v);
	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

/* "12" or "12.5" or "0.125": whole + fraction / scale; *ret_rest is what follows. */
struct decimal {
	uint64_t whole, fraction, scale;
};

static int parse_decimal(const char *s, struct decimal *ret, const char **ret_rest)
{
	const char *end = s + strlen(s), *p, *q;
	struct decimal d = {.scale = 1};
	int r;

	r = digits(s, end, &d.whole, &p);
	if (r < 0)
		return r;
	if (*p == '.') {
		r = digits(p + 1, end, &d.fraction, &q);
		if (r < 0 || q - (p + 1) > FRACTION_DIGITS_MAX)
			return -EINVAL;
		for (p++; p < q; p++)
			d.scale *= 10;
	}
	*ret = d;
	*ret_rest = p;
	return 0;
}

static int decimal_times(const struct decimal *d, uint64_t factor, uint64_t *ret)
{
	unsigned __int128 v = (unsigned __int128)d->whole * factor;

	v += (unsigned __int128)d->fraction * factor / d->scale;
	if (v > UINT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)v;
	return 0;
}

static int apply_unit(const struct decimal *d, const char *suffix, const struct unit *units,
		      size_t nr, uint64_t *ret)
{
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(suffix, units[i].suffix) == 0)
			return decimal_times(d, units[i].factor, ret);
	}
	return -EINVAL;
}

int parse_pairs(const char *text, const char *form,
		int (*set)(void *arg, const char *key, char *value, struct error *reterr),
		void *arg, struct error *reterr)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *item, *value;
	int r;

	if (!copy)
		return error_set(reterr, -ENOMEM, "out of memory");
	while ((item = strsep(&rest, ","))) {
		value = strchr(item, '=');
		if (!value)
			return error_set(reterr, -EINVAL, "'%s' is not %s", item, form);
		*value++ = 0;
		r = set(arg, item, value, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int parse_duration_ns(const char *s, uint64_t *ret_ns)
{
	struct decimal d;
	const char *suffix;
	int r;

	r = parse_decimal(s, &d, &suffix);
	if (r < 0)
		return r;
	if (*suffix == 0 && d.whole == 0 && d.fraction == 0) {
		*ret_ns = 0;
		return 0;
	}
	return apply_unit(&d, suffix, duration_units, ARRAY_SIZE(duration_units), ret_ns);
}

int parse_size_bytes(const char *s, uint64_t *ret_bytes)
{
	struct decimal d;
	const char *suffix;
	int r;

	r = parse_decimal(s, &d, &suffix);
	if (r < 0)
		return r;
	return apply_unit(&d, suffix, size_units, ARRAY_SIZE(size_units), ret_bytes);
}

int parse_ratio_ppm(const char *s, uint32_t *ret_ppm)
{
	struct decimal d;
	const char *suffix;
	uint64_t ppm, factor;
	int r;

	r = parse_decimal(s, &d, &suffix);
	if (r < 0)
		return r;
	if (strcmp(suffix, "%") == 0)
		factor = 10000;
	else if (*suffix == 0)
		factor = 1000000;
	else
		return -EINVAL;
	r = decimal_times(&d, factor, &ppm);
	if (r < 0)
		return r;
	if (ppm > 1000000)
		return -ERANGE;
	*ret_ppm = (uint32_t)ppm;
	return 0;
}

int parse_cpus_ppm(const char *s, uint64_t *ret_ppm)
{
	static const struct unit units[] = {{"", 1000000}, {"%", 10000}, {"m", 1000}};
	struct decimal d;
	const char *suffix;
	int r;

	r = parse_decimal(s, &d, &suffix);
	if (r < 0)
		return r;
	return apply_unit(&d, suffix, units, ARRAY_SIZE(units), ret_ppm);
}

int scan_u64(const char **p, const char *end, uint64_t *ret)
{
	const char *s = *p;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	return digits(s, end, ret, p);
}
