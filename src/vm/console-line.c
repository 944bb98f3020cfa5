/* SPDX-License-Identifier: MIT */
#include "vm/console-line.h"

#include <string.h>
#include "base/str.h"

#define PANIC "Kernel panic - not syncing: "

static void take_line(struct console_line *c)
{
	const char *begin;

	c->text[c->len] = 0;
	c->len = 0;
	begin = strstr(c->text, PANIC);
	/* The first one is the cause; "---[ end Kernel panic" repeats it. */
	if (begin && !c->panic[0])
		str_escape(c->panic, sizeof(c->panic), begin + strlen(PANIC));
}

void console_line_feed(struct console_line *c, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			take_line(c);
		else if (data[i] && data[i] != '\r' && c->len < sizeof(c->text) - 1)
			c->text[c->len++] = data[i];
	}
}
