/* SPDX-License-Identifier: MIT */
/*
 * czctl top: its state, what keys do to it, and how it looks. All of that without a terminal and
 * without czd: top-live.c brings both. Time is an argument.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "cli/top-canvas.h"
#include "cli/top-rows.h"
#include "cli/top-zones.h"

#define TOP_COLUMNS_MIN 80
#define TOP_ROWS_MIN	24

/* Keys that are no character. */
enum top_special {
	TOP_KEY_UP = 0x110000,
	TOP_KEY_DOWN,
	TOP_KEY_LEFT,
	TOP_KEY_RIGHT,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_BACKSPACE,
	TOP_KEY_ESCAPE,
};

struct top {
	struct top_zones zones;
	json_t *findings, *actions; /* czd's answers; NULL: none yet */
	json_t *why;		    /* of why_path; NULL: none yet, or refused */
	char *why_path, *why_refused;
	struct top_order order;
	struct top_row *rows; /* of the latest top_arrange() */
	size_t nr_rows;
	size_t selected, offset;
	char *selected_path; /* NULL: nothing to select */
	bool chosen;	     /* by the user: it stays */
	bool typing, help;
	char away[512]; /* why czd does not answer; "": it does */
	uint64_t away_since_ns;
};

/* List, select and scroll anew, after zones or order changed; room: lines for zones. */
must_check int top_arrange(struct top *t, unsigned int room);
const struct top_zone *top_selected(const struct top *t); /* NULL: none */
enum top_does { TOP_NOTHING, TOP_ARRANGE, TOP_ASK, TOP_REDRAW, TOP_QUIT };
/* A character, or an enum top_special; room as above. TOP_ASK: czd has to be asked anew. */
enum top_does top_key_press(struct top *t, uint32_t key, unsigned int room);
void top_done(struct top *t);

/* Where things are on a screen of that size, from TOP_ROWS_MIN on. */
struct top_layout {
	unsigned int zones, nr_zones; /* first row, rows */
	unsigned int pane, nr_parts;
	unsigned int notes, nr_notes;
	unsigned int keys;
};
struct top_layout top_layout_of(unsigned int rows);
/* Draws all; c has been reset. now_ns: CLOCK_MONOTONIC. */
void top_paint(const struct top *t, struct canvas *c, uint64_t now_ns);
void top_paint_pane(const struct top *t, struct canvas *c, const struct top_layout *l);
