/* SPDX-License-Identifier: MIT */
/*
 * Text for people: tables, wrapped paragraphs, colour. Everything that came from outside is escaped
 * on its way in, so no name can move the cursor. Colour means severity and is never the only sign.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum style { STYLE_PLAIN, STYLE_TITLE, STYLE_GOOD, STYLE_WARN, STYLE_BAD };

struct out {
	unsigned int width; /* columns: the terminal's, else $COLUMNS, else 80 */
	bool color;
};

/* Columns s takes on a terminal; s is escaped text. */
size_t out_width(const char *s);
/* "kubepods/burst...4f1c/redis": the end says more than the middle. columns > 3. The caller's to
 * free. */
char *out_shorten(const char *s, size_t columns);
void out_styled(const struct out *o, enum style style, const char *text);
/* Wrapped at o->width; lines after the first are indented. Escapes, '\n' stays. Ends the line. */
void out_paragraph(const struct out *o, unsigned int indent, enum style style, const char *fmt, ...)
    printf_like(4, 5);

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER, /* aligned to the right */
	COLUMN_NAME,   /* shortened in the middle when the line gets too long */
	COLUMN_PROSE,  /* wrapped within the column; the last one only */
};

struct column {
	const char *title;
	enum column_kind kind;
};
struct cell;
struct table {
	const struct column *columns;
	size_t nr_columns;
	struct cell *cells;
	size_t nr_cells, cap;
	bool failed; /* out of memory: printed incompletely, and said so */
};
void table_add(struct table *t, enum style style, const char *fmt, ...) printf_like(3, 4);
/* A line below the row that was just completed. */
void table_note(struct table *t, const char *text);
void table_print(const struct table *t, const struct out *o, unsigned int indent);
void table_done(struct table *t);
