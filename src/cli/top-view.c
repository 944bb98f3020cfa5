/* SPDX-License-Identifier: MIT */
/* How czctl top looks: the host, the zones, findings and actions, the keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/top.h"

#define HEADER_ROWS 3 /* two of the host, and the titles */
#define PANE_ROWS   5 /* besides the parts: name, two of words, two of trends */
#define PARTS_MAX   8
#define PARTS_MIN   4
#define NAME_MIN    14

static const struct field {
	const char *title;
	unsigned int width;
	bool right;
	enum top_key key; /* that sorts by it */
	char *(*show)(const json_t *o, const char *key, char *buf);
	const char *from;
} fields[] = {
    {"class", 6, false, TOP_BY_NAME, NULL, "class"},
    {"CPUs", 6, true, TOP_BY_CPU, show_cpus, "cpu_ppm"},
    {"waits", 8, true, TOP_BY_WAIT, show_ppm, "wait_ppm"},
    {"wait p99", 8, true, TOP_BY_NAME, show_wait, "wait_p99_ns"},
    {"memory", 9, true, TOP_BY_MEMORY, show_bytes, "memory_bytes"},
    {"io/s", 8, true, TOP_BY_IO, show_bytes, "io_bytes_per_second"},
    {"state", 10, false, TOP_BY_NAME, NULL, "state"},
};

struct top_layout top_layout_of(unsigned int rows)
{
	struct top_layout l = {.zones = HEADER_ROWS, .keys = rows - 1};
	unsigned int left;

	l.nr_notes = rows < 32 ? 2 : 4;
	left = rows - HEADER_ROWS - PANE_ROWS - l.nr_notes - 1;
	l.nr_parts = left / 3;
	l.nr_parts = l.nr_parts < PARTS_MIN ? PARTS_MIN : l.nr_parts;
	l.nr_parts = l.nr_parts > PARTS_MAX ? PARTS_MAX : l.nr_parts;
	l.nr_zones = left - l.nr_parts;
	l.pane = l.zones + l.nr_zones;
	l.notes = l.pane + PANE_ROWS + l.nr_parts;
	return l;
}

static void paint_host(const struct top *t, struct canvas *c)
{
	const json_t *host = json_object_get(t->zones.data, "host");
	char busy[SHOW_MAX], cpus[SHOW_MAX], steal[SHOW_MAX], cpu[SHOW_MAX], memory[SHOW_MAX];
	char io[SHOW_MAX], available[SHOW_MAX];

	canvas_printf(c, 0, 0, STYLE_PLAIN,
		      "CPU %s of %s  steal %s  PSI cpu %s mem %s io %s  avail %s",
		      show_cpus(host, "busy_ppm", busy), show_id(host, "cpus", cpus),
		      show_ppm(host, "steal_ppm", steal), show_ppm(host, "psi_cpu_ppm", cpu),
		      show_ppm(host, "psi_memory_ppm", memory), show_ppm(host, "psi_io_ppm", io),
		      show_bytes(host, "memory_available_bytes", available));
}

static void paint_away(const struct top *t, struct canvas *c, uint64_t now_ns)
{
	char since[SHOW_MAX];
	uint64_t s = now_ns > t->away_since_ns ? (now_ns - t->away_since_ns) / 1000000000 : 0;

	canvas_printf(c, 0, 0, STYLE_BAD, "czd does not answer for %s; trying again",
		      format_duration(s * 1000000000, since, sizeof(since)));
	canvas_put(c, 1, 0, CANVAS_MAX, STYLE_BAD, t->away);
}

/* What is wrong, what czd may do about it, and at the right what czd itself takes. */
static void paint_state(const struct top *t, struct canvas *c)
{
	const json_t *self = json_object_get(t->zones.data, "self");
	size_t open = json_array_size(json_object_get(t->findings, "findings"));
	_cleanup_free_ char *mode = mode_words(t->zones.data);
	char cpu[SHOW_MAX], ledger[SHOW_MAX], rss[SHOW_MAX], right[160];
	unsigned int column, width;

	snprintf(right, sizeof(right), "czd %s CPU, ledger %s, %s", show_ppm(self, "cpu_ppm", cpu),
		 show_ppm(self, "ledger_cost_ppm", ledger), show_bytes(self, "rss_bytes", rss));
	width = (unsigned int)strlen(right);
	column = canvas_printf(c, 1, 0, open ? STYLE_BAD : STYLE_GOOD, "%zu open finding%s", open,
			       open == 1 ? "" : "s");
	if (c->columns > width + 2 + column)
		canvas_put(c, 1, column + 2, c->columns - width - 4 - column, STYLE_PLAIN,
			   mode ? mode : "-");
	canvas_right(c, 1, c->columns - width, width, STYLE_PLAIN, right);
}

static unsigned int name_width(const struct canvas *c)
{
	unsigned int used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		used += fields[i].width + 1;
	return c->columns > used + NAME_MIN ? c->columns - used : NAME_MIN;
}

