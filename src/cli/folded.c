/* SPDX-License-Identifier: MIT */
#include "cli/folded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 512

void folded_done(struct folded *f)
{
	for (size_t i = 0; i < f->nr; i++)
		free(f->lines[i].text);
	free(f->lines);
	*f = (struct folded){0};
}

void folded_frame(struct strbuf *line, const char *name)
{
	char safe[NAME_MAX_BYTES];

	str_escape(safe, sizeof(safe), name);
	for (char *p = safe; *p; p++)
		*p = *p == ';' ? ':' : *p;
	if (line->len)
		strbuf_add(line, (char[]){FOLDED_SEPARATOR}, 1);
	strbuf_puts(line, safe);
}

void folded_add(struct folded *f, const char *line, uint64_t samples)
{
	if (f->nr == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		struct folded_line *lines = realloc(f->lines, cap * sizeof(*lines));

		f->failed = f->failed || !lines;
		if (!lines)
			return;
		f->lines = lines;
		f->cap = cap;
	}
	f->lines[f->nr] = (struct folded_line){.text = strdup(line), .samples = samples};
	if (f->lines[f->nr].text)
		f->nr++;
	else
		f->failed = true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct folded_line *)a)->text, ((const struct folded_line *)b)->text);
}

void folded_sort(struct folded *f)
{
	size_t n = 0;

	if (f->nr)
		qsort(f->lines, f->nr, sizeof(*f->lines), by_text);
	for (size_t i = 0; i < f->nr; i++) {
		if (n && !by_text(&f->lines[n - 1], &f->lines[i])) {
			f->lines[n - 1].samples += f->lines[i].samples;
			free(f->lines[i].text);
		} else {
			f->lines[n++] = f->lines[i];
		}
	}
	f->nr = n;
}

void folded_text(const struct folded *f, struct strbuf *b)
{
	for (size_t i = 0; i < f->nr; i++) {
		for (const char *p = f->lines[i].text; *p; p++)
			strbuf_add(b, *p == FOLDED_SEPARATOR ? ";" : p, 1);
		strbuf_printf(b, " %" PRIu64 "\n", f->lines[i].samples);
	}
}
