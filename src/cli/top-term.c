/* SPDX-License-Identifier: MIT */
#include "cli/top-term.h"

#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cli/top.h"

#define ESCAPE_MS 25 /* an Escape alone, not the beginning of a function key */

static struct {
	SCREEN *screen;
	FILE *keys; /* /dev/tty when stdin is something else; NULL: stdin */
	bool color;
} term;

static const struct {
	enum style style;
	short color; /* pair number is the style */
	attr_t attr;
} styles[] = {
    {STYLE_GOOD, COLOR_GREEN, 0},
    {STYLE_WARN, COLOR_YELLOW, 0},
    {STYLE_BAD, COLOR_RED, A_BOLD},
};

static void start_colors(void)
{
	if (start_color() == ERR)
		return;
	use_default_colors();
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++)
		init_pair((short)styles[i].style, styles[i].color, -1);
	term.color = true;
}

int top_term_open(bool color, struct error *reterr)
{
	const char *type = getenv("TERM");

	if (!isatty(STDIN_FILENO))
		term.keys = fopen("/dev/tty", "re");
	term.screen = newterm(NULL, stdout, term.keys ? term.keys : stdin);
	if (!term.screen || !tigetstr("cup")) {
		top_term_close();
		error_set(reterr, -EOPNOTSUPP, "the terminal is of type '%s', %s", type ? type : "",
			  "which cannot be drawn on or is not known here");
		error_hint(reterr, "Set TERM, or use: czctl top --once");
		return -EOPNOTSUPP;
	}
	cbreak();
	noecho();
	nonl();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	if (color && has_colors())
		start_colors();
	return 0;
}

void top_term_close(void)
{
	if (term.screen) {
		endwin();
		delscreen(term.screen);
	}
	if (term.keys)
		fclose(term.keys);
	memset(&term, 0, sizeof(term));
}

int top_term_fd(void)
{
	if (term.keys)
		return fileno(term.keys);
	return isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
}

void top_term_size(unsigned int *ret_rows, unsigned int *ret_columns)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col &&
	    (size.ws_row != LINES || size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
	*ret_rows = (unsigned int)LINES;
	*ret_columns = (unsigned int)COLS;
}

static attr_t attributes(const struct canvas_cell *cell)
{
	attr_t a = cell->look == LOOK_REVERSE ? A_REVERSE : cell->look == LOOK_DIM ? A_DIM : 0;

	if (cell->style == STYLE_TITLE)
		return a | A_BOLD;
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++)
		if (styles[i].style == (enum style)cell->style)
			a |= styles[i].attr | (term.color ? COLOR_PAIR(cell->style) : 0);
	return a;
}

void top_term_draw(const struct canvas *c)
{
	erase();
	for (unsigned int row = 0; row < c->rows; row++) {
		for (unsigned int column = 0; column < c->columns; column++) {
			const struct canvas_cell *cell = canvas_at(c, row, column);

			if (!cell->text[0])
				continue;
			attrset(attributes(cell));
			mvaddstr((int)row, (int)column, cell->text);
		}
	}
	refresh();
}

void top_term_forget(void)
{
	clearok(stdscr, TRUE);
}

static const struct {
	wint_t code;
	bool function;
	enum top_special key;
} keys[] = {
    {KEY_UP, true, TOP_KEY_UP},		{KEY_DOWN, true, TOP_KEY_DOWN},
    {KEY_LEFT, true, TOP_KEY_LEFT},	{KEY_RIGHT, true, TOP_KEY_RIGHT},
    {KEY_PPAGE, true, TOP_KEY_PAGE_UP}, {KEY_NPAGE, true, TOP_KEY_PAGE_DOWN},
    {KEY_HOME, true, TOP_KEY_HOME},	{KEY_END, true, TOP_KEY_END},
    {KEY_ENTER, true, TOP_KEY_ENTER},	{KEY_BACKSPACE, true, TOP_KEY_BACKSPACE},
    {'\n', false, TOP_KEY_ENTER},	{'\r', false, TOP_KEY_ENTER},
    {'\b', false, TOP_KEY_BACKSPACE},	{0x7f, false, TOP_KEY_BACKSPACE},
    {0x1b, false, TOP_KEY_ESCAPE},
};

bool top_term_key(uint32_t *ret)
{
	wint_t code;
	int r;

	while ((r = get_wch(&code)) != ERR) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			if (keys[i].code == code && keys[i].function == (r == KEY_CODE_YES)) {
				*ret = keys[i].key;
				return true;
			}
		}
		*ret = code;
		if (r == OK)
			return true;
	}
	return false;
}

void top_term_pause(void)
{
	endwin();
}

void top_term_resume(void)
{
	top_term_forget();
	refresh();
}
