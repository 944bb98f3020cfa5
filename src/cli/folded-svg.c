/* SPDX-License-Identifier: MIT */
/* Sorted lines -> rectangles: what neighbouring lines begin with alike is one frame. */
#include "cli/folded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "cli/report-escape.h"

#define WIDTH	   1200
#define PAD	   12
#define TOP	   74
#define ROW	   17
#define CHAR_WIDTH 7 /* of the font below, about */
#define DEPTH_MAX  192
#define INNER	   (WIDTH - 2 * PAD)

static const char style[] =
    "svg{background:#fff}text{font:12px ui-monospace,monospace;fill:#1c1f24}"
    ".t{font:600 16px system-ui,sans-serif}.n{fill:#667}.b{fill:#2563a8;cursor:pointer}"
    ".f rect{stroke:#fff;stroke-width:.5;rx:2px}.f{cursor:pointer}.f:hover rect{stroke:#1c1f24}"
    ".f text{pointer-events:none}.hit rect{fill:#b87fe0!important}.up{opacity:.55}"
    "@media(prefers-color-scheme:dark){svg{background:#15181c}text{fill:#e6e8ea}"
    ".f text{fill:#1c1f24}.n{fill:#9aa3ad}.b{fill:#6aa9ee}.f rect{stroke:#15181c}}";

/* Only reads and sets text and attributes of this document: no name is ever markup. */
static const char script[] =
    "(function(){'use strict';\n"
    "var svg=document.documentElement,all=+svg.dataset.samples,pad=+svg.dataset.pad,\n"
    "inner=+svg.dataset.inner,frames=Array.from(svg.querySelectorAll('.f')).map(function(g){\n"
    "return{g:g,x:+g.dataset.x,n:+g.dataset.n,name:g.querySelector('title').textContent\n"
    ".split('\\n')[0],rect:g.querySelector('rect'),text:g.querySelector('text')}}),\n"
    "found=document.getElementById('found'),back=document.getElementById('back');\n"
    "function fit(s,w){var n=Math.floor((w-6)/7);return n<3?'':s.length<=n?s:s.slice(0,n-2)+'..'}\n"
    "function show(x,n){frames.forEach(function(f){\n"
    "var a=Math.max(0,(f.x-x)/n),b=Math.min(1,(f.x+f.n-x)/n),in_=b>a;\n"
    "f.g.style.display=in_?'':'none';f.g.classList.toggle('up',f.x<=x&&f.n>n);if(!in_)return;\n"
    "f.rect.setAttribute('x',pad+a*inner);f.rect.setAttribute('width',(b-a)*inner);\n"
    "f.text.setAttribute('x',pad+a*inner+3);f.text.textContent=fit(f.name,(b-a)*inner)});\n"
    "back.style.display=n===all?'none':''}\n"
    "function search(what){var sum=0,end=-1,low=(what||'').toLowerCase();\n"
    "frames.forEach(function(f){f.hit=low&&f.name.toLowerCase().includes(low);\n"
    "f.g.classList.toggle('hit',!!f.hit)});\n"
    "frames.filter(function(f){return f.hit}).sort(function(p,q){return p.x-q.x||q.n-p.n})\n"
    ".forEach(function(f){if(f.x>=end){sum+=f.n;end=f.x+f.n}});\n"
    "found.textContent=low?'\\u201c'+what+'\\u201d: '+(100*sum/all).toFixed(1)+' %':''}\n"
    "function ask(){var what=prompt('Function or command to look for:');\n"
    "if(what!==null)search(what)}\n"
    "frames.forEach(function(f){f.g.addEventListener('click',function(){show(f.x,f.n)})});\n"
    "back.addEventListener('click',function(){show(0,all)});\n"
    "document.getElementById('find').addEventListener('click',ask);\n"
    "addEventListener('keydown',function(e){if(e.key==='Escape'){search('');show(0,all)}\n"
    "else if(e.key==='/'||(e.ctrlKey&&e.key==='f')){e.preventDefault();ask()}});\n"
    "window.flame={show:show,search:search,frames:frames}})();\n";

struct frame {
	const char *name; /* in the line that opened it */
	size_t len;
	uint64_t x; /* in samples */
};

struct drawing {
	struct strbuf *b;
	uint64_t total;
	size_t rows;
	struct frame open[DEPTH_MAX];
	size_t depth;
};

static double pixels(const struct drawing *d, uint64_t samples)
{
	return (double)samples / (double)d->total * INNER;
}

/* Warm by name, so that a function looks the same wherever it is; the kernel's are blue. */
static void add_colour(struct strbuf *b, const char *name)
{
	unsigned int h = (unsigned int)(hash_string(name) % 1000);
	size_t n = strlen(name);
	bool kernel = n > 8 && !strcmp(name + n - 8, "(kernel)");

	strbuf_printf(b, "hsl(%u,%u%%,%u%%)", kernel ? 200 + h % 30 : 10 + h % 45, 70 + h / 10 % 20,
		      62 + h / 100);
}

