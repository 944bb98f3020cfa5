/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/parse.h"
#include "cli/show.h"

#define WIDTH  760.0
#define HEIGHT 170.0
#define LEFT   52.0
#define TOP    8.0
#define NAMED  5	 /* culprits with a colour of their own */
#define LEAST  1000000.0 /* ns/s: below 0.1 % the axis does not follow */

struct layer {
	char name[160];
	char css[12];
	double rate[REPORT_POINTS]; /* ns waited a second */
};
struct stack {
	size_t nr;
	struct layer layers[REPORT_LAYERS];
	bool known[REPORT_POINTS];
	double most;
};

uint64_t report_waited_ns(const json_t *ledger, const json_t *mean)
{
	uint64_t sum = 0, step_ms = get_count(ledger, "step_ms");
	json_t *value;
	size_t i;

	json_array_foreach(mean, i, value) sum += (uint64_t)json_integer_value(value);
	return (uint64_t)((__uint128_t)sum * step_ms / 1000);
}

static struct layer *layer(struct stack *s, const char *name, const char *css)
{
	struct layer *l;

	for (size_t i = 0; i < s->nr; i++) {
		if (!strcmp(s->layers[i].name, name))
			return &s->layers[i];
	}
	if (s->nr == REPORT_LAYERS)
		return &s->layers[REPORT_LAYERS - 1];
	l = &s->layers[s->nr++];
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->css, sizeof(l->css), "%s", css);
	return l;
}

static void add_to(struct layer *l, const json_t *part)
{
	for (size_t i = 0; i < REPORT_POINTS; i++)
		l->rate[i] +=
		    (double)json_integer_value(json_array_get(json_object_get(part, "mean"), i));
}

/* The neighbours with the most of it by name, the others together; the causes that are no zone. */
static struct layer *layer_of(struct stack *s, const json_t *part, size_t *named)
{
	const char *zone = get_text(part, "zone"), *cause = get_text(part, "cause");
	bool neighbour = !strcmp(cause, "neighbour");
	char css[12];

	for (size_t i = 0; neighbour && i < s->nr; i++) {
		if (!strcmp(s->layers[i].name, zone))
			return &s->layers[i];
	}
	if (neighbour && zone[0] && *named < NAMED) {
		snprintf(css, sizeof(css), "n%zu", (*named)++);
		return layer(s, zone, css);
	}
	if (neighbour)
		return layer(s, "other zones", "others");
	if (!strcmp(cause, "self"))
		return layer(s, "itself", "self");
	return !strcmp(cause, "kernel") ? layer(s, "kernel", "kernel")
					: layer(s, "host, quota, idle CPU, unknown", "rest");
}

static void build(struct stack *s, const json_t *ledger)
{
	const json_t *parts = json_object_get(ledger, "parts");
	const json_t *wait = json_object_get(json_object_get(ledger, "wait"), "mean");
	bool taken[1024] = {0};
	size_t named = 0, n = json_array_size(parts);

	n = n < 1024 ? n : 1024;
	for (size_t round = 0; round < n; round++) { /* largest first */
		size_t best = n;

		for (size_t i = 0; i < n; i++) {
			if (!taken[i] &&
			    (best == n || get_count(json_array_get(parts, i), "sum") >
					      get_count(json_array_get(parts, best), "sum")))
				best = i;
		}
		taken[best] = true;
		add_to(layer_of(s, json_array_get(parts, best), &named),
		       json_array_get(parts, best));
	}
	s->most = LEAST;
	for (size_t i = 0; i < REPORT_POINTS; i++) {
		double sum = 0;

		s->known[i] = json_is_integer(json_array_get(wait, i));
		for (size_t l = 0; l < s->nr; l++)
			sum += s->layers[l].rate[i];
		s->most = sum > s->most ? sum : s->most;
	}
}

static double x_of(double cell)
{
	return LEFT + cell * (WIDTH - LEFT) / REPORT_POINTS;
}

static double y_of(const struct stack *s, size_t upto, size_t cell)
{
	double sum = 0;

	for (size_t l = 0; l < upto; l++)
		sum += s->layers[l].rate[cell];
	return TOP + HEIGHT * (1 - sum / s->most);
}

