/* SPDX-License-Identifier: MIT */
/* The selected zone: whom it waited for, and its last minutes. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/show.h"
#include "cli/top-text.h"
#include "cli/top.h"

#define PART_NAME   26
#define PART_SHARE  8
#define PART_BAR_AT (PART_NAME + PART_SHARE + 2)
#define PART_WORDS  22 /* at the end of the line: class, command */
#define TREND_AT    7
#define TREND_WORDS 34

static void paint_rule(struct canvas *c, unsigned int row, const struct top_zone *zone)
{
	const char *class = get_text(zone->row, "class"), *slo = get_text(zone->row, "slo");
	unsigned int column = 0;

	while (column < c->columns)
		column = canvas_put(c, row, column, 1, STYLE_PLAIN, c->utf8 ? "─" : "-");
	column = canvas_put(c, row, 2, 1, STYLE_PLAIN, " ");
	column = canvas_put(c, row, column, c->columns / 2, STYLE_TITLE, zone->name);
	canvas_printf(c, row, column, STYLE_PLAIN, ", %s%s%s ", class_words(class),
		      slo[0] ? ", goal " : "", slo);
}

static void paint_part(struct canvas *c, unsigned int row, const json_t *part)
{
	const char *zone = get_text(part, "zone"), *cause = get_text(part, "cause");
	const char *name = zone[0] ? zone : cause_words(cause), *class = get_text(part, "class");
	unsigned int bar_width = c->columns - PART_BAR_AT - PART_WORDS - 1;
	bool neighbour = !strcmp(cause, "neighbour");
	char picture[TOP_PICTURE_SIZE], share[SHOW_MAX], pid[SHOW_MAX];
	_cleanup_free_ char *shown = out_shorten(name, PART_NAME);

	canvas_put(c, row, 1, PART_NAME, STYLE_PLAIN, shown ? shown : name);
	canvas_right(c, row, PART_NAME + 1, PART_SHARE - 1, STYLE_PLAIN,
		     show_ppm(part, "share_ppm", share));
	canvas_put(c, row, PART_BAR_AT, bar_width, neighbour ? STYLE_WARN : STYLE_PLAIN,
		   top_bar(get_count(part, "share_ppm"), bar_width, c->utf8, picture));
	if (zone[0])
		canvas_printf(c, row, PART_BAR_AT + bar_width + 1, STYLE_PLAIN, "%s %s %s", class,
			      get_text(part, "comm"),
			      get_count(part, "pid") ? show_id(part, "pid", pid) : "");
}

static void paint_parts(const struct top *t, struct canvas *c, unsigned int row, unsigned int nr)
{
	const json_t *ledger = json_object_get(t->why, "ledger"), *part;
	size_t i, shown = 0, all = json_array_size(json_object_get(ledger, "parts"));

	json_array_foreach(json_object_get(ledger, "parts"), i, part)
	{
		if (shown == nr || !get_count(part, "share_ppm"))
			break;
		if (shown + 1 == nr && all > nr) {
			canvas_printf(c, row + nr - 1, 1, STYLE_PLAIN, "and %zu more", all - shown);
			break;
		}
		paint_part(c, row + (unsigned int)shown++, part);
	}
}

static const struct trend {
	const char *title, *key;
	uint32_t least; /* at full height; so that hardly anything does not look like much */
	char *(*show)(const json_t *o, const char *key, char *buf);
} trends[] = {
    {"waits", "wait_ppm", 10000, show_ppm},
    {"CPUs", "cpu_ppm", 100000, show_cpus},
};

static void paint_trend(const struct top *t, struct canvas *c, unsigned int row,
			const struct trend *trend, const uint32_t *samples, uint64_t count)
{
	unsigned int width = c->columns - TREND_AT - TREND_WORDS;
	uint64_t known = count < TREND_SAMPLES ? count : TREND_SAMPLES;
	char picture[TOP_PICTURE_SIZE], now[SHOW_MAX], most[SHOW_MAX], span[SHOW_MAX];
	_cleanup_json_ json_t *largest = NULL;
	uint32_t max;

	width = width > TOP_PICTURE_MAX ? TOP_PICTURE_MAX : width;
	top_spark(samples, count, width, trend->least, c->utf8, picture, &max);
	canvas_put(c, row, 0, TREND_AT - 1, STYLE_PLAIN, trend->title);
	if (max == TREND_UNKNOWN) {
		canvas_put(c, row, TREND_AT, CANVAS_MAX, STYLE_PLAIN, "-");
		return;
	}
	largest = json_pack("{s:I}", trend->key, (json_int_t)max);
	canvas_put(c, row, TREND_AT, width, STYLE_PLAIN, picture);
	canvas_printf(
	    c, row, TREND_AT + width + 1, STYLE_PLAIN, "%s, most %s in %s",
	    trend->show(top_selected(t)->row, trend->key, now),
	    trend->show(largest, trend->key, most),
	    format_duration(known * get_count(t->zones.data, "window_ns"), span, sizeof(span)));
}

void top_paint_pane(const struct top *t, struct canvas *c, const struct top_layout *l)
{
	const struct top_zone *zone = top_selected(t);
	unsigned int row = l->pane;
	bool mine;

	if (!zone)
		return;
	paint_rule(c, row++, zone);
	mine = t->why_path && !strcmp(t->why_path, zone->path);
	if (mine && t->why) {
		canvas_wrap(c, row, 2, STYLE_PLAIN, get_text(t->why, "headline"));
		paint_parts(t, c, row + 2, l->nr_parts);
	} else if (mine && t->why_refused) {
		canvas_wrap(c, row, 2, STYLE_PLAIN, t->why_refused);
	}
	row += 2 + l->nr_parts;
	paint_trend(t, c, row++, &trends[0], zone->past->wait_ppm, zone->past->count);
	paint_trend(t, c, row, &trends[1], zone->past->cpu_ppm, zone->past->count);
}
