/* SPDX-License-Identifier: MIT */
/* czctl top without a terminal and without czd: what is drawn, in which order, and what keys do. */
#include <jansson.h>
#include <locale.h>
#include "base/cleanup.h"
#include "cli/top-text.h"
#include "cli/top.h"
#include "test.h"

#define TICK_NS 1000000000ull

static char line_buf[CANVAS_MAX * 4];

static const char *line(const struct canvas *c, unsigned int row)
{
	return canvas_line(c, row, line_buf, sizeof(line_buf));
}

static struct canvas canvas_of(unsigned int rows, unsigned int columns, bool utf8)
{
	struct canvas c = {.utf8 = utf8};

	assert_int_equal(canvas_reset(&c, rows, columns), 0);
	return c;
}

static void test_text_stays_in_its_place(void **state)
{
	struct canvas c = canvas_of(2, 10, true);

	assert_int_equal(canvas_put(&c, 0, 8, 99, STYLE_PLAIN, "abcdef"), 10);
	assert_string_equal(line(&c, 0), "        ab");
	assert_int_equal(canvas_put(&c, 0, 0, 3, STYLE_BAD, "abcdef"), 3);
	assert_string_equal(line(&c, 0), "abc     ab");
	assert_int_equal(canvas_at(&c, 0, 2)->style, STYLE_BAD);
	assert_int_equal(canvas_put(&c, 2, 0, 3, STYLE_PLAIN, "below"), 0);
	/* half of a wide one does not fit */
	assert_int_equal(canvas_put(&c, 1, 0, 5, STYLE_PLAIN, "界界界"), 4);
	assert_string_equal(line(&c, 1), "界界");
	assert_string_equal(canvas_at(&c, 1, 1)->text, "");
	canvas_done(&c);
}

static void test_hostile_text_is_harmless(void **state)
{
	struct canvas c = canvas_of(1, 20, true);

	canvas_put(&c, 0, 0, 99, STYLE_PLAIN, "a\x1b[2J\n\r\x7f\xff\xc2\x9b\xe2\x80\xae.");
	assert_string_equal(line(&c, 0), "a?[2J??????.");
	/* any number of combining marks takes one cell, and no more bytes than it has */
	assert_int_equal(canvas_reset(&c, 1, 20), 0);
	for (int i = 0; i < 100; i++)
		canvas_put(&c, 0, 0, 99, STYLE_PLAIN,
			   "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81x");
	assert_int_equal(strlen(canvas_at(&c, 0, 0)->text), 15);
	assert_string_equal(canvas_at(&c, 0, 1)->text, "x");
	/* a mark with nothing before it has no place */
	assert_int_equal(canvas_put(&c, 0, 5, 99, STYLE_PLAIN, "\xcc\x81"), 5);
	canvas_done(&c);

	c = canvas_of(1, 20, false);
	canvas_put(&c, 0, 0, 99, STYLE_PLAIN, "na\xc3\xafve 界.");
	assert_string_equal(line(&c, 0), "na?ve ?.");
	canvas_done(&c);
}

static void test_words_wrap(void **state)
{
	struct canvas c = canvas_of(3, 12, true);

	assert_int_equal(canvas_wrap(&c, 0, 2, STYLE_PLAIN, "one two three four five six"), 2);
	assert_string_equal(line(&c, 0), "one two");
	assert_string_equal(line(&c, 1), "three fou...");
	assert_string_equal(line(&c, 2), "");
	assert_int_equal(canvas_wrap(&c, 0, 2, STYLE_PLAIN, "averyverylongword"), 2);
	assert_string_equal(line(&c, 0), "averyverylon");
	canvas_right(&c, 2, 2, 6, STYLE_PLAIN, "界1");
	assert_string_equal(line(&c, 2), "     界1");
	canvas_done(&c);
}