static void paint_title(struct canvas *c, unsigned int column, unsigned int width, bool right,
			const char *title, bool sorted)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%s", title, !sorted ? "" : c->utf8 ? "▼" : "*");
	if (right)
		canvas_right(c, 2, column, width, STYLE_TITLE, text);
	else
		canvas_put(c, 2, column, width, STYLE_TITLE, text);
}

static void paint_titles(const struct top *t, struct canvas *c)
{
	unsigned int column = name_width(c) + 1;

	paint_title(c, 0, column - 1, false, "zone", t->order.key == TOP_BY_NAME);
	for (size_t i = 0; i < ARRAY_SIZE(fields); column += fields[i++].width + 1)
		paint_title(c, column, fields[i].width, fields[i].right, fields[i].title,
			    fields[i].key == t->order.key && t->order.key != TOP_BY_NAME);
	canvas_look(c, 2, LOOK_REVERSE);
}

/* In a tree, a zone is called by what its parent's path does not say. */
static const char *label(const struct top *t, const struct top_row *row)
{
	const struct top_zone *zone = &t->zones.items[row->zone], *parent;
	size_t n;

	parent = t->order.tree && row->depth ? top_zones_parent(&t->zones, zone) : NULL;
	n = parent ? strlen(parent->path) : 0;
	if (!parent || strncmp(zone->path, parent->path, n))
		return zone->name;
	return zone->path + n + (n > 1 && zone->path[n] == '/');
}

static const char *marker(const struct top_row *row, bool utf8)
{
	if (!row->has_children)
		return " ";
	if (row->folded)
		return utf8 ? "▸" : "+";
	return utf8 ? "▾" : "-";
}

static void paint_name(const struct top *t, struct canvas *c, unsigned int line,
		       const struct top_row *row)
{
	unsigned int width = name_width(c), column = 0, most = width / 2;
	_cleanup_free_ char *safe = NULL, *text = NULL;
	const char *name = label(t, row);
	size_t size = 4 * strlen(name) + 1;

	if (t->order.tree) {
		column = 2 * row->depth < most ? 2 * row->depth : most;
		column = canvas_put(c, line, column, 1, STYLE_PLAIN, marker(row, c->utf8)) + 1;
	}
	safe = malloc(size);
	text = safe ? out_shorten(str_escape(safe, size, name), width - column) : NULL;
	canvas_put(c, line, column, width - column, STYLE_PLAIN, text ? text : "?");
}

static void paint_zone(const struct top *t, struct canvas *c, unsigned int line,
		       const struct top_row *row)
{
	const json_t *zone = t->zones.items[row->zone].row;
	unsigned int column = name_width(c) + 1;
	char buf[SHOW_MAX];

	paint_name(t, c, line, row);
	for (size_t i = 0; i < ARRAY_SIZE(fields); column += fields[i++].width + 1) {
		const struct field *f = &fields[i];
		const char *text =
		    f->show ? f->show(zone, f->from, buf) : text_or_dash(zone, f->from);
		enum style style = strcmp(f->from, "state") ? STYLE_PLAIN : zone_state_style(text);

		if (f->right)
			canvas_right(c, line, column, f->width, style, text);
		else
			canvas_put(c, line, column, f->width, style, text);
	}
}

static void paint_zones(const struct top *t, struct canvas *c, const struct top_layout *l)
{
	for (size_t i = t->offset; i < t->nr_rows && i < t->offset + l->nr_zones; i++) {
		unsigned int line = l->zones + (unsigned int)(i - t->offset);

		paint_zone(t, c, line, &t->rows[i]);
		if (i == t->selected)
			canvas_look(c, line, LOOK_REVERSE);
	}
	if (!t->nr_rows && t->zones.data)
		canvas_printf(c, l->zones, 0, STYLE_PLAIN, "%s",
			      t->order.filter[0] ? "nothing matches the filter; Esc clears it"
						 : "no zone has a class or was busy; a shows all");
}

static void paint_finding(struct canvas *c, unsigned int row, const json_t *f, size_t more)
{
	const json_t *culprit = json_array_get(json_object_get(f, "culprits"), 0);
	char seq[SHOW_MAX], share[SHOW_MAX], by[256] = "", others[32] = "";

	if (culprit)
		snprintf(by, sizeof(by), " by %s (%s)", text_or_dash(culprit, "zone"),
			 show_ppm(culprit, "share_ppm", share));
	if (more)
		snprintf(others, sizeof(others), " (+%zu more)", more);
	canvas_printf(c, row, 0, STYLE_BAD, "finding %s: %s hurt%s: %s%s", show_id(f, "seq", seq),
		      text_or_dash(f, "victim"), by, get_text(f, "why"), others);
}

static void paint_action(struct canvas *c, unsigned int row, const json_t *a, size_t more)
{
	bool proposed = !strcmp(get_text(a, "state"), "proposed");
	char what[512], effect[256], words[128], seq[SHOW_MAX], others[32] = "";

	knob_phrase(a, !proposed, what, sizeof(what));
	action_effect(a, effect, sizeof(effect));
	if (more)
		snprintf(others, sizeof(others), " (+%zu more)", more);
	canvas_printf(c, row, 0, STYLE_PLAIN, "action %s: %s%s; %s%s%s%s", show_id(a, "seq", seq),
		      proposed ? "would " : "", what, action_state_words(a, words, sizeof(words)),
		      effect[0] ? "; " : "", effect, others);
}

