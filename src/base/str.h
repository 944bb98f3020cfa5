/* SPDX-License-Identifier: MIT */
/* Strings: a growable buffer, escaping of text that comes from outside, globs on cgroup paths. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct strbuf {
	char *data; /* NUL-terminated once anything was added; NULL when empty */
	size_t len, cap;
	bool failed; /* an allocation failed: content is incomplete */
};
void strbuf_done(struct strbuf *b);
void strbuf_add(struct strbuf *b, const char *s, size_t n);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) printf_like(2, 3);
void strbuf_reset(struct strbuf *b); /* length 0, memory kept */

/*
 * Copy src for display: control characters, DEL and invalid UTF-8 bytes become "\xHH", so that no
 * name can move a cursor or forge a line. Truncates with "..." to size. Returns dst.
 */
char *str_escape(char *dst, size_t size, const char *src);
/* Glob on paths: '*' within one component, '**' across components, '?' one character. */
bool path_glob_match(const char *pattern, const char *path);
/* Damerau-Levenshtein distance, bounded at 255: for "did you mean". */
unsigned int str_distance(const char *a, const char *b);
/* snprintf that fails loudly: 0 or -ENAMETOOLONG. */
must_check int str_printf(char *dst, size_t size, const char *fmt, ...) printf_like(3, 4);
/* strlcpy: copies at most size-1, always terminates. Returns false when cut. */
bool str_copy(char *dst, size_t size, const char *src);
