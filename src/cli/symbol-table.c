/* SPDX-License-Identifier: MIT */
#include "cli/symbol-table.h"

#include "base/cleanup.h"

void symbol_table_done(struct symbol_table *t)
{
	free(t->addresses);
	free(t->symbols);
	*t = (struct symbol_table){0};
}

void symbol_table_add(struct symbol_table *t, const struct address *a)
{
	if (t->nr == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 1024;
		struct address *addresses = realloc(t->addresses, cap * sizeof(*addresses));

		t->failed = t->failed || !addresses;
		if (!addresses)
			return;
		t->addresses = addresses;
		t->cap = cap;
	}
	t->addresses[t->nr++] = *a;
}

static int by_address(const void *a, const void *b)
{
	const struct address *x = a, *y = b;

	if (x->kernel != y->kernel)
		return x->kernel ? 1 : -1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int symbol_table_name(struct symbol_table *t, int procfd)
{
	size_t n = 0, many;

	if (t->failed)
		return -ENOMEM;
	if (!t->nr)
		return 0;
	qsort(t->addresses, t->nr, sizeof(*t->addresses), by_address);
	for (size_t i = 0; i < t->nr; i++)
		if (!n || by_address(&t->addresses[n - 1], &t->addresses[i]))
			t->addresses[n++] = t->addresses[i];
	t->nr = n < SYMBOL_TABLE_MAX ? n : SYMBOL_TABLE_MAX;
	t->symbols = calloc(t->nr, sizeof(*t->symbols));
	if (!t->symbols)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr; i += many) {
		many = t->nr - i < SYMBOL_NR_MAX ? t->nr - i : SYMBOL_NR_MAX;
		(void)!symbols_resolve(procfd, t->addresses + i, many, t->symbols + i);
	}
	return 0;
}

void symbol_table_find(const struct symbol_table *t, const struct address *a, struct symbol *ret)
{
	const struct address *found =
	    t->nr ? bsearch(a, t->addresses, t->nr, sizeof(*a), by_address) : NULL;

	if (found)
		*ret = t->symbols[found - t->addresses];
	else
		symbol_unknown(a, ret);
}