static void test_bars(void **state)
{
	char buf[TOP_PICTURE_SIZE];

	assert_string_equal(top_bar(0, 10, true, buf), "");
	assert_string_equal(top_bar(500000, 4, true, buf), "██");
	assert_string_equal(top_bar(531250, 4, true, buf), "██▏");
	assert_string_equal(top_bar(UINT64_MAX, 3, true, buf), "███");
	assert_string_equal(top_bar(660000, 4, false, buf), "###");
	assert_int_equal(strlen(top_bar(1000000, 100000, true, buf)), TOP_PICTURE_SIZE - 1);
}

static void test_sparklines(void **state)
{
	uint32_t samples[TREND_SAMPLES], max;
	char buf[TOP_PICTURE_SIZE], before[TOP_PICTURE_SIZE];

	for (uint32_t i = 0; i < TREND_SAMPLES; i++)
		samples[i] = TREND_UNKNOWN;
	assert_string_equal(top_spark(samples, 0, 4, 10, true, buf, &max), "    ");
	assert_int_equal(max, TREND_UNKNOWN);
	samples[0] = 0;
	samples[1] = 500;
	samples[2] = 1000;
	assert_string_equal(top_spark(samples, 3, TREND_SAMPLES, 0, true, buf, &max) +
				TOP_PICTURE_MAX - 2,
			    "▄█"); /* 128 columns at most: two samples each */
	assert_int_equal(max, 1000);
	assert_string_equal(top_spark(samples, 3, 2, 0, false, buf, &max), " @");
	/* small against what full height stands for */
	assert_string_equal(top_spark(samples, 3, 2, 8000, true, buf, &max), " ▁");
	assert_string_equal(top_spark(samples, 3, 2, 4000, true, buf, &max), " ▂");
	/* within a group of three nothing moves; with the next all of it by one column */
	for (uint32_t i = 0; i < TREND_SAMPLES; i++)
		samples[i] = i * 1000;
	strcpy(before, top_spark(samples, 91, 60, 180000, false, buf, &max));
	assert_int_equal(max, 90000);
	assert_int_equal(strlen(before), 60);
	assert_memory_equal(top_spark(samples, 92, 60, 180000, false, buf, &max), before, 59);
	assert_memory_equal(top_spark(samples, 94, 60, 180000, false, buf, &max), before + 1, 58);
	/* old ones are overwritten by new ones */
	samples[0] = 999999;
	top_spark(samples, TREND_SAMPLES + 1, 60, 0, false, buf, &max);
	assert_int_equal(max, 999999);
	assert_int_equal(buf[59], '@');
}

static void test_locales(void **state)
{
	assert_true(top_is_utf8(NULL, "", "de_DE.UTF-8"));
	assert_true(top_is_utf8("C.utf8", "C", "C"));
	assert_false(top_is_utf8("C", "C.UTF-8", "C.UTF-8"));
	assert_false(top_is_utf8(NULL, NULL, NULL));
}

static json_t *zone(const char *path, const char *class, json_int_t cpu, json_int_t wait,
		    json_int_t memory, const char *state)
{
	static json_int_t id = 10;

	return json_pack("{s:I, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:I, s:s}", "id", id++, "name",
			 path[0] && path[1] ? path + 1 : path, "path", path, "class", class,
			 "class_own", strcmp(class, "normal") != 0, "slo", "", "cpu_ppm",
			 cpu < 0 ? json_null() : json_integer(cpu), "wait_ppm",
			 wait < 0 ? json_null() : json_integer(wait), "memory_bytes", memory,
			 "state", state);
}

static json_t *answer(uint64_t tick, json_t *zones)
{
	return json_pack("{s:I, s:I, s:o, s:s, s:{s:i, s:i}, s:{s:i}}", "now_ns",
			 (json_int_t)(tick * TICK_NS), "window_ns", (json_int_t)TICK_NS, "zones",
			 zones, "mode", "observe", "host", "cpus", 2, "busy_ppm", 1020000, "self",
			 "cpu_ppm", 3000);
}

