/* SPDX-License-Identifier: MIT */
/* Stacks as lines, outermost frame first, with how often each was seen; pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

/* Between frames; sorts before all that a name may hold, so that equal beginnings stay together. */
#define FOLDED_SEPARATOR '\x01'

struct folded_line {
	char *text;
	uint64_t samples;
};
struct folded {
	struct folded_line *lines;
	size_t nr, cap;
	bool failed; /* out of memory: incomplete */
};
void folded_done(struct folded *f);
/* A frame behind those in line: name escaped as names are, so that it is one frame and one line. */
void folded_frame(struct strbuf *line, const char *name);
void folded_add(struct folded *f, const char *line, uint64_t samples);
/* By name, each line once. Before the two below. */
void folded_sort(struct folded *f);
/* "a;b;c 42", as flame graph tools read it. */
void folded_text(const struct folded *f, struct strbuf *b);
/*
 * A flame graph: one SVG that needs nothing else, with a script of its own for zoom and search. The
 * same stacks give the same bytes. title, notes: lines of text; escaped here.
 */
void folded_svg(const struct folded *f, const char *title, const char *notes, struct strbuf *b);
