/* SPDX-License-Identifier: MIT */
/*
 * A screen of characters without a terminal: what czctl top draws is drawn here, and tested here;
 * the terminal gets a copy. Text from outside cannot leave its place: what has no width, moves the
 * cursor or turns the direction of writing becomes '?'.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "cli/out.h"

#define CANVAS_MAX 1000 /* rows, and columns */

enum canvas_look { LOOK_PLAIN, LOOK_REVERSE, LOOK_DIM };

struct canvas_cell {
	char text[16]; /* one character with its combining marks; "": right half of a wide one */
	uint8_t style, look; /* enum style, enum canvas_look */
};

struct canvas {
	unsigned int rows, columns;
	bool utf8; /* else all that is not ASCII is a '?' */
	struct canvas_cell *cells;
};

/* Blank; -ENOMEM leaves it as it was. */
must_check int canvas_reset(struct canvas *c, unsigned int rows, unsigned int columns);
void canvas_done(struct canvas *c);
struct canvas_cell *canvas_at(const struct canvas *c, unsigned int row, unsigned int column);
/* At most max columns, cut at the screen's end. Returns the column after the text. The process runs
 * in a UTF-8 LC_CTYPE. */
unsigned int canvas_put(struct canvas *c, unsigned int row, unsigned int column, unsigned int max,
			enum style style, const char *text);
unsigned int canvas_printf(struct canvas *c, unsigned int row, unsigned int column,
			   enum style style, const char *fmt, ...) printf_like(5, 6);
/* Aligned to the right end of max columns. */
void canvas_right(struct canvas *c, unsigned int row, unsigned int column, unsigned int max,
		  enum style style, const char *text);
/* Word by word over at most `lines` rows; returns how many it took. */
unsigned int canvas_wrap(struct canvas *c, unsigned int row, unsigned int lines, enum style style,
			 const char *text);
void canvas_look(struct canvas *c, unsigned int row, enum canvas_look look);
/* A row as text, without the blanks at its end; returns buf. */
char *canvas_line(const struct canvas *c, unsigned int row, char *buf, size_t size);
