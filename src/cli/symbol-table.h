/* SPDX-License-Identifier: MIT */
/* The addresses of one process that were seen, each once, with their names. */
#pragma once
#include "cli/symbols.h"

#define SYMBOL_TABLE_MAX (8 * SYMBOL_NR_MAX) /* the rest stays numbers */

struct symbol_table {
	struct address *addresses; /* sorted, without repeats, once they are named */
	struct symbol *symbols;
	size_t nr, cap;
	bool failed; /* an address was not taken: out of memory */
};
void symbol_table_done(struct symbol_table *t);
void symbol_table_add(struct symbol_table *t, const struct address *a);
/* Names all that was added. Without symbols the addresses are still worth something, so only
 * -ENOMEM is an error. */
must_check int symbol_table_name(struct symbol_table *t, int procfd);
void symbol_table_find(const struct symbol_table *t, const struct address *a, struct symbol *ret);
