/* SPDX-License-Identifier: MIT */
/* The terminal of czctl top, by ncurses; there is one. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "cli/top-canvas.h"

/* Takes the terminal over until top_term_close(). -EOPNOTSUPP: it cannot move its cursor, or is not
 * known. */
must_check int top_term_open(bool color, struct error *reterr);
/* The terminal as it was before. */
void top_term_close(void);
int top_term_fd(void); /* readable: keys; -1: there is no keyboard */
/* Asks the terminal how large it is now. */
void top_term_size(unsigned int *ret_rows, unsigned int *ret_columns);
void top_term_draw(const struct canvas *c);
void top_term_forget(void); /* what it shows is not known any more: the next draw is a whole one */
/* A character or an enum top_special; false: none is there. */
bool top_term_key(uint32_t *ret);
/* Gives the terminal back for a while (Ctrl-Z), and takes it again. */
void top_term_pause(void);
void top_term_resume(void);