static json_t *some_zones(void)
{
	json_t *zones = json_array();

	json_array_append_new(zones, zone("/", "normal", 1900000, -1, 100, "-"));
	json_array_append_new(zones, zone("/batch", "normal", 900000, -1, 7, "-"));
	json_array_append_new(zones, zone("/batch/hog", "be", 800000, -1, 5, "hurting"));
	json_array_append_new(zones, zone("/redis", "lc", 240000, 235000, 50, "hurt"));
	json_array_append_new(zones, zone("/web", "lc", 500000, 0, 20, "fine"));
	json_array_append_new(zones, zone("/idle", "normal", 0, -1, 1, "-"));
	return zones;
}

static struct top top_of(json_t *zones)
{
	struct top t = {0};

	assert_int_equal(top_zones_take(&t.zones, answer(1, zones)), 0);
	assert_int_equal(top_arrange(&t, 9), 0);
	return t;
}

/* "redis web ...", in a tree with the depth before each. */
static const char *listed(const struct top *t)
{
	static char text[1024];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < t->nr_rows && n < sizeof(text); i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s%.*s%s%s", i ? " " : "", (int)t->rows[i].depth,
		    ">>>>>>>>", t->zones.items[t->rows[i].zone].name, t->rows[i].folded ? "+" : "");
	return text;
}

static void press(struct top *t, const char *keys)
{
	for (; *keys; keys++)
		top_key_press(t, *keys == '\r' ? TOP_KEY_ENTER : (uint32_t)*keys, 9);
	assert_int_equal(top_arrange(t, 9), 0);
}

static void test_order(void **state)
{
	struct top t = top_of(some_zones());

	assert_string_equal(listed(&t), "redis web / batch batch/hog"); /* idle does not matter */
	press(&t, "c");
	assert_string_equal(listed(&t), "/ batch batch/hog web redis");
	press(&t, "n");
	assert_string_equal(listed(&t), "/ batch batch/hog redis web");
	press(&t, "m");
	assert_string_equal(listed(&t), "/ redis web batch batch/hog");
	press(&t, "i"); /* nobody's is known: by CPU */
	assert_string_equal(listed(&t), "/ batch batch/hog web redis");
	press(&t, "am");
	assert_string_equal(listed(&t), "/ redis web batch batch/hog idle");
	top_done(&t);
}

static void test_tree(void **state)
{
	struct top t = top_of(some_zones());

	press(&t, "t");
	assert_string_equal(listed(&t), "/ >redis >web >batch >>batch/hog");
	press(&t, "/hog\r");
	assert_string_equal(listed(&t), "/ >batch >>batch/hog"); /* what is above it, too */
	top_key_press(&t, TOP_KEY_ESCAPE, 9);
	assert_int_equal(top_arrange(&t, 9), 0);
	t.chosen = true;
	free(t.selected_path);
	t.selected_path = strdup("/batch");
	assert_int_equal(top_arrange(&t, 9), 0);
	press(&t, " ");
	assert_string_equal(listed(&t), "/ >redis >web >batch+");
	/* it stays folded with the next answer, and the figures below still count */
	assert_int_equal(top_zones_take(&t.zones, answer(2, some_zones())), 0);
	press(&t, "c");
	assert_string_equal(listed(&t), "/ >batch+ >web >redis");
	assert_string_equal(top_selected(&t)->path, "/batch");
	top_key_press(&t, TOP_KEY_RIGHT, 9);
	assert_int_equal(top_arrange(&t, 9), 0);
	assert_string_equal(listed(&t), "/ >batch >>batch/hog >web >redis");
	top_done(&t);
}

