/* SPDX-License-Identifier: MIT */
#include "cli/detect-plot.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/parse.h"
#include "cli/report-escape.h"

#define WIDTH  960.0
#define LEFT   56.0
#define RIGHT  12.0
#define TOP    28.0
#define HEIGHT 220.0
#define BELOW  300.0 /* top of the lower picture */
#define LOWER  90.0

struct frame {
	uint64_t from_ns, to_ns;
	double cpi_most, cpu_most;
};

void plot_add(struct plot *p, const struct plot_point *point)
{
	if (p->nr == p->cap && p->nr < PLOT_POINTS_MAX) {
		size_t cap = p->cap * 2 + 1024;
		struct plot_point *grown = realloc(p->points, cap * sizeof(*grown));

		if (grown) {
			p->points = grown;
			p->cap = cap;
		}
	}
	if (p->nr == p->cap)
		p->failed = true;
	else
		p->points[p->nr++] = *point;
}

static struct frame frame_of(const struct plot *p)
{
	struct frame f = {.from_ns = UINT64_MAX, .cpi_most = 1000, .cpu_most = 1000};

	for (size_t i = 0; i < p->nr; i++) {
		const struct plot_point *q = &p->points[i];
		double most = q->cpi_ppm > q->threshold_ppm ? q->cpi_ppm : q->threshold_ppm;

		f.from_ns = q->time_ns < f.from_ns ? q->time_ns : f.from_ns;
		f.to_ns = q->time_ns > f.to_ns ? q->time_ns : f.to_ns;
		if (q->is_suspect)
			f.cpu_most = q->cpu_ppm > f.cpu_most ? q->cpu_ppm : f.cpu_most;
		else
			f.cpi_most = most > f.cpi_most ? most : f.cpi_most;
	}
	if (f.to_ns <= f.from_ns)
		f.to_ns = f.from_ns + 1;
	f.cpi_most *= 1.05;
	return f;
}

static double x_of(const struct frame *f, uint64_t time_ns)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * (double)(time_ns - f->from_ns) /
			  (double)(f->to_ns - f->from_ns);
}

static double y_of(const struct frame *f, uint32_t cpi_ppm)
{
	return TOP + HEIGHT * (1 - cpi_ppm / f->cpi_most);
}

static double below_of(const struct frame *f, uint32_t cpu_ppm)
{
	return BELOW + LOWER * (1 - cpu_ppm / f->cpu_most);
}

/* kind: 0 the victim's CPI, 1 its threshold, 2 the suspect's CPU use. Unknown values break the
 * line. */
static void draw_line(struct strbuf *b, const struct plot *p, const struct frame *f, int kind,
		      const char *css)
{
	bool open = false;

	strbuf_printf(b, "<path class='%s' d='", css);
	for (size_t i = 0; i < p->nr; i++) {
		const struct plot_point *q = &p->points[i];
		uint32_t value = kind == 0 ? q->cpi_ppm : kind == 1 ? q->threshold_ppm : q->cpu_ppm;

		if (q->is_suspect != (kind == 2))
			continue;
		if (kind < 2 && !value) {
			open = false;
			continue;
		}
		strbuf_printf(b, "%c%.1f %.1f", open ? 'L' : 'M', x_of(f, q->time_ns),
			      kind == 2 ? below_of(f, value) : y_of(f, value));
		open = true;
	}
	strbuf_puts(b, "'/>\n");
}

static void draw_outliers(struct strbuf *b, const struct plot *p, const struct frame *f)
{
	for (size_t i = 0; i < p->nr; i++) {
		const struct plot_point *q = &p->points[i];

		if (!q->is_suspect && q->threshold_ppm && q->cpi_ppm > q->threshold_ppm)
			strbuf_printf(b, "<circle class='outlier' cx='%.1f' cy='%.1f' r='2.5'/>\n",
				      x_of(f, q->time_ns), y_of(f, q->cpi_ppm));
	}
}

static void draw_text(struct strbuf *b, double x, double y, const char *anchor, const char *text)
{
	strbuf_printf(b, "<text x='%.1f' y='%.1f' text-anchor='%s'>", x, y, anchor);
	report_escape(b, text);
	strbuf_puts(b, "</text>\n");
}

static void draw_axes(struct strbuf *b, const struct frame *f)
{
	char text[48];

	for (int i = 0; i <= 2; i++) {
		double y = TOP + HEIGHT * i / 2;

		strbuf_printf(b, "<path class='grid' d='M%.1f %.1fH%.1f'/>\n", LEFT, y,
			      WIDTH - RIGHT);
		snprintf(text, sizeof(text), "%.2f", f->cpi_most * (2 - i) / 2e6);
		draw_text(b, LEFT - 6, y + 4, "end", text);
		y = BELOW + LOWER * i / 2;
		strbuf_printf(b, "<path class='grid' d='M%.1f %.1fH%.1f'/>\n", LEFT, y,
			      WIDTH - RIGHT);
		snprintf(text, sizeof(text), "%.2f", f->cpu_most * (2 - i) / 2e6);
		draw_text(b, LEFT - 6, y + 4, "end", text);
	}
	for (int i = 0; i <= 4; i++) {
		uint64_t at_ns = (f->to_ns - f->from_ns) / 4 * (uint64_t)i;

		draw_text(b, x_of(f, f->from_ns + at_ns), BELOW + LOWER + 18,
			  i == 0   ? "start"
			  : i == 4 ? "end"
				   : "middle",
			  format_duration(at_ns, text, sizeof(text)));
	}
}

void plot_svg(const struct plot *p, struct strbuf *b)
{
	struct frame f = frame_of(p);
	char title[640];

	strbuf_printf(
	    b,
	    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' role='img'>\n"
	    "<style>svg{background:#fff;font:12px sans-serif;color:#222}"
	    "text{fill:currentColor}path{fill:none}.grid{stroke:#8884;stroke-width:1}"
	    ".cpi{stroke:#2563eb;stroke-width:1.2}"
	    ".threshold{stroke:#d97706;stroke-width:1.2;stroke-dasharray:5 3}"
	    ".use{stroke:#7c3aed;stroke-width:1.2}.outlier{fill:#dc2626}"
	    "@media(prefers-color-scheme:dark){svg{background:#16181d;color:#ddd}}</style>\n",
	    WIDTH, BELOW + LOWER + 30);
	snprintf(title, sizeof(title), "CPI of %s; dashed: its threshold; dots: outliers",
		 p->victim);
	draw_text(b, LEFT, TOP - 10, "start", title);
	snprintf(title, sizeof(title), "CPUs used by %s",
		 p->suspect[0] ? p->suspect : "the suspect (there is none)");
	draw_text(b, LEFT, BELOW - 10, "start", title);
	draw_axes(b, &f);
	draw_line(b, p, &f, 1, "threshold");
	draw_line(b, p, &f, 0, "cpi");
	draw_outliers(b, p, &f);
	draw_line(b, p, &f, 2, "use");
	strbuf_puts(b, "</svg>\n");
}
