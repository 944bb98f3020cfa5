/* SPDX-License-Identifier: MIT */
#include "cli/report-escape.h"

#include <string.h>
#include "base/cleanup.h"

void report_escape(struct strbuf *b, const char *text)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {
	    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};

	for (; *text; text++) {
		bool no_character = !strncmp(text, "\xef\xbf\xbe", 3) ||
				    !strncmp(text, "\xef\xbf\xbf", 3); /* to XML */
		const char *entity = no_character || (unsigned char)*text < 0x20 || *text == 0x7f
					 ? "&#xfffd;"
					 : NULL;

		for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
			if (entities[i].c == *text)
				entity = entities[i].entity;
		}
		if (entity)
			strbuf_puts(b, entity);
		else
			strbuf_add(b, text, 1);
		text += no_character ? 2 : 0;
	}
}
