/* SPDX-License-Identifier: MIT */
/* Names -> small numbers from 0 on, in the order in which they came. */
#pragma once
#include "base/hash.h"

struct names {
	struct hash by_hash;
	struct name **name;
	size_t nr, cap;
};
must_check int names_id(struct names *n, const char *text, uint32_t *ret); /* -ENOMEM */
/* Of two texts together; names_text() has both in one. */
must_check int names_pair(struct names *n, const char *a, const char *b, uint32_t *ret);
const char *names_text(const struct names *n, uint32_t id);
void names_done(struct names *n);