/* Findings above actions; half of the lines each. */
static void paint_notes(const struct top *t, struct canvas *c, const struct top_layout *l)
{
	const json_t *findings = json_object_get(t->findings, "findings");
	const json_t *actions = json_object_get(t->actions, "actions");
	size_t half = l->nr_notes / 2, nr = json_array_size(findings), i;

	for (i = 0; i < nr && i < half; i++)
		paint_finding(c, l->notes + (unsigned int)i, json_array_get(findings, i),
			      i + 1 == half ? nr - half : 0);
	if (!nr && t->findings)
		canvas_put(c, l->notes, 0, CANVAS_MAX, STYLE_GOOD, "no open findings");
	nr = json_array_size(actions);
	for (i = 0; i < nr && i < half; i++) /* the newest first: it is last in the list */
		paint_action(c, l->notes + (unsigned int)(half + i),
			     json_array_get(actions, nr - 1 - i), i + 1 == half ? nr - half : 0);
	if (!nr && t->actions)
		canvas_put(c, l->notes + (unsigned int)half, 0, CANVAS_MAX, STYLE_PLAIN,
			   "no actions proposed or in force");
}

static void paint_keys(const struct top *t, struct canvas *c, const struct top_layout *l)
{
	if (t->typing)
		canvas_printf(c, l->keys, 0, STYLE_TITLE,
			      "filter: %s_   Enter keeps it, Esc clears it", t->order.filter);
	else if (t->order.filter[0])
		canvas_printf(c, l->keys, 0, STYLE_PLAIN,
			      "filter '%s' (Esc clears it)  ? help  q quit", t->order.filter);
	else
		canvas_put(
		    c, l->keys, 0, CANVAS_MAX, STYLE_PLAIN,
		    "? help  q quit  / filter  t tree  a all  sort: waits CPUs name memory io");
	canvas_look(c, l->keys, LOOK_REVERSE);
}

static void paint_help(struct canvas *c)
{
	static const char *const lines[] = {
	    "czctl top: who waits for a CPU, and for whom",
	    "",
	    "up, down, PgUp, PgDn, Home, End, j, k  select a zone: its ledger is shown below",
	    "w, c, n, m, i   sort by waits, CPUs, name, memory, io",
	    "t               tree or list",
	    "Enter, Space    in a tree: fold or unfold (also left, right)",
	    "a               all zones, or those that have a class, are part of harm, or",
	    "                were busy in the last minute",
	    "/               filter: part of a name or path, or a class, or a state",
	    "Esc             no filter, and select the zone that is hurt most",
	    "Ctrl-L          draw the screen anew",
	    "q               quit (also Ctrl-C)",
	    "",
	    "CPUs            CPU time of the zone and what is below it, in CPUs",
	    "waits           time it was ready to run and waited, of wall time, summed over",
	    "                its threads; measured of zones that are protected",
	    "wait p99        99 % of its waits were no longer",
	    "io/s            read from and written to disks, in a second",
	    "state           hurt: it waits for others; hurting: others wait for it;",
	    "                restrained: czd holds it back",
	    "-               not known",
	    "",
	    "any key goes back",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++)
		canvas_put(c, i, 0, CANVAS_MAX, i ? STYLE_PLAIN : STYLE_TITLE, lines[i]);
}

static void paint_small(struct canvas *c)
{
	canvas_printf(c, 0, 0, STYLE_BAD, "%ux%u is too small.", c->columns, c->rows);
	canvas_printf(c, 1, 0, STYLE_PLAIN, "czctl top needs %dx%d.", TOP_COLUMNS_MIN,
		      TOP_ROWS_MIN);
	canvas_put(c, 2, 0, CANVAS_MAX, STYLE_PLAIN, "q quits; then: czctl top --once");
}

void top_paint(const struct top *t, struct canvas *c, uint64_t now_ns)
{
	struct top_layout l;

	if (c->rows < TOP_ROWS_MIN || c->columns < TOP_COLUMNS_MIN) {
		paint_small(c);
		return;
	}
	if (t->help) {
		paint_help(c);
		return;
	}
	l = top_layout_of(c->rows);
	paint_titles(t, c);
	if (t->zones.data) {
		paint_zones(t, c, &l);
		top_paint_pane(t, c, &l);
		paint_notes(t, c, &l);
	}
	if (t->away[0]) {
		for (unsigned int row = 0; row < l.keys; row++)
			canvas_look(c, row, LOOK_DIM);
		paint_away(t, c, now_ns);
	} else if (t->zones.data) {
		paint_host(t, c);
		paint_state(t, c);
	} else {
		canvas_put(c, 1, 0, CANVAS_MAX, STYLE_PLAIN, "asking czd ...");
	}
	paint_keys(t, c, &l);
}