/* Steps: a value stands for its cell. Cells nobody knows of are left open. */
static void draw_layer(struct strbuf *b, const struct stack *s, size_t l)
{
	strbuf_printf(b, "<path class=%s d='", s->layers[l].css);
	for (size_t i = 0, end; i < REPORT_POINTS; i = end) {
		end = i + 1;
		if (!s->known[i])
			continue;
		while (end < REPORT_POINTS && s->known[end])
			end++;
		strbuf_printf(b, "M%.1f %.1f", x_of((double)i), y_of(s, l, i));
		for (size_t k = i; k < end; k++)
			strbuf_printf(b, "V%.1fH%.1f", y_of(s, l + 1, k), x_of((double)k + 1));
		for (size_t k = end; k-- > i;)
			strbuf_printf(b, "V%.1fH%.1f", y_of(s, l, k), x_of((double)k));
		strbuf_puts(b, "Z");
	}
	strbuf_puts(b, "'><title>");
	report_escape(b, s->layers[l].name);
	strbuf_puts(b, "</title></path>");
}

static void draw_axes(struct strbuf *b, const struct report *r, const struct stack *s)
{
	char text[48];

	for (int i = 0; i <= 2; i++) {
		double y = TOP + HEIGHT * i / 2;

		strbuf_printf(b, "<path class=grid d='M%.1f %.1fH%.1f'/>", LEFT, y, WIDTH);
		strbuf_printf(
		    b, "<text class=axis x=%.1f y=%.1f text-anchor=end>%s</text>", LEFT - 5, y + 4,
		    format_ppm((uint64_t)(s->most * (2 - i) / 2 / 1000), text, sizeof(text)));
	}
	for (int i = 0; i <= 4; i++) {
		report_clock(r, r->from_ms + (r->to_ms - r->from_ms) * (uint64_t)i / 4, text,
			     sizeof(text));
		strbuf_printf(b, "<text class=axis x=%.1f y=%.1f text-anchor=%s>%s</text>",
			      x_of(REPORT_POINTS * i / 4.0), TOP + HEIGHT + 16,
			      i == 0   ? "start"
			      : i == 4 ? "end"
				       : "middle",
			      text);
	}
}

static double x_at(const struct report *r, uint64_t ms)
{
	double share =
	    (double)(ms < r->from_ms ? 0 : ms - r->from_ms) / (double)(r->to_ms - r->from_ms);

	return LEFT + (share > 1 ? 1 : share) * (WIDTH - LEFT);
}

/* Bars from beginning to end: when it was hurt, and what held meanwhile. */
static void draw_bars(struct strbuf *b, const struct report *r, const json_t *rows,
		      const char *victim, const char *css, double y)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		double x = x_at(r, get_count(row, "from_ms")),
		       end = x_at(r, get_count(row, "to_ms"));

		if (strcmp(get_text(row, "victim"), victim) != 0)
			continue;
		strbuf_printf(b, "<rect class=%s x=%.1f y=%.1f width=%.1f height=8><title>#%llu ",
			      css, x, y, end - x > 2 ? end - x : 2.0,
			      (unsigned long long)get_count(row, "seq"));
		report_escape(b, get_text(row, get_text(row, "why")[0] ? "why" : "reason"));
		strbuf_puts(b, "</title></rect>");
	}
}

static void draw_legend(struct strbuf *b, const struct stack *s)
{
	strbuf_puts(b, "<p class=legend>");
	for (size_t l = 0; l < s->nr; l++) {
		strbuf_printf(b, "<span><i class=%s></i>", s->layers[l].css);
		report_escape(b, s->layers[l].name);
		strbuf_puts(b, "</span>");
	}
	strbuf_puts(b, "<span><i class=hurt></i>hurt</span>"
		       "<span><i class=act></i>a knob changed</span></p>");
}

void report_chart(struct strbuf *b, const struct report *r, size_t victim)
{
	const char *name = r->victims[victim].name;
	struct stack *s = calloc(1, sizeof(*s));

	if (!s) {
		b->failed = true;
		return;
	}
	build(s, r->victims[victim].ledger);
	strbuf_printf(b,
		      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' role=img "
		      "aria-label='waiting over time'>",
		      WIDTH, TOP + HEIGHT + 48);
	for (size_t l = 0; l < s->nr; l++)
		draw_layer(b, s, l);
	draw_axes(b, r, s);
	draw_bars(b, r, r->findings, name, "hurt", TOP + HEIGHT + 24);
	draw_bars(b, r, r->actions, name, "act", TOP + HEIGHT + 36);
	strbuf_puts(b, "</svg>");
	draw_legend(b, s);
	free(s);
}