/* Without their parent in the list, and apps of a guest, whose path is no cgroup's. */
static void test_tree_with_holes(void **state)
{
	json_t *zones = json_array(), *app = zone("/cz-vm (guest)/db", "lc", -1, 5, 1, "-");
	struct top t;

	json_object_set_new(app, "id", json_null());
	json_array_append_new(zones, app);
	json_array_append_new(zones, zone("/cz-vm", "lc", 5, 9, 1, "-"));
	json_array_append_new(zones, zone("/a/b/c", "be", 1, -1, 1, "-"));
	json_array_append_new(zones, zone("/a", "be", 2, -1, 1, "-"));
	json_array_append_new(zones, zone("/a", "be", 2, -1, 1, "-")); /* twice */
	json_array_append_new(zones, zone("", "be", 2, -1, 1, "-"));   /* nameless */
	json_array_append_new(zones, json_string("not a zone at all"));
	t = top_of(zones);
	press(&t, "t");
	assert_string_equal(listed(&t), "cz-vm >cz-vm (guest)/db a >a/b/c");
	assert_string_equal(top_zone_handle(&t.zones.items[t.rows[1].zone]), "cz-vm (guest)/db");
	assert_string_equal(top_zone_handle(&t.zones.items[t.rows[0].zone]), "/cz-vm");
	top_done(&t);
}

static void test_past(void **state)
{
	struct top t = top_of(some_zones());
	const struct top_past *p = top_zones_find(&t.zones, "/redis")->past;
	json_t *without = some_zones();

	assert_int_equal(p->count, 1);
	assert_int_equal(top_zones_take(&t.zones, answer(1, some_zones())), 0); /* the same tick */
	assert_int_equal(p->count, 1);
	for (uint64_t tick = 2; tick <= 400; tick++)
		assert_int_equal(top_zones_take(&t.zones, answer(tick, some_zones())), 0);
	assert_ptr_equal(top_zones_find(&t.zones, "/redis")->past, p);
	assert_int_equal(p->count, 400);
	assert_int_equal(p->wait_ppm[399 % TREND_SAMPLES], 235000);
	assert_int_equal(top_zones_find(&t.zones, "/batch")->past->wait_ppm[0], TREND_UNKNOWN);
	json_array_remove(without, 3);
	assert_int_equal(top_zones_take(&t.zones, answer(401, without)), 0);
	assert_null(top_zones_find(&t.zones, "/redis"));
	assert_int_equal(top_zones_take(&t.zones, answer(402, some_zones())), 0);
	assert_int_equal(top_zones_find(&t.zones, "/redis")->past->count, 1);
	/* nonsense changes nothing */
	assert_int_equal(top_zones_take(&t.zones, json_pack("{s:i}", "zones", 7)), -EPROTO);
	assert_int_equal(t.zones.nr, 6);
	top_done(&t);
}

/* Who was busy a moment ago does not blink. */
static void test_rests_are_listed_for_a_while(void **state)
{
	struct top t = {0};

	for (uint64_t tick = 1; tick <= 70; tick++) {
		json_t *zones = json_array();

		json_array_append_new(zones,
				      zone("/now-and-then", "normal", tick == 1, -1, 1, "-"));
		assert_int_equal(top_zones_take(&t.zones, answer(tick, zones)), 0);
		assert_int_equal(top_arrange(&t, 9), 0);
		assert_int_equal(t.nr_rows, tick <= 60);
	}
	top_done(&t);
}

static void test_selection(void **state)
{
	struct top t = top_of(some_zones());
	json_t *zones;

	assert_string_equal(top_selected(&t)->path, "/redis");
	press(&t, "n"); /* it is the zone that is selected, not the line */
	assert_string_equal(top_selected(&t)->path, "/redis");
	/* another is hurt now: nobody has chosen, so that is the one */
	zones = some_zones();
	json_object_set_new(json_array_get(zones, 3), "state", json_string("fine"));
	json_object_set_new(json_array_get(zones, 4), "state", json_string("hurt"));
	assert_int_equal(top_zones_take(&t.zones, answer(2, zones)), 0);
	assert_int_equal(top_arrange(&t, 9), 0);
	assert_string_equal(top_selected(&t)->path, "/web");
	assert_int_equal(top_key_press(&t, TOP_KEY_HOME, 9), TOP_ASK);
	assert_string_equal(top_selected(&t)->path, "/");
	assert_int_equal(top_arrange(&t, 9), 0);
	assert_string_equal(top_selected(&t)->path, "/"); /* chosen */
	top_key_press(&t, TOP_KEY_END, 2);
	assert_string_equal(top_selected(&t)->path, "/web");
	assert_int_equal(t.offset, 3);
	top_key_press(&t, TOP_KEY_PAGE_DOWN, 2);
	assert_int_equal(t.selected, 4);
	top_key_press(&t, TOP_KEY_PAGE_UP, 2);
	assert_int_equal(t.selected, 2);
	assert_int_equal(t.offset, 2);
	/* all of them go, then one comes */
	assert_int_equal(top_zones_take(&t.zones, answer(3, json_array())), 0);
	assert_int_equal(top_arrange(&t, 9), 0);
	assert_null(top_selected(&t));
	press(&t, "jk t");
	assert_int_equal(top_zones_take(&t.zones, answer(4, some_zones())), 0);
	assert_int_equal(top_arrange(&t, 9), 0);
	assert_non_null(top_selected(&t));
	top_done(&t);
}

