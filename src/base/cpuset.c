/* SPDX-License-Identifier: MIT */
#include "base/cpuset.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"

#define WORDS (CPUSET_MAX / 64)

void cpuset_zero(struct cpuset *s)
{
	memset(s, 0, sizeof(*s));
}

void cpuset_add(struct cpuset *s, unsigned int cpu)
{
	if (cpu < CPUSET_MAX)
		s->bits[cpu / 64] |= 1ull << (cpu % 64);
}

void cpuset_del(struct cpuset *s, unsigned int cpu)
{
	if (cpu < CPUSET_MAX)
		s->bits[cpu / 64] &= ~(1ull << (cpu % 64));
}

bool cpuset_has(const struct cpuset *s, unsigned int cpu)
{
	return cpu < CPUSET_MAX && (s->bits[cpu / 64] >> (cpu % 64) & 1);
}

unsigned int cpuset_count(const struct cpuset *s)
{
	unsigned int n = 0;

	for (size_t i = 0; i < WORDS; i++)
		n += (unsigned int)__builtin_popcountll(s->bits[i]);
	return n;
}

bool cpuset_equal(const struct cpuset *a, const struct cpuset *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void cpuset_and(struct cpuset *ret, const struct cpuset *a, const struct cpuset *b)
{
	for (size_t i = 0; i < WORDS; i++)
		ret->bits[i] = a->bits[i] & b->bits[i];
}

void cpuset_or(struct cpuset *ret, const struct cpuset *a, const struct cpuset *b)
{
	for (size_t i = 0; i < WORDS; i++)
		ret->bits[i] = a->bits[i] | b->bits[i];
}

void cpuset_andnot(struct cpuset *ret, const struct cpuset *a, const struct cpuset *b)
{
	for (size_t i = 0; i < WORDS; i++)
		ret->bits[i] = a->bits[i] & ~b->bits[i];
}

int cpuset_next(const struct cpuset *s, unsigned int from)
{
	for (unsigned int i = from / 64; i < WORDS; i++) {
		uint64_t word = s->bits[i];

		if (i == from / 64)
			word &= ~0ull << (from % 64);
		if (word)
			return (int)(i * 64 + (unsigned int)__builtin_ctzll(word));
	}
	return -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* "3" or "0-3" exactly filling [s, end). */
static int parse_range(const char *s, const char *end, struct cpuset *set)
{
	uint64_t first, last;
	int r;

	if (s < end && is_blank(*s))
		return -EINVAL;
	r = scan_u64(&s, end, &first);
	if (r < 0)
		return r;
	last = first;
	if (s < end && *s == '-') {
		s++;
		if (s < end && is_blank(*s))
			return -EINVAL;
		r = scan_u64(&s, end, &last);
		if (r < 0)
			return r;
	}
	if (s != end || last < first)
		return -EINVAL;
	if (last >= CPUSET_MAX)
		return -ERANGE;
	for (uint64_t cpu = first; cpu <= last; cpu++)
		cpuset_add(set, (unsigned int)cpu);
	return 0;
}

int cpuset_parse(const char *s, struct cpuset *ret)
{
	const char *end = s + strlen(s);
	struct cpuset set = {0};

	while (s < end && is_blank(*s))
		s++;
	while (end > s && is_blank(end[-1]))
		end--;
	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		const char *stop = comma ? comma : end;
		int r = parse_range(s, stop, &set);

		if (r < 0)
			return r;
		if (comma && comma + 1 == end)
			return -EINVAL;
		s = comma ? comma + 1 : end;
	}
	*ret = set;
	return 0;
}

int cpuset_format(const struct cpuset *s, char *buf, size_t size)
{
	size_t len = 0;

	if (size == 0)
		return -ENAMETOOLONG;
	buf[0] = 0;
	for (int first = cpuset_next(s, 0); first >= 0;) {
		int last = first, n;

		while (cpuset_has(s, (unsigned int)last + 1))
			last++;
		n = snprintf(buf + len, size - len, "%s%d", len ? "," : "", first);
		if (n > 0 && last > first && (size_t)n < size - len)
			n += snprintf(buf + len + n, size - len - (size_t)n, "-%d", last);
		if (n < 0 || (size_t)n >= size - len)
			return -ENAMETOOLONG;
		len += (size_t)n;
		first = cpuset_next(s, (unsigned int)last + 1);
	}
	return 0;
}
