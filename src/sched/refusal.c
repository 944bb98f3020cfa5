/* SPDX-License-Identifier: MIT */
#include "sched/refusal.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

#define LOG_BEGIN "-- BEGIN PROG LOAD LOG --"
#define LOG_END	  "-- END PROG LOAD LOG --"

static struct refusal *watched;

/* The end of each log of the verifier: figures, not the reason. */
static bool is_figures(const char *line)
{
	static const char *const begins[] = {"processed ", "verification time ", "stack depth ",
					     "max_states", "peak_states"};

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (!strncmp(line, begins[i], strlen(begins[i])))
			return true;
	return false;
}

/* "libbpf: prog 'x': -- BEGIN ...": x. */
static void program_of(const char *message, char *buf, size_t size)
{
	const char *begin = strstr(message, "prog '"), *end;

	begin = begin ? begin + 6 : NULL;
	end = begin ? strchr(begin, '\'') : NULL;
	if (!end || str_printf(buf, size, "%.*s: ", (int)(end - begin), begin) < 0)
		buf[0] = 0;
}

static void take_log(struct refusal *r, const char *message, const char *log)
{
	_cleanup_free_ char *copy = strdup(log);
	char *line, *rest = copy, program[64];
	const char *last = "";

	while ((line = strsep(&rest, "\n")) && strcmp(line, LOG_END))
		if (*line && !is_figures(line))
			last = line;
	if (!*last)
		return;
	program_of(message, program, sizeof(program));
	snprintf(r->text, sizeof(r->text), "%s%s", program, last);
	r->final = true;
}

void refusal_take(struct refusal *r, const char *message)
{
	const char *log = strstr(message, LOG_BEGIN), *text = message;

	if (r->final)
		return;
	if (log) {
		take_log(r, message, log + strlen(LOG_BEGIN));
		return;
	}
	if (!strncmp(text, "libbpf: ", 8))
		text += 8;
	if (!r->text[0])
		snprintf(r->text, sizeof(r->text), "%.*s", (int)strcspn(text, "\n"), text);
}

printf_like(2, 0) static int print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	n = vasprintf(&text, fmt, ap);
	if (n < 0)
		return 0;
	if (level == LIBBPF_WARN)
		refusal_take(watched, text);
	fputs(text, stderr);
	return n;
}

void refusal_watch(struct refusal *r)
{
	*r = (struct refusal){0};
	watched = r;
	libbpf_set_print(print);
}