static void test_typing(void **state)
{
	struct top t = top_of(some_zones());

	press(&t, "/qRED"); /* q is a letter here */
	assert_string_equal(listed(&t), "");
	for (int i = 0; i < 9; i++)
		top_key_press(&t, TOP_KEY_BACKSPACE, 9);
	assert_string_equal(t.order.filter, "");
	top_key_press(&t, 0x754c, 9);
	top_key_press(&t, 0x1b, 9);
	top_key_press(&t, TOP_KEY_UP, 9);
	assert_string_equal(t.order.filter, "界");
	top_key_press(&t, TOP_KEY_BACKSPACE, 9);
	press(&t, "RED");
	assert_string_equal(listed(&t), "redis");
	for (int i = 0; i < 100; i++)
		top_key_press(&t, 0x754c, 9);
	assert_true(strlen(t.order.filter) < sizeof(t.order.filter));
	top_key_press(&t, TOP_KEY_ENTER, 9);
	assert_false(t.typing);
	assert_int_equal(top_key_press(&t, TOP_KEY_ESCAPE, 9), TOP_ASK);
	press(&t, "/hurt");
	assert_string_equal(listed(&t), "redis"); /* a state: whole */
	top_key_press(&t, TOP_KEY_ENTER, 9);
	assert_int_equal(top_key_press(&t, 'x', 9), TOP_NOTHING);
	assert_int_equal(top_key_press(&t, 'q', 9), TOP_QUIT);
	top_done(&t);
}

static void test_layouts(void **state)
{
	for (unsigned int rows = TOP_ROWS_MIN; rows <= CANVAS_MAX; rows++) {
		struct top_layout l = top_layout_of(rows);

		assert_true(l.nr_zones >= 9);
		assert_true(l.nr_parts >= 4 && l.nr_parts <= 8);
		assert_int_equal(l.zones + l.nr_zones, l.pane);
		assert_int_equal(l.pane + 5 + l.nr_parts, l.notes);
		assert_int_equal(l.notes + l.nr_notes, l.keys);
		assert_int_equal(l.keys, rows - 1);
	}
}

static json_t *why(void)
{
	return json_pack("{s:s, s:{s:[{s:s, s:s, s:s, s:i, s:s, s:i}, {s:s, s:n, s:i}]}}",
			 "headline", "redis is hurt by batch/hog: wait p99 4.1 ms.", "ledger",
			 "parts", "cause", "neighbour", "zone", "batch/hog", "class", "be",
			 "share_ppm", 971000, "comm", "stress-ng", "pid", 4211, "cause", "self",
			 "zone", "share_ppm", 29000);
}

