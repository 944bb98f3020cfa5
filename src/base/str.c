/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strbuf_done(struct strbuf *b)
{
	free(b->data);
	*b = (struct strbuf){0};
}

void strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = 0;
}

/* Room for n more bytes and a NUL. */
static bool reserve(struct strbuf *b, size_t n)
{
	size_t need, cap;
	char *data;

	if (b->failed || __builtin_add_overflow(b->len, n + 1, &need) || need <= n) {
		b->failed = true;
		return false;
	}
	if (need <= b->cap)
		return true;
	cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void strbuf_add(struct strbuf *b, const char *s, size_t n)
{
	if (!reserve(b, n))
		return;
	memcpy(b->data + b->len, s, n);
	b->len += n;
	b->data[b->len] = 0;
}

void strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

/* Code points that move the cursor, break the line or reorder text on a terminal. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	       c == 0x200f || c == 0x061c || c == 0xfeff;
}

/* Length of the well-formed UTF-8 sequence at s and its code point; 0 if there is none. */
static size_t utf8_decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80		 ? 1
		   : (s[0] >> 5) == 0x6	 ? 2
		   : (s[0] >> 4) == 0xe	 ? 3
		   : (s[0] >> 3) == 0x1e ? 4
					 : 0;
	uint32_t c;

	if (n == 0)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* What the character at *src looks like: up to 4 x 4 bytes into out. Advances *src. */
static size_t escape_one(const unsigned char **src, char out[17])
{
	uint32_t c = 0;
	size_t n = utf8_decode(*src, &c), len = 0;

	if (n > 0 && !is_unsafe(c)) {
		memcpy(out, *src, n);
		*src += n;
		return n;
	}
	n = n ? n : 1;
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, 17 - len, "\\x%02x", (*src)[i]);
	*src += n;
	return len;
}

char *str_escape(char *dst, size_t size, const char *src)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t len = 0, cut = 0; /* cut: the last length after which "..." still fits */
	char one[17];

	if (size == 0)
		return dst;
	while (*s) {
		size_t n = escape_one(&s, one);

		if (len + n >= size) {
			size_t dots = size > 3 ? 3 : size - 1;

			memcpy(dst + cut, "...", dots);
			dst[cut + dots] = 0;
			return dst;
		}
		memcpy(dst + len, one, n);
		len += n;
		if (len + 3 < size)
			cut = len;
	}
	dst[len] = 0;
	return dst;
}

/*
 * Greedy with one backtracking point for each kind of star. That is enough: a later "**" makes
 * earlier stars irrelevant, and two "*" without a "**" between them match leftmost-first, a "/"
 * between them fixing the earlier one.
 */
struct glob_star {
	const char *p, *s; /* go on with pattern p at text s; NULL: no such star */
};

/* At "**": returns where the pattern goes on. "/" "**" "/" may also stand for one slash. */
static const char *enter_double_star(const char *pattern, const char *p, const char **s)
{
	const char *next = p;

	while (*next == '*')
		next++;
	if (*next == '/' && p > pattern && p[-1] == '/')
		(*s)--;
	return next;
}

static bool glob_backtrack(struct glob_star *one, struct glob_star *any, const char **p,
			   const char **s)
{
	if (one->p && *one->s && *one->s != '/') {
		*p = one->p;
		*s = ++one->s;
		return true;
	}
	one->p = NULL;
	if (any->p && *any->s) {
		*p = any->p;
		*s = ++any->s;
		return true;
	}
	return false;
}

bool path_glob_match(const char *pattern, const char *path)
{
	struct glob_star one = {0}, any = {0};
	const char *p = pattern, *s = path;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			p = enter_double_star(pattern, p, &s);
			any = (struct glob_star){p, s};
			one.p = NULL;
		} else if (*p == '*') {
			one = (struct glob_star){++p, s};
		} else if (*s && (*p == *s || (*p == '?' && *s != '/'))) {
			p++;
			s++;
		} else if (!*s && !*p) {
			return true;
		} else if (!glob_backtrack(&one, &any, &p, &s)) {
			return false;
		}
	}
}

#define DISTANCE_MAX 255

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned int str_distance(const char *a, const char *b)
{
	/* Rows i-2, i-1 and i of the edit matrix, used in turn. */
	unsigned int rows[3][DISTANCE_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > DISTANCE_MAX || nb > DISTANCE_MAX)
		return DISTANCE_MAX;
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned int *row = rows[i % 3], *prev = rows[(i + 2) % 3];
		const unsigned int *before = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] =
			    min3(prev[j] + 1, row[j - 1] + 1, prev[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return rows[na % 3][nb];
}

int str_printf(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src), m;

	if (size == 0)
		return false;
	m = n < size ? n : size - 1;
	memcpy(dst, src, m);
	dst[m] = 0;
	return n < size;
}
