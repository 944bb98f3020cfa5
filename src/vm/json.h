/* SPDX-License-Identifier: MIT */
/* JSON from strangers (QEMU, the guest, clients), with bounds on what reading it may cost. */
#pragma once
#include <stddef.h>
#include <jansson.h>
#include "base/error.h"

#define JSON_DEPTH_MAX	16
#define JSON_VALUES_MAX 16384

/* One object from a line. NULL with -EINVAL: not JSON, or no object; -E2BIG: too deep or too many
 * values, found before any memory is spent on them. Where one number is beyond 64 bits, all of
 * that line are reals. */
json_t *json_line_parse(const char *line, size_t len, int *ret_error);

/*
 * A copy of what a stranger sent, fit to be passed on: at most so many levels, items of an array
 * or object, and bytes of a text; what is beyond is left out (a text is cut). NULL: no memory.
 */
struct json_limits {
	unsigned int depth;
	size_t items, text_bytes;
};
json_t *json_copy_within(const json_t *value, const struct json_limits *limits);
