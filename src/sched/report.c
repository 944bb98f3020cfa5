/* SPDX-License-Identifier: MIT */
#include "sched/report.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "sched/loader.h"

/* In quotes. Control characters become \xHH text first. */
static void add_text(struct strbuf *line, const char *text)
{
	char shown[1024];

	strbuf_puts(line, "\"");
	for (const char *s = str_escape(shown, sizeof(shown), text); *s; s++)
		strbuf_printf(line, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
	strbuf_puts(line, "\"");
}

void report_line(const struct strbuf *line)
{
	if (line->data && !line->failed)
		puts(line->data);
}

void report_ms(const char *event, const char *key, uint64_t ns)
{
	printf("{\"event\": \"%s\", \"%s\": %.3f}\n", event, key, (double)ns / 1e6);
}

void report_ready(const struct policy *policy, uint64_t verify_ns, uint64_t insns)
{
	printf("{\"event\": \"ready\", \"policy\": \"%s\", \"verify_ms\": %.3f, \"insns\": %" PRIu64
	       ", \"partial\": \"%s\"}\n",
	       policy->name, (double)verify_ns / 1e6, insns, policy->partial_is_be ? "be" : "apps");
}

void report_error(const struct error *error)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};

	strbuf_puts(&line, "{\"event\": \"error\", \"message\": ");
	add_text(&line, error->msg);
	if (error->hint[0]) {
		strbuf_puts(&line, ", \"hint\": ");
		add_text(&line, error->hint);
	}
	strbuf_puts(&line, "}");
	report_line(&line);
}

static const struct {
	uint32_t kind;
	const char *name;
} kinds[] = {
    {SCX_EXIT_NONE, "user"},	     {SCX_EXIT_UNREG, "user"},	    {SCX_EXIT_UNREG_BPF, "policy"},
    {SCX_EXIT_UNREG_KERN, "kernel"}, {SCX_EXIT_SYSRQ, "sysrq"},	    {SCX_EXIT_PARENT, "parent"},
    {SCX_EXIT_ERROR, "error"},	     {SCX_EXIT_ERROR_BPF, "error"}, {SCX_EXIT_ERROR_STALL, "stall"},
};

static const char *kind_name(uint32_t kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].kind == kind)
			return kinds[i].name;
	}
	return "unknown";
}

void report_exit(const struct sched_exit *ended)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};

	strbuf_printf(
	    &line, "{\"event\": \"exit\", \"kind\": \"%s\", \"reason\": ", kind_name(ended->kind));
	add_text(&line, ended->reason);
	strbuf_puts(&line, ", \"message\": ");
	add_text(&line, ended->message);
	strbuf_puts(&line, "}");
	report_line(&line);
}

/* The value as one would write it: 5ms, 20 %, 4, yes. */
static void format_value(const struct option_desc *d, const struct policy_settings *settings,
			 char *buf, size_t size)
{
	const void *at = (const char *)settings + d->offset;

	switch (d->kind) {
	case OPTION_FLAG:
		snprintf(buf, size, "%s", *(const bool *)at ? "yes" : "no");
		return;
	case OPTION_DURATION:
		format_duration(*(const uint64_t *)at, buf, size);
		return;
	case OPTION_RATIO:
		format_ppm(*(const uint32_t *)at, buf, size);
		return;
	default:
		snprintf(buf, size, "%" PRIu64, *(const uint64_t *)at);
	}
}

void report_defaults(const struct option_desc *table, const struct policy_settings *settings)
{
	char value[32];

	for (const struct option_desc *d = table; d && d->name; d++) {
		format_value(d, settings, value, sizeof(value));
		printf("%s%s %s%s", d == table ? "  defaults: " : ", ", d->name, value,
		       d[1].name ? "" : "\n");
	}
}

void report_options(const struct option_desc *table, const struct policy_settings *settings)
{
	char value[32];

	for (const struct option_desc *d = table; d && d->name; d++) {
		_cleanup_(strbuf_done) struct strbuf line = {0};

		format_value(d, settings, value, sizeof(value));
		strbuf_printf(
		    &line, "{\"option\": \"%s\", \"unit\": \"%s\", \"default\": \"%s\", \"help\": ",
		    d->name, d->value ? d->value : "", value);
		add_text(&line, d->help);
		strbuf_puts(&line, "}");
		report_line(&line);
	}
}
