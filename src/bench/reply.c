/* SPDX-License-Identifier: MIT */
#include "bench/reply.h"

#include <string.h>

void reply_parser_init(struct reply_parser *p)
{
	/* The line buffer needs no clearing. */
	memset(p, 0, offsetof(struct reply_parser, line));
}

int reply_line(struct reply_parser *p, const char **data, const char *end, struct error *reterr)
{
	while (*data < end) {
		char c = *(*data)++;
		bool after_cr = p->line_len > 0 && p->line[p->line_len - 1] == '\r';

		if (c == '\n' && after_cr) {
			p->line[p->line_len - 1] = 0;
			p->line_len = 0;
			return 1;
		}
		if (after_cr || ((unsigned char)c < 0x20 && c != '\r' && c != '\t') || c == 0x7f)
			return error_set(reterr, -EBADMSG, "byte 0x%02x inside a line",
					 (unsigned char)c);
		if (p->line_len == sizeof(p->line) - 1)
			return error_set(reterr, -EBADMSG, "a line of more than %d bytes",
					 REPLY_LINE_MAX - 1);
		p->line[p->line_len++] = c;
	}
	return 0;
}