static void add_frame(struct drawing *d, const struct frame *f, size_t row, uint64_t samples)
{
	struct strbuf *b = d->b;
	double x = PAD + pixels(d, f->x), w = pixels(d, samples);
	size_t y = TOP + (d->rows - 1 - row) * ROW,
	       fits = w < 6 ? 0 : (size_t)((w - 6) / CHAR_WIDTH);
	_cleanup_free_ char *name = strndup(f->name, f->len);

	if (!name) {
		b->failed = true;
		return;
	}
	strbuf_printf(b, "<g class=\"f\" data-x=\"%" PRIu64 "\" data-n=\"%" PRIu64 "\"><title>",
		      f->x, samples);
	report_escape(b, name);
	strbuf_printf(b, "\n%" PRIu64 " samples, %.1f %%</title>", samples,
		      100.0 * (double)samples / (double)d->total);
	strbuf_printf(b, "<rect x=\"%.2f\" y=\"%zu\" width=\"%.2f\" height=\"%d\" fill=\"", x, y, w,
		      ROW - 1);
	add_colour(b, name);
	strbuf_printf(b, "\"/><text x=\"%.2f\" y=\"%zu\">", x + 3, y + 12);
	if (fits >= 3 && fits < f->len) {
		while ((name[fits - 2] & 0xc0) == 0x80 && fits > 3) /* not within a character */
			fits--;
		strcpy(name + fits - 2, "..");
	}
	if (fits >= 3)
		report_escape(b, name);
	strbuf_puts(b, "</text></g>\n");
}

static void close_to(struct drawing *d, size_t depth, uint64_t x)
{
	while (d->depth > depth) {
		d->depth--;
		add_frame(d, &d->open[d->depth], d->depth, x - d->open[d->depth].x);
	}
}

static void add_line(struct drawing *d, const char *text, uint64_t x)
{
	size_t depth = 0;
	bool same = true;

	for (const char *at = text; at && depth < DEPTH_MAX; depth++) {
		const char *end = strchr(at, FOLDED_SEPARATOR);
		size_t len = end ? (size_t)(end - at) : strlen(at);

		same = same && depth < d->depth && d->open[depth].len == len &&
		       !memcmp(d->open[depth].name, at, len);
		if (!same) {
			close_to(d, depth, x);
			d->open[d->depth++] = (struct frame){at, len, x};
		}
		at = end ? end + 1 : NULL;
	}
	close_to(d, depth, x);
}

static size_t rows_of(const struct folded *f)
{
	size_t most = 1;

	for (size_t i = 0; i < f->nr; i++) {
		size_t n = 1;

		for (const char *p = f->lines[i].text; *p; p++)
			n += *p == FOLDED_SEPARATOR;
		most = n > most ? n : most;
	}
	return most < DEPTH_MAX ? most : DEPTH_MAX;
}

static void add_head(const struct drawing *d, const char *title, const char *notes)
{
	struct strbuf *b = d->b;
	size_t height = TOP + d->rows * ROW + PAD;

	strbuf_printf(b,
		      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" "
		      "width=\"%d\" height=\"%zu\" data-samples=\"%" PRIu64 "\" data-pad=\"%d\" "
		      "data-inner=\"%d\">\n<style>%s</style>\n<title>",
		      WIDTH, height, WIDTH, height, d->total, PAD, INNER, style);
	report_escape(b, title);
	strbuf_printf(b, "</title>\n<text class=\"t\" x=\"%d\" y=\"26\">", PAD);
	report_escape(b, title);
	strbuf_printf(b, "</text>\n<text class=\"n\" x=\"%d\" y=\"44\">", PAD);
	report_escape(b, notes);
	strbuf_printf(b,
		      "</text>\n<text class=\"b\" id=\"find\" x=\"%d\" y=\"62\">search (/)</text>"
		      "<text class=\"b\" id=\"back\" x=\"%d\" y=\"62\" style=\"display:none\">"
		      "whole (Esc)</text><text id=\"found\" x=\"%d\" y=\"62\"></text>\n",
		      PAD, PAD + 100, PAD + 210);
}

void folded_svg(const struct folded *f, const char *title, const char *notes, struct strbuf *b)
{
	struct drawing d = {.b = b, .rows = rows_of(f)};
	uint64_t x = 0;

	for (size_t i = 0; i < f->nr; i++)
		d.total += f->lines[i].samples;
	add_head(&d, title, notes);
	for (size_t i = 0; i < f->nr; i++) {
		add_line(&d, f->lines[i].text, x);
		x += f->lines[i].samples;
	}
	close_to(&d, 0, x);
	strbuf_printf(b, "<script><![CDATA[\n%s]]></script>\n</svg>\n", script);
}
