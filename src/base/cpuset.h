/* SPDX-License-Identifier: MIT */
/* Sets of CPU (or NUMA node) numbers and the kernel's list format "0-3,7,9-11". */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define CPUSET_MAX 4096
struct cpuset {
	uint64_t bits[CPUSET_MAX / 64];
};
/* Accepts "", blanks around, and a trailing newline; -EINVAL, -ERANGE (number >= CPUSET_MAX). */
must_check int cpuset_parse(const char *s, struct cpuset *ret);
/* Kernel list format; "" for the empty set. -ENAMETOOLONG. */
must_check int cpuset_format(const struct cpuset *s, char *buf, size_t size);
void cpuset_zero(struct cpuset *s);
void cpuset_add(struct cpuset *s, unsigned int cpu);
void cpuset_del(struct cpuset *s, unsigned int cpu);
bool cpuset_has(const struct cpuset *s, unsigned int cpu);
unsigned int cpuset_count(const struct cpuset *s);
bool cpuset_equal(const struct cpuset *a, const struct cpuset *b);
void cpuset_and(struct cpuset *ret, const struct cpuset *a, const struct cpuset *b);
void cpuset_or(struct cpuset *ret, const struct cpuset *a, const struct cpuset *b);
void cpuset_andnot(struct cpuset *ret, const struct cpuset *a, const struct cpuset *b);
/* Next member >= from, or -1. */
int cpuset_next(const struct cpuset *s, unsigned int from);
