/* SPDX-License-Identifier: MIT */
/* A guest's console, looked at for the one line that says why its kernel gave up. Pure. */
#pragma once
#include <stddef.h>

struct console_line {
	char text[256]; /* of the line that is not whole yet; what is beyond is not looked at */
	size_t len;
	char panic[200]; /* what follows "Kernel panic - not syncing: "; "" none was seen */
};
void console_line_feed(struct console_line *c, const char *data, size_t len);
