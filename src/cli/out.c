/* SPDX-License-Identifier: MIT */
#include "cli/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include "base/cleanup.h"
#include "base/str.h"

static const char *const style_codes[] = {
    [STYLE_PLAIN] = "",	       [STYLE_TITLE] = "\033[1m",  [STYLE_GOOD] = "\033[32m",
    [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
};

/* Bytes of the character at s; *ret_width its columns (the process runs in a UTF-8 LC_CTYPE). */
static size_t next_char(const char *s, size_t *ret_width)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, s, strlen(s), &state);
	int w;

	if (n == 0 || n > 4) {
		*ret_width = 1;
		return 1;
	}
	w = wcwidth(c);
	*ret_width = w < 0 ? 1 : (size_t)w;
	return n;
}

size_t out_width(const char *s)
{
	size_t total = 0, w;

	while (*s) {
		s += next_char(s, &w);
		total += w;
	}
	return total;
}

void out_styled(const struct out *o, enum style style, const char *text)
{
	if (o->color && style != STYLE_PLAIN)
		printf("%s%s\033[0m", style_codes[style], text);
	else
		fputs(text, stdout);
}

/* Escaped copy of any length; '\n' is kept where asked for. NULL: no memory. */
static char *escape_all(const char *s, bool keep_newlines)
{
	size_t size = 4 * strlen(s) + 1;
	char *copy = malloc(size), *p, *line;

	if (!copy || !keep_newlines)
		return copy ? str_escape(copy, size, s) : NULL;
	for (p = copy; (line = strchr(s, '\n')) != NULL; s = line + 1) {
		_cleanup_free_ char *one = strndup(s, (size_t)(line - s));

		str_escape(p, size - (size_t)(p - copy), one ? one : "");
		p += strlen(p);
		*p++ = '\n';
	}
	str_escape(p, size - (size_t)(p - copy), s);
	return copy;
}

static char *vformat(const char *fmt, va_list ap) printf_like(1, 0);
static char *vformat(const char *fmt, va_list ap)
{
	char *s;

	return vasprintf(&s, fmt, ap) < 0 ? NULL : s;
}

static bool is_unit(const char *word, size_t len)
{
	static const char *const units[] = {"%", "ns", "us",  "ms",  "s",   "m",
					    "h", "B",  "KiB", "MiB", "GiB", "TiB"};

	while (len && strchr(".,;:)", word[len - 1]))
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (len == strlen(units[i]) && !strncmp(word, units[i], len))
			return true;
	return false;
}

/* The next word of *rest, cut off; a number keeps its unit: "97 %". */
static char *next_word(char **rest)
{
	char *word = *rest, *end, *unit;

	if (!word)
		return NULL;
	end = strchr(word, ' ');
	unit = end ? end + 1 : NULL;
	if (end && end > word && end[-1] >= '0' && end[-1] <= '9' &&
	    is_unit(unit, strcspn(unit, " ")))
		end = strchr(unit, ' ');
	*rest = end ? end + 1 : NULL;
	if (end)
		*end = 0;
	return word;
}

/*
 * Word by word, with `indent` before all lines but the first, which starts where the cursor is
 * (`column`). A word longer than the line stays whole: paths must be copyable.
 */
