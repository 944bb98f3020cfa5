/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/parse.h"
#include "cli/show.h"

#define EVENT_ROWS 200 /* the latest; more is for czctl events */

static const char style[] =
    ":root{--bg:#fff;--fg:#1c1f24;--dim:#667;--rule:#dde;--n0:#c2571a;--n1:#b3892b;--n2:#a8487e;"
    "--n3:#7a8f2a;--n4:#8a5a44;--others:#9aa3ad;--self:#2563a8;--kernel:#7b5ea7;--rest:#c6ccd2;"
    "--good:#1a7f37;--bad:#b42318;--card:#f6f7f9}"
    "@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e6e8ea;--dim:#9aa3ad;"
    "--rule:#333a42;--n0:#f0955c;--n1:#e0bb62;--n2:#e08abb;--n3:#b5cc62;--n4:#c79a82;"
    "--others:#5c656e;--self:#6aa9ee;--kernel:#b79ae0;--rest:#3c444c;--good:#56c271;"
    "--bad:#ff8a7a;--card:#1d2126}}"
    "body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;"
    "max-width:860px;margin:2em auto;padding:0 16px}"
    "h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:2em}"
    "table{border-collapse:collapse;width:100%;font-size:.93em;"
    "font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.25em .6em .25em 0;"
    "border-bottom:1px solid var(--rule);vertical-align:top}th{color:var(--dim);"
    "font-weight:500}td.n,th.n{text-align:right;white-space:nowrap}.dim{color:var(--dim)}"
    ".lead{font-size:1.1em}.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}"
    ".scroll{overflow-x:auto}svg{width:100%;height:auto;font:12px system-ui,sans-serif}"
    "svg .axis{fill:var(--dim);font-size:11px}.grid{stroke:var(--rule);fill:none}"
    ".legend span{margin-right:1.2em;display:inline-block}.legend i{display:inline-block;"
    "width:12px;height:12px;margin-right:5px;border-radius:2px}"
    ".n0{fill:var(--n0);background:var(--n0)}.n1{fill:var(--n1);background:var(--n1)}"
    ".n2{fill:var(--n2);background:var(--n2)}.n3{fill:var(--n3);background:var(--n3)}"
    ".n4{fill:var(--n4);background:var(--n4)}.others{fill:var(--others);"
    "background:var(--others)}.self{fill:var(--self);background:var(--self)}"
    ".kernel{fill:var(--kernel);background:var(--kernel)}.rest{fill:var(--rest);"
    "background:var(--rest)}.hurt{fill:var(--bad);background:var(--bad)}"
    ".act{fill:var(--good);background:var(--good)}";

void report_clock(const struct report *r, uint64_t ms, char *buf, size_t size)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, size,
		 r->to_ms - r->from_ms > 20 * 3600 * 1000ull ? "%m-%d %H:%M" : "%H:%M:%S", &tm);
}

static void cell(struct strbuf *b, const char *css, const char *text)
{
	strbuf_printf(b, "<td%s%s>", css[0] ? " class=" : "", css);
	report_escape(b, text);
	strbuf_puts(b, "</td>");
}

