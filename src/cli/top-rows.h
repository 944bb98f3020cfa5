/* SPDX-License-Identifier: MIT */
/* Which zones czctl top lists, in which order, as a tree or flat. */
#pragma once
#include "cli/top-zones.h"

enum top_key { TOP_BY_WAIT, TOP_BY_CPU, TOP_BY_NAME, TOP_BY_MEMORY, TOP_BY_IO };

struct top_order {
	enum top_key key;
	bool tree;
	bool all;	 /* those too that do not matter */
	char filter[64]; /* part of a name, path, class or state, any case; "": all */
};

struct top_row {
	uint32_t zone; /* index in top_zones.items */
	uint32_t depth;
	bool has_children; /* that would be listed */
	bool folded;
};

/* The largest first, unknown figures last, names from A. In a tree, each zone stands where the
 * largest of what is below it would. *ret_rows is the caller's to free. */
must_check int top_rows(const struct top_zones *z, const struct top_order *order,
			struct top_row **ret_rows, size_t *ret_nr);