static void print_words(const struct out *o, size_t column, unsigned int indent, char *text)
{
	bool first = true; /* word of its line */
	char *word, *rest = text;

	while ((word = next_word(&rest)) != NULL) {
		size_t w = out_width(word);

		if (!first && column + 1 + w > o->width) {
			printf("\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		printf("%s%s", first ? "" : " ", word);
		column += w + (first ? 0 : 1);
		first = false;
	}
	putchar('\n');
}

void out_paragraph(const struct out *o, unsigned int indent, enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL, *text = NULL;
	char *line, *rest;
	va_list ap;

	va_start(ap, fmt);
	raw = vformat(fmt, ap);
	va_end(ap);
	text = raw ? escape_all(raw, true) : NULL;
	if (!text)
		return;
	if (o->color)
		fputs(style_codes[style], stdout);
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;)
		print_words(o, 0, indent, line);
	if (o->color && style != STYLE_PLAIN)
		fputs("\033[0m", stdout);
}

struct cell {
	char *text; /* escaped */
	enum style style;
	bool note; /* a whole line, not a cell */
};

static void add_cell(struct table *t, enum style style, bool note, const char *raw)
{
	struct cell *cells;
	char *text = raw ? escape_all(raw, false) : NULL;

	if (t->nr_cells == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		cells = reallocarray(t->cells, t->cap, sizeof(*cells));
		if (!cells)
			t->cap = t->nr_cells;
		else
			t->cells = cells;
	}
	if (!text || t->nr_cells == t->cap) {
		t->failed = true;
		free(text);
		return;
	}
	t->cells[t->nr_cells++] = (struct cell){text, style, note};
}

void table_add(struct table *t, enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	va_list ap;

	va_start(ap, fmt);
	raw = vformat(fmt, ap);
	va_end(ap);
	add_cell(t, style, false, raw);
}

void table_note(struct table *t, const char *text)
{
	add_cell(t, STYLE_PLAIN, true, text);
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->nr_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
	*t = (struct table){0};
}

#define GAP	     2
#define COLUMNS_MAX  16
#define FLEXIBLE_MIN 12
#define PROSE_MIN    24

static size_t longest_flexible(const struct table *t, const size_t widths[])
{
	size_t best = COLUMNS_MAX;

	for (size_t i = 0; i < t->nr_columns; i++)
		if (t->columns[i].kind == COLUMN_NAME && widths[i] > FLEXIBLE_MIN &&
		    (best == COLUMNS_MAX || widths[i] > widths[best]))
			best = i;
	return best;
}

/* Prose takes what the others leave. */
static size_t cell_width(const struct column *c, const char *text)
{
	size_t width = out_width(text);

	return c->kind == COLUMN_PROSE && width > PROSE_MIN ? PROSE_MIN : width;
}

static void fit_columns(const struct table *t, const struct out *o, unsigned int indent,
			size_t widths[])
{
	size_t total = indent, column = 0, i, w;

	for (i = 0; i < t->nr_columns; i++)
		widths[i] = out_width(t->columns[i].title);
	for (i = 0; i < t->nr_cells; i++) {
		if (t->cells[i].note)
			continue;
		w = cell_width(&t->columns[column], t->cells[i].text);
		if (w > widths[column])
			widths[column] = w;
		column = (column + 1) % t->nr_columns;
	}
	for (i = 0; i < t->nr_columns; i++)
		total += widths[i] + (i ? GAP : 0);
	for (; total > o->width && (i = longest_flexible(t, widths)) < COLUMNS_MAX; total--)
		widths[i]--;
}

char *out_shorten(const char *s, size_t columns)
{
	size_t head = (columns - 3) / 3, tail = columns - 3 - head;
	size_t rest = out_width(s), w, n;
	const char *head_end = s, *tail_start = s;
	char *text;

	if (rest <= columns)
		return strdup(s);
	for (; (n = next_char(head_end, &w)), w <= head; head_end += n)
		head -= w;
	for (; rest > tail; rest -= w)
		tail_start += next_char(tail_start, &w);
	if (asprintf(&text, "%.*s...%s", (int)(head_end - s), s, tail_start) < 0)
		return NULL;
	return text;
}

/* *pending: blanks that are due before the next text; dropped at the end of a line. */
static void print_cell(const struct out *o, const struct column *c, size_t width, enum style style,
		       const char *text, size_t *pending)
{
	_cleanup_free_ char *shown =
	    c->kind == COLUMN_NAME ? out_shorten(text, width) : strdup(text);
	size_t w = shown ? out_width(shown) : 0, pad = w < width ? width - w : 0;

	if (c->kind == COLUMN_NUMBER)
		*pending += pad;
	if (w) {
		printf("%*s", (int)*pending, "");
		out_styled(o, style, shown);
		*pending = 0;
	}
	*pending += GAP + (c->kind == COLUMN_NUMBER ? 0 : pad);
}

static void print_note(const struct out *o, unsigned int indent, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);

	if (!copy)
		return;
	printf("%*s", (int)indent, "");
	print_words(o, indent, indent, copy);
}

/* The last cell of a row: wrapped, below where it starts. Ends the line. */
static void print_prose(const struct table *t, const struct out *o, unsigned int indent,
			const size_t widths[], const char *text, size_t pending)
{
	_cleanup_free_ char *copy = strdup(text);
	size_t start = indent;

	for (size_t i = 0; i + 1 < t->nr_columns; i++)
		start += widths[i] + GAP;
	if (!copy || !*copy) {
		putchar('\n');
		return;
	}
	printf("%*s", (int)pending, "");
	print_words(o, start, (unsigned int)start, copy);
}

static void print_titles(const struct table *t, const struct out *o, unsigned int indent,
			 const size_t widths[])
{
	size_t pending = indent;

	for (size_t i = 0; i < t->nr_columns; i++)
		print_cell(o, &t->columns[i], widths[i], STYLE_TITLE, t->columns[i].title,
			   &pending);
	putchar('\n');
}

void table_print(const struct table *t, const struct out *o, unsigned int indent)
{
	size_t widths[COLUMNS_MAX], column = 0, pending = indent;

	fit_columns(t, o, indent, widths);
	print_titles(t, o, indent, widths);
	for (const struct cell *c = t->cells; c && c < t->cells + t->nr_cells; c++) {
		if (c->note) {
			print_note(o, indent + 3, c->text);
			continue;
		}
		if (t->columns[column].kind == COLUMN_PROSE) {
			print_prose(t, o, indent, widths, c->text, pending);
		} else {
			print_cell(o, &t->columns[column], widths[column], c->style, c->text,
				   &pending);
			if (column + 1 == t->nr_columns)
				putchar('\n');
		}
		column = (column + 1) % t->nr_columns;
		if (column == 0)
			pending = indent;
	}
	if (t->failed)
		puts("(incomplete: out of memory)");
}
