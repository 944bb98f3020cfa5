/* SPDX-License-Identifier: MIT */
#include "cli/top-canvas.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include "base/cleanup.h"

int canvas_reset(struct canvas *c, unsigned int rows, unsigned int columns)
{
	struct canvas_cell *cells;

	rows = rows > CANVAS_MAX ? CANVAS_MAX : rows;
	columns = columns > CANVAS_MAX ? CANVAS_MAX : columns;
	if (rows != c->rows || columns != c->columns || !c->cells) {
		cells = reallocarray(c->cells, (size_t)rows * columns + 1, sizeof(*cells));
		if (!cells)
			return -ENOMEM;
		c->cells = cells;
		c->rows = rows;
		c->columns = columns;
	}
	for (size_t i = 0; i < (size_t)rows * columns; i++)
		c->cells[i] = (struct canvas_cell){.text = " "};
	return 0;
}

void canvas_done(struct canvas *c)
{
	free(c->cells);
	c->cells = NULL;
	c->rows = c->columns = 0;
}

struct canvas_cell *canvas_at(const struct canvas *c, unsigned int row, unsigned int column)
{
	return &c->cells[(size_t)row * c->columns + column];
}

/* Marks that change the direction of what follows, and spaces without a width. */
static bool is_invisible(wchar_t w)
{
	return (w >= 0x200b && w <= 0x200f) || (w >= 0x2028 && w <= 0x202e) ||
	       (w >= 0x2060 && w <= 0x206f) || w == 0x61c || w == 0xfeff;
}

struct character {
	char text[8];
	size_t bytes; /* of the source */
	int width;    /* 0: goes onto the one before */
};

static struct character next_character(const struct canvas *c, const char *s)
{
	struct character out = {"?", 1, 1};
	mbstate_t state = {0};
	wchar_t w;
	size_t n = mbrtowc(&w, s, strlen(s), &state);

	if (n == 0 || n > 4)
		return out;
	out.bytes = n;
	out.width = wcwidth(w);
	if (out.width < 0 || is_invisible(w) || (w > 0x7e && !c->utf8)) {
		out.width = 1;
		return out;
	}
	memcpy(out.text, s, n);
	out.text[n] = 0;
	return out;
}

static void combine(struct canvas *c, unsigned int row, unsigned int column, const char *text)
{
	struct canvas_cell *cell = canvas_at(c, row, column);

	if (!cell->text[0] && column)
		cell--;
	if (strlen(cell->text) + strlen(text) < sizeof(cell->text))
		strcat(cell->text, text);
}

unsigned int canvas_put(struct canvas *c, unsigned int row, unsigned int column, unsigned int max,
			enum style style, const char *text)
{
	unsigned int start = column, end;

	if (row >= c->rows || column >= c->columns)
		return column;
	end = max < c->columns - column ? column + max : c->columns;
	while (*text) {
		struct character next = next_character(c, text);

		if (column + (unsigned int)next.width > end)
			break;
		text += next.bytes;
		if (next.width == 0) {
			if (column > start)
				combine(c, row, column - 1, next.text);
			continue;
		}
		for (int i = 0; i < next.width; i++) {
			struct canvas_cell *cell = canvas_at(c, row, column++);

			strcpy(cell->text, i ? "" : next.text);
			cell->style = (uint8_t)style;
		}
	}
	return column;
}

unsigned int canvas_printf(struct canvas *c, unsigned int row, unsigned int column,
			   enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text ? canvas_put(c, row, column, CANVAS_MAX, style, text) : column;
}

void canvas_right(struct canvas *c, unsigned int row, unsigned int column, unsigned int max,
		  enum style style, const char *text)
{
	size_t width = out_width(text);

	if (width < max) {
		column += max - (unsigned int)width;
		max = (unsigned int)width;
	}
	canvas_put(c, row, column, max, style, text);
}

/* Bytes of the longest beginning that fits, ended at a blank where there is one. */
static size_t line_bytes(const struct canvas *c, const char *text)
{
	size_t bytes = 0, at_blank = 0;
	unsigned int columns = 0;

	while (text[bytes]) {
		struct character next = next_character(c, text + bytes);

		columns += (unsigned int)next.width;
		if (columns > c->columns)
			return at_blank ? at_blank : bytes;
		if (text[bytes] == ' ' && bytes)
			at_blank = bytes;
		bytes += next.bytes;
	}
	return bytes;
}

unsigned int canvas_wrap(struct canvas *c, unsigned int row, unsigned int lines, enum style style,
			 const char *text)
{
	unsigned int used = 0;

	while (*text && used < lines && row < c->rows) {
		size_t n = line_bytes(c, text);
		_cleanup_free_ char *line = strndup(text, n);
		bool cut = used + 1 == lines && text[n];

		canvas_put(c, row, 0, CANVAS_MAX, style, line ? line : "");
		if (cut && c->columns > 3)
			canvas_put(c, row, c->columns - 3, 3, style, "...");
		text += n + (text[n] == ' ');
		row++;
		used++;
		if (!n)
			break;
	}
	return used;
}

void canvas_look(struct canvas *c, unsigned int row, enum canvas_look look)
{
	for (unsigned int i = 0; row < c->rows && i < c->columns; i++)
		canvas_at(c, row, i)->look = (uint8_t)look;
}

char *canvas_line(const struct canvas *c, unsigned int row, char *buf, size_t size)
{
	size_t len = 0;

	for (unsigned int i = 0; i < c->columns; i++) {
		const char *text = canvas_at(c, row, i)->text;
		size_t n = strlen(text);

		if (len + n >= size)
			break;
		memcpy(buf + len, text, n);
		len += n;
	}
	while (len && buf[len - 1] == ' ')
		len--;
	buf[len] = 0;
	return buf;
}
