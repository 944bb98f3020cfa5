/* SPDX-License-Identifier: MIT */
#include "gate/metrics-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TOTAL "_total"

/* Cuts an ending off; whether it was there. */
static bool cut_end(char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	if (n < k || strcmp(name + n - k, end) != 0)
		return false;
	name[n - k] = 0;
	return true;
}

void family_of(const struct metric_desc *d, const char *prefix, struct metric_family *ret)
{
	char stem[64], unit[16] = "";
	const char *told = NULL;
	bool total;

	str_copy(stem, sizeof(stem), d->name);
	total = cut_end(stem, TOTAL);
	snprintf(unit, sizeof(unit), "_%s", d->unit);
	ret->scale = SCALE_ONE;
	if (!strcmp(d->unit, "ns")) {
		ret->scale = SCALE_NS;
		told = "_seconds";
	} else if (!strcmp(d->unit, "ppm")) {
		ret->scale = SCALE_PPM;
		told = "_ratio";
	}
	/* other units stay as they are named: bytes, pages, bytes_per_second */
	if (told)
		cut_end(stem, unit);
	snprintf(ret->name, sizeof(ret->name), "%s%s%s%s", prefix, stem, told ? told : "",
		 total ? TOTAL : "");
	ret->kind = d->kind;
	ret->help = d->help;
}

static void escaped(struct strbuf *out, const char *text, bool quotes)
{
	for (size_t n; *text; text += n) {
		n = strcspn(text, quotes ? "\\\n\"" : "\\\n");
		strbuf_add(out, text, n);
		if (!text[n])
			break;
		strbuf_puts(out, text[n] == '\n' ? "\\n" : text[n] == '"' ? "\\\"" : "\\\\");
		n++;
	}
}

void text_family(struct strbuf *out, const struct metric_family *f, bool openmetrics)
{
	size_t n = strlen(f->name);

	if (openmetrics && f->kind == METRIC_COUNTER)
		n -= strlen(TOTAL);
	strbuf_printf(out, "# HELP %.*s ", (int)n, f->name);
	escaped(out, f->help, openmetrics);
	strbuf_printf(out, "\n# TYPE %.*s %s\n", (int)n, f->name,
		      f->kind == METRIC_COUNTER ? "counter" : "gauge");
}

/* Decimals without a float: what is told is what was read. */
static int decimal(char *buf, size_t size, uint64_t value, enum metric_scale scale)
{
	static const struct {
		uint64_t one;
		int digits;
	} scales[] = {
	    [SCALE_ONE] = {1, 0}, [SCALE_NS] = {1000000000, 9}, [SCALE_PPM] = {1000000, 6}};
	uint64_t one = scales[scale].one, rest = value % one;
	int n = snprintf(buf, size, "%" PRIu64, value / one);

	if (rest)
		n += snprintf(buf + n, size - (size_t)n, ".%0*" PRIu64, scales[scale].digits, rest);
	return n;
}

void text_sample(struct strbuf *out, const struct metric_family *f, const char *labels,
		 uint64_t value)
{
	char number[48];
	int n = decimal(number, sizeof(number), value, f->scale);

	strbuf_puts(out, f->name);
	if (labels[0]) {
		strbuf_add(out, "{", 1);
		strbuf_puts(out, labels);
		strbuf_add(out, "}", 1);
	}
	strbuf_add(out, " ", 1);
	strbuf_add(out, number, (size_t)n);
	strbuf_add(out, "\n", 1);
}

void text_label(struct strbuf *out, const char *name, const char *value)
{
	if (out->len)
		strbuf_puts(out, ",");
	strbuf_puts(out, name);
	strbuf_puts(out, "=\"");
	escaped(out, value, true);
	strbuf_puts(out, "\"");
}