static void head(struct strbuf *b, const char *const *titles, size_t n)
{
	strbuf_puts(b, "<div class=scroll><table><tr>");
	for (size_t i = 0; i < n; i++)
		strbuf_printf(b, "<th%s>%s</th>", titles[i][0] == '>' ? " class=n" : "",
			      titles[i] + (titles[i][0] == '>'));
	strbuf_puts(b, "</tr>");
}
#define HEAD(b, ...)                                                                               \
	head(b, (const char *[]){__VA_ARGS__},                                                     \
	     sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void foot(struct strbuf *b, const char *empty, size_t rows)
{
	strbuf_puts(b, "</table></div>");
	if (!rows)
		strbuf_printf(b, "<p class=dim>%s</p>", empty);
}

static void when_cell(struct strbuf *b, const struct report *r, const json_t *row, const char *key)
{
	char text[32];

	report_clock(r, get_count(row, key), text, sizeof(text));
	cell(b, "n", text);
}

/* The largest part by zone, of all parts of one victim. */
static void victim_rows(struct strbuf *b, const struct report *r, size_t v, size_t *rows)
{
	const json_t *ledger = r->victims[v].ledger;
	uint64_t all =
	    report_waited_ns(ledger, json_object_get(json_object_get(ledger, "wait"), "mean"));
	json_t *part;
	size_t i;

	json_array_foreach(json_object_get(ledger, "parts"), i, part)
	{
		uint64_t ns = report_waited_ns(ledger, json_object_get(part, "mean"));
		const char *zone = get_text(part, "zone");
		char text[48];

		if (!all || ns < all / 1000 || strcmp(get_text(part, "cause"), "neighbour") != 0)
			continue;
		++*rows;
		strbuf_puts(b, "<tr>");
		cell(b, "", r->victims[v].name);
		cell(b, "", zone[0] ? zone : "other zones");
		cell(b, "", get_text(part, "class"));
		cell(b, "n", format_duration(ns, text, sizeof(text)));
		cell(b, "n",
		     format_ppm((uint64_t)((__uint128_t)ns * 1000000 / all), text, sizeof(text)));
		strbuf_puts(b, "</tr>");
	}
}

static void who_hurt_whom(struct strbuf *b, const struct report *r)
{
	size_t rows = 0;

	strbuf_puts(b, "<h2>Who hurt whom</h2>");
	HEAD(b, "protected zone", "waited behind", "class", ">for", ">of its waiting");
	for (size_t v = 0; v < r->nr_victims; v++)
		victim_rows(b, r, v, &rows);
	foot(b, "No protected zone waited behind another.", rows);
}

static uint64_t longest_p99(const json_t *p99)
{
	uint64_t most = 0;
	json_t *value;
	size_t i;

	json_array_foreach(json_object_get(p99, "max"), i, value)
	{
		uint64_t v = (uint64_t)json_integer_value(value);

		most = v > most ? v : most;
	}
	return most;
}

static void victim(struct strbuf *b, const struct report *r, size_t v)
{
	const json_t *ledger = r->victims[v].ledger;
	uint64_t ns =
	    report_waited_ns(ledger, json_object_get(json_object_get(ledger, "wait"), "mean"));
	uint64_t p99 = longest_p99(r->victims[v].p99);
	char text[48];

	strbuf_puts(b, "<h2>");
	report_escape(b, r->victims[v].name);
	strbuf_printf(b, "</h2><p>It waited %s for a CPU, all its threads together",
		      format_duration(ns, text, sizeof(text)));
	if (p99)
		strbuf_printf(b, "; its worst second had a wait p99 of %s",
			      format_duration(p99, text, sizeof(text)));
	strbuf_puts(b, ". Below: the waiting as a share of the time, by who ran meanwhile.</p>");
	report_chart(b, r, v);
}

static void findings(struct strbuf *b, const struct report *r)
{
	json_t *row;
	size_t i;

	strbuf_puts(b, "<h2>Findings</h2>");
	HEAD(b, ">#", ">from", ">to", "zone", "cause", "mostly", "why");
	json_array_foreach(r->findings, i, row)
	{
		const json_t *first = json_array_get(json_object_get(row, "culprits"), 0);
		char buf[SHOW_MAX];

		strbuf_puts(b, "<tr>");
		cell(b, "n", show_id(row, "seq", buf));
		when_cell(b, r, row, "from_ms");
		when_cell(b, r, row, "to_ms");
		cell(b, "", get_text(row, "victim"));
		cell(b, "", get_text(row, "cause"));
		cell(b, "", text_or_dash(first, "zone"));
		cell(b, "", get_text(row, "why"));
		strbuf_puts(b, "</tr>");
	}
	foot(b, "Nothing was found.", json_array_size(r->findings));
}

static void actions(struct strbuf *b, const struct report *r)
{
	json_t *row;
	size_t i;

	strbuf_puts(b, "<h2>Actions and what came of them</h2>");
	HEAD(b, ">#", ">when", "zone", "knob", "from &rarr; to", "reason", "effect", "state");
	json_array_foreach(r->actions, i, row)
	{
		char buf[SHOW_MAX], change[160], effect[256];
		const char *outcome = get_text(row, "outcome");

		snprintf(change, sizeof(change), "%.70s \xe2\x86\x92 %.70s",
			 text_or_dash(row, "from"), text_or_dash(row, "to"));
		strbuf_puts(b, "<tr>");
		cell(b, "n", show_id(row, "seq", buf));
		when_cell(b, r, row, "from_ms");
		cell(b, "", get_text(row, "target"));
		cell(b, "", get_text(row, "knob"));
		cell(b, "", change);
		cell(b, "", get_text(row, "reason"));
		action_effect(row, effect, sizeof(effect));
		cell(b, !strcmp(outcome, "helped") ? "good" : "", effect[0] ? effect : outcome);
		cell(b, "", get_text(row, get_text(row, "ended")[0] ? "ended" : "state"));
		strbuf_puts(b, "</tr>");
	}
	foot(b, "Nothing was changed.", json_array_size(r->actions));
}

static void events(struct strbuf *b, const struct report *r)
{
	size_t n = json_array_size(r->events), first = n > EVENT_ROWS ? n - EVENT_ROWS : 0;

	strbuf_puts(b, "<h2>Events</h2>");
	if (first)
		strbuf_printf(b, "<p class=dim>The latest %d of %zu.</p>", EVENT_ROWS, n);
	HEAD(b, ">when", "kind", "what");
	for (size_t i = first; i < n; i++) {
		const json_t *row = json_array_get(r->events, i);

		strbuf_puts(b, "<tr>");
		when_cell(b, r, row, "from_ms");
		cell(b, "", get_text(row, "kind"));
		cell(b, "", get_text(row, "text"));
		strbuf_puts(b, "</tr>");
	}
	foot(b, "None.", n);
}

static void lead(struct strbuf *b, const struct report *r)
{
	size_t nr = json_array_size(r->findings), acts = json_array_size(r->actions), helped = 0, i;
	char found[SHOW_MAX], done[SHOW_MAX], zones[SHOW_MAX];
	json_t *row;

	json_array_foreach(r->actions, i, row) helped +=
	    !strcmp(get_text(row, "outcome"), "helped");
	strbuf_printf(b, "<p class='lead %s'>%s, %s; %s, of which %zu helped.</p>",
		      nr ? "bad" : "good", show_plural(r->nr_victims, "protected zone", zones),
		      show_plural(nr, "finding", found), show_plural(acts, "action", done), helped);
}

void report_page(struct strbuf *b, const struct report *r)
{
	char from[64], to[64];
	time_t times[] = {(time_t)(r->from_ms / 1000), (time_t)(r->to_ms / 1000)};
	struct tm tm;

	strftime(from, sizeof(from), "%Y-%m-%d %H:%M:%S", localtime_r(&times[0], &tm));
	strftime(to, sizeof(to), "%Y-%m-%d %H:%M:%S %Z", localtime_r(&times[1], &tm));
	strbuf_puts(b, "<!DOCTYPE html><html lang=en><head><meta charset=utf-8>"
		       "<meta name=viewport content='width=device-width,initial-scale=1'>"
		       "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
		       "style-src 'unsafe-inline'\"><title>Control Zone: ");
	report_escape(b, r->host);
	strbuf_printf(b, "</title><style>%s</style></head><body><h1>", style);
	report_escape(b, r->host);
	strbuf_printf(b, "</h1><p class=dim>%s to %s</p>", from, to);
	lead(b, r);
	who_hurt_whom(b, r);
	for (size_t v = 0; v < r->nr_victims; v++)
		victim(b, r, v);
	findings(b, r);
	actions(b, r);
	events(b, r);
	strbuf_puts(b, "<p class=dim>Made by czctl report.</p></body></html>\n");
}
