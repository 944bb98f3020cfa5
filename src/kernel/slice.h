/* SPDX-License-Identifier: MIT */
/*
 * How long a piece of sliced work may go on. The clock is the caller's (only daemon/, bench/ and
 * tests read it); work asks after every small unit (some 10 us at most) and stops when told to.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct slice {
	bool (*over)(void *arg); /* NULL: never over */
	void *arg;
};
static inline bool slice_over(const struct slice *s)
{
	return s && s->over && s->over(s->arg);
}
