/* SPDX-License-Identifier: MIT */
/* What is listed and selected, and what keys do to that. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include "base/cleanup.h"
#include "cli/show.h"
#include "cli/top.h"

static struct top_zone *zone_of(const struct top *t, size_t row)
{
	return &t->zones.items[t->rows[row].zone];
}

const struct top_zone *top_selected(const struct top *t)
{
	return t->selected < t->nr_rows ? zone_of(t, t->selected) : NULL;
}

static bool is_hurt(const struct top_zone *zone)
{
	return !strcmp(get_text(zone->row, "state"), "hurt");
}

/* Until the user chooses: one that is hurt, else a protected one, each the one that waits most. */
static size_t tell_most(const struct top *t)
{
	size_t best = 0;

	for (size_t i = 1; i < t->nr_rows; i++) {
		const struct top_zone *a = zone_of(t, best), *b = zone_of(t, i);

		if (is_hurt(a) != is_hurt(b) ? is_hurt(b)
		    : a->known[TOP_WAIT_PPM] != b->known[TOP_WAIT_PPM]
			? b->known[TOP_WAIT_PPM]
			: b->figure[TOP_WAIT_PPM] > a->figure[TOP_WAIT_PPM])
			best = i;
	}
	return best;
}

static bool find_selected(const struct top *t, size_t *ret)
{
	for (size_t i = 0; t->selected_path && i < t->nr_rows; i++) {
		if (!strcmp(zone_of(t, i)->path, t->selected_path)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static void scroll(struct top *t, unsigned int room)
{
	if (t->selected < t->offset)
		t->offset = t->selected;
	if (room && t->selected >= t->offset + room)
		t->offset = t->selected - room + 1;
	if (room && t->offset && t->offset + room > t->nr_rows)
		t->offset = t->nr_rows > room ? t->nr_rows - room : 0;
}

static int select_row(struct top *t, size_t row, unsigned int room)
{
	const struct top_zone *zone;

	t->selected = row < t->nr_rows ? row : t->nr_rows ? t->nr_rows - 1 : 0;
	zone = top_selected(t);
	if (zone && (!t->selected_path || strcmp(zone->path, t->selected_path))) {
		char *path = strdup(zone->path);

		if (!path)
			return -ENOMEM;
		free(t->selected_path);
		t->selected_path = path;
	}
	scroll(t, room);
	return 0;
}

int top_arrange(struct top *t, unsigned int room)
{
	struct top_row *rows;
	size_t at = t->selected, nr;
	bool found;

	if (top_rows(&t->zones, &t->order, &rows, &nr) < 0)
		return -ENOMEM;
	free(t->rows);
	t->rows = rows;
	t->nr_rows = nr;
	found = find_selected(t, &at);
	if (nr && !t->chosen && !(found && is_hurt(zone_of(t, at))))
		at = tell_most(t);
	return select_row(t, at, room);
}

static enum top_does move(struct top *t, size_t row, unsigned int room)
{
	t->chosen = true;
	return select_row(t, row, room) < 0 ? TOP_NOTHING : TOP_ASK;
}

static enum top_does fold(struct top *t, bool folded)
{
	if (!t->order.tree || t->selected >= t->nr_rows || !t->rows[t->selected].has_children)
		return TOP_NOTHING;
	t->chosen = true;
	zone_of(t, t->selected)->past->folded = folded;
	return TOP_ARRANGE;
}

static enum top_does up(struct top *t, unsigned int room)
{
	return move(t, t->selected ? t->selected - 1 : 0, room);
}

static enum top_does down(struct top *t, unsigned int room)
{
	return move(t, t->selected + 1, room);
}

static enum top_does page_up(struct top *t, unsigned int room)
{
	return move(t, t->selected > room ? t->selected - room : 0, room);
}

static enum top_does page_down(struct top *t, unsigned int room)
{
	return move(t, t->selected + room, room);
}

static enum top_does home(struct top *t, unsigned int room)
{
	return move(t, 0, room);
}

static enum top_does end(struct top *t, unsigned int room)
{
	return move(t, t->nr_rows, room);
}

static enum top_does turn_over(struct top *t, unsigned int room)
{
	return t->selected < t->nr_rows ? fold(t, !t->rows[t->selected].folded) : TOP_NOTHING;
}

static enum top_does fold_up(struct top *t, unsigned int room)
{
	return fold(t, true);
}

static enum top_does unfold(struct top *t, unsigned int room)
{
	return fold(t, false);
}

#define SORT(name, by)                                                                             \
	static enum top_does name(struct top *t, unsigned int room)                                \
	{                                                                                          \
		t->order.key = by;                                                                 \
		return TOP_ARRANGE;                                                                \
	}
SORT(by_wait, TOP_BY_WAIT)
SORT(by_cpu, TOP_BY_CPU)
SORT(by_name, TOP_BY_NAME)
SORT(by_memory, TOP_BY_MEMORY)
SORT(by_io, TOP_BY_IO)

static enum top_does turn_tree(struct top *t, unsigned int room)
{
	t->order.tree = !t->order.tree;
	return TOP_ARRANGE;
}

static enum top_does turn_all(struct top *t, unsigned int room)
{
	t->order.all = !t->order.all;
	return TOP_ASK;
}

static enum top_does start_typing(struct top *t, unsigned int room)
{
	t->typing = true;
	return TOP_ARRANGE;
}

static enum top_does start_anew(struct top *t, unsigned int room)
{
	t->order.filter[0] = 0;
	t->chosen = false;
	return TOP_ASK;
}

static enum top_does show_help(struct top *t, unsigned int room)
{
	t->help = true;
	return TOP_ARRANGE;
}

static enum top_does redraw(struct top *t, unsigned int room)
{
	return TOP_REDRAW;
}

static enum top_does quit(struct top *t, unsigned int room)
{
	return TOP_QUIT;
}

static const struct {
	uint32_t key;
	enum top_does (*press)(struct top *t, unsigned int room);
} bindings[] = {
    {TOP_KEY_UP, up},
    {'k', up},
    {TOP_KEY_DOWN, down},
    {'j', down},
    {TOP_KEY_PAGE_UP, page_up},
    {TOP_KEY_PAGE_DOWN, page_down},
    {TOP_KEY_HOME, home},
    {TOP_KEY_END, end},
    {TOP_KEY_ENTER, turn_over},
    {' ', turn_over},
    {TOP_KEY_LEFT, fold_up},
    {TOP_KEY_RIGHT, unfold},
    {'w', by_wait},
    {'c', by_cpu},
    {'n', by_name},
    {'m', by_memory},
    {'i', by_io},
    {'t', turn_tree},
    {'a', turn_all},
    {'/', start_typing},
    {TOP_KEY_ESCAPE, start_anew},
    {'?', show_help},
    {'h', show_help},
    {'L' - '@', redraw},
    {'q', quit},
};

static void cut_last_character(char *s)
{
	size_t n = strlen(s);

	while (n && ((unsigned char)s[--n] & 0xc0) == 0x80)
		;
	s[n] = 0;
}

static void add_character(char *s, size_t size, uint32_t key)
{
	char text[MB_LEN_MAX + 1] = "";
	mbstate_t state = {0};
	size_t n = wcrtomb(text, (wchar_t)key, &state);

	if (n != (size_t)-1 && key >= ' ' && key != 0x7f && strlen(s) + n < size)
		strncat(s, text, n);
}

static enum top_does type(struct top *t, uint32_t key)
{
	char *filter = t->order.filter;

	if (key == TOP_KEY_ESCAPE)
		filter[0] = 0;
	if (key == TOP_KEY_ESCAPE || key == TOP_KEY_ENTER)
		t->typing = false;
	else if (key == TOP_KEY_BACKSPACE)
		cut_last_character(filter);
	else if (key < TOP_KEY_UP)
		add_character(filter, sizeof(t->order.filter), key);
	return TOP_ARRANGE;
}

enum top_does top_key_press(struct top *t, uint32_t key, unsigned int room)
{
	if (t->typing)
		return type(t, key);
	if (t->help) {
		t->help = false;
		return key == 'q' ? TOP_QUIT : TOP_ARRANGE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
		if (bindings[i].key == key)
			return bindings[i].press(t, room);
	return TOP_NOTHING;
}

void top_done(struct top *t)
{
	top_zones_done(&t->zones);
	json_decref(t->findings);
	json_decref(t->actions);
	json_decref(t->why);
	free(t->why_path);
	free(t->why_refused);
	free(t->rows);
	free(t->selected_path);
	*t = (struct top){0};
}
