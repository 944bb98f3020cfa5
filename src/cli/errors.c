/* SPDX-License-Identifier: MIT */
#include "cli/errors.h"

#include <stdio.h>
#include "base/str.h"

json_t *errors_json(const struct error_list *errs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errs->nr; i++) {
		char shown[sizeof(errs->items[i].text)];

		str_escape(shown, sizeof(shown), errs->items[i].text);
		json_array_append_new(
		    list, json_pack("{s:i, s:s}", "line", (int)errs->items[i].line, "text", shown));
	}
	return list;
}

void errors_print(const struct error_list *errs, const char *before)
{
	char shown[sizeof(errs->items[0].text)];

	for (size_t i = 0; i < errs->nr; i++)
		fprintf(stderr, "%s%s\n", before,
			str_escape(shown, sizeof(shown), errs->items[i].text));
	if (errs->total > errs->nr)
		fprintf(stderr, "%s... and %zu more\n", before, errs->total - errs->nr);
}