static void test_screen(void **state)
{
	struct canvas c = canvas_of(24, 80, true);
	struct top t = top_of(some_zones());

	t.why = why();
	t.why_path = strdup("/redis");
	t.findings = json_pack("{s:[{s:i, s:s, s:s, s:[{s:s, s:i}]}]}", "findings", "seq", 3,
			       "victim", "redis", "why", "wait p99 is 4.1 ms", "culprits", "zone",
			       "batch/hog", "share_ppm", 971000);
	t.actions = json_pack("{s:[]}", "actions");
	top_paint(&t, &c, 0);
	assert_string_equal(line(&c, 0), "CPU 1.02 of 2  steal -  PSI cpu - mem - io -  avail -");
	assert_string_equal(line(&c, 1),
			    "1 open finding  observe                               czd "
			    "0.3 % CPU, ledger -, -");
	assert_string_equal(line(&c, 2), "zone               class    CPUs   waits▼ wait p99    "
					 "memory     io/s state");
	assert_string_equal(line(&c, 3), "redis              lc       0.24   23.5 %        -      "
					 "50 B        - hurt");
	assert_int_equal(canvas_at(&c, 3, 0)->look, LOOK_REVERSE);
	assert_int_equal(canvas_at(&c, 4, 0)->look, LOOK_PLAIN);
	assert_non_null(strstr(line(&c, 12), "── redis, latency-critical ──"));
	assert_string_equal(line(&c, 13), "redis is hurt by batch/hog: wait p99 4.1 ms.");
	assert_string_equal(line(&c, 15),
			    " batch/hog                  97.1 %  ████████████████████▍ "
			    "be stress-ng 4211");
	assert_string_equal(line(&c, 16), " itself                      2.9 %  ▋");
	assert_non_null(strstr(line(&c, 19), "█ 23.5 %, most 23.5 % in 1 s"));
	assert_string_equal(line(&c, 21),
			    "finding 3: redis hurt by batch/hog (97.1 %): wait p99 is 4.1 ms");
	assert_string_equal(line(&c, 22), "no actions proposed or in force");
	/* the ledger of another zone than the selected one is not shown */
	press(&t, "j");
	assert_int_equal(canvas_reset(&c, 24, 80), 0);
	top_paint(&t, &c, 0);
	assert_string_equal(line(&c, 13), "");
	assert_string_equal(line(&c, 15), "");
	top_done(&t);
	canvas_done(&c);
}

static void test_other_screens(void **state)
{
	struct canvas c = canvas_of(24, 79, false);
	struct top t = top_of(some_zones());

	top_paint(&t, &c, 0);
	assert_string_equal(line(&c, 0), "79x24 is too small.");
	for (unsigned int rows = 1; rows < 60; rows += 7) {
		for (unsigned int columns = 1; columns < 300; columns += 13) {
			assert_int_equal(canvas_reset(&c, rows, columns), 0);
			t.help = rows % 2;
			top_paint(&t, &c, 0);
		}
	}
	t.help = true;
	assert_int_equal(canvas_reset(&c, 24, 80), 0);
	top_paint(&t, &c, 0);
	assert_string_equal(line(&c, 22), "any key goes back");
	t.help = false;
	assert_int_equal(canvas_reset(&c, 24, 80), 0);
	strcpy(t.away, "Start it: sudo czd");
	t.away_since_ns = 5 * TICK_NS;
	top_paint(&t, &c, 12 * TICK_NS);
	assert_string_equal(line(&c, 0), "czd does not answer for 7 s; trying again");
	assert_string_equal(line(&c, 1), "Start it: sudo czd");
	assert_int_equal(canvas_at(&c, 3, 0)->look, LOOK_DIM); /* old, and still there */
	assert_memory_equal(line(&c, 3), "redis", 5);
	top_done(&t);
	top_paint(&t, &c, 0); /* no answer yet */
	canvas_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text_stays_in_its_place),
	    cmocka_unit_test(test_hostile_text_is_harmless),
	    cmocka_unit_test(test_words_wrap),
	    cmocka_unit_test(test_bars),
	    cmocka_unit_test(test_sparklines),
	    cmocka_unit_test(test_locales),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_tree),
	    cmocka_unit_test(test_tree_with_holes),
	    cmocka_unit_test(test_past),
	    cmocka_unit_test(test_rests_are_listed_for_a_while),
	    cmocka_unit_test(test_selection),
	    cmocka_unit_test(test_typing),
	    cmocka_unit_test(test_layouts),
	    cmocka_unit_test(test_screen),
	    cmocka_unit_test(test_other_screens),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
