/* SPDX-License-Identifier: MIT */
/* Walking the text of kernel files. Every line of them ends in a newline: one that does not is cut.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct text_line {
	const char *start;
	size_t len; /* without the newline */
};
/* 1: a line; 0: the end; -EINVAL: the text is cut in mid-line. Advances *text. */
must_check int text_next_line(const char **text, struct text_line *ret);

/* "KEY VALUE" or "KEY: VALUE unit" lines: the number of each key of the table is stored. */
struct text_key {
	const char *key;
	uint64_t *value;
};
/* Returns how many keys were found, or -EINVAL (cut, or a key's value is not a number). */
must_check int text_read_keys(const char *text, const struct text_key *keys, size_t n);
/* A single number with its newline. */
must_check int text_u64(const char *text, uint64_t *ret);

static inline uint64_t saturating_mul(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

/*
 * Walks the numbers of a file with one a line (cgroup.procs, tasks), block by block: the file may
 * be long. Set fd, and nothing else; the fd stays the caller's.
 */
struct text_numbers {
	int fd;
	size_t pos, len;
	char buf[2048];
};
/* 1: a number; 0: the end; -EINVAL, or what read() said. */
must_check int text_numbers_next(struct text_numbers *w, uint64_t *ret);
