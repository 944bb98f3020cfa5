/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/gate-client.h"
#include "cli/show.h"
#include "cli/verbs.h"

#define POINTS	   "60"
#define POINTS_NR  60
#define ROW_POINTS 5 /* of them make a row of the table */

enum { OPT_METRIC, OPT_SINCE, OPT_FROM, OPT_TO, OPT_GATE, OPT_TOKEN };
static const struct verb_option options[] = {
    [OPT_METRIC] = {"metric", "NAME", "which (default cpu_usage_ns_total)"},
    [OPT_SINCE] = {"since", "TIME", "how far back (default 1h)"},
    [OPT_FROM] = {"from", "TIME", "instead: 12:30, '2027-03-01 12:30', or 20m ago"},
    [OPT_TO] = {"to", "TIME", "the end (default now)"},
    [OPT_GATE] = {"gate", "HOST:PORT", "of cz-gate (default " GATE_DEFAULT ")"},
    [OPT_TOKEN] = {"token", "FILE", "its read token (default " GATE_TOKEN ")"},
    {0},
};

/* A value in the unit of its metric; "-" when it is not known. */
static char *show_value(const json_t *value, const char *unit, char *buf)
{
	uint64_t v = (uint64_t)json_integer_value(value);
	char text[SHOW_MAX];

	if (!json_is_integer(value))
		return strcpy(buf, "-");
	if (!strcmp(unit, "ns/s"))
		return format_ppm(v / 1000, buf, SHOW_MAX);
	if (!strcmp(unit, "ns"))
		return format_duration(v, buf, SHOW_MAX);
	if (!strcmp(unit, "bytes"))
		return format_bytes(v, buf, SHOW_MAX);
	if (!strcmp(unit, "bytes/s"))
		snprintf(buf, SHOW_MAX, "%.40s/s", format_bytes(v, text, sizeof(text)));
	else
		snprintf(buf, SHOW_MAX, "%.40s%s", format_count(v, text, sizeof(text)),
			 strchr(unit, '/') ? "/s" : "");
	return buf;
}

/* "-" when it is not known. */
static void show_clock(uint64_t ms, bool with_date, char *buf)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	localtime_r(&t, &tm);
	if (!ms)
		strcpy(buf, "-");
	else
		strftime(buf, SHOW_MAX, with_date ? "%Y-%m-%d %H:%M" : "%H:%M:%S", &tm);
}

static uint64_t at(const json_t *data, const char *key, size_t i)
{
	return (uint64_t)json_integer_value(json_array_get(json_object_get(data, key), i));
}

static uint64_t highest(const json_t *data)
{
	uint64_t most = 0;

	for (size_t i = 0; i < POINTS_NR; i++)
		most = at(data, "mean", i) > most ? at(data, "mean", i) : most;
	return most;
}

static void print_sparkline(const json_t *data)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	const json_t *mean = json_object_get(data, "mean");
	uint64_t most = highest(data);

	fputs("  ", stdout);
	for (size_t i = 0; i < POINTS_NR; i++) {
		bool known = json_is_integer(json_array_get(mean, i));
		size_t level = most ? (size_t)((__uint128_t)at(data, "mean", i) * 7 / most) : 0;

		fputs(!known ? " " : utf8 ? blocks[level] : ascii[level], stdout);
	}
	putchar('\n');
}

/* Cells [first, first + ROW_POINTS) as one. */
static void add_row(struct table *t, const json_t *data, size_t first, bool with_date)
{
	uint64_t sum = 0, count = 0, min = UINT64_MAX, max = 0;
	const char *unit = get_text(data, "unit");
	char buf[SHOW_MAX];

	for (size_t i = first; i < first + ROW_POINTS; i++) {
		uint64_t n = at(data, "count", i);

		if (!n)
			continue;
		count += n;
		sum += at(data, "mean", i) * n;
		min = at(data, "min", i) < min ? at(data, "min", i) : min;
		max = at(data, "max", i) > max ? at(data, "max", i) : max;
	}
	show_clock(get_count(data, "from_ms") + first * get_count(data, "step_ms"), with_date, buf);
	table_add(t, STYLE_PLAIN, "%s", buf);
	for (int c = 0; c < 3; c++) {
		uint64_t value = c == 0 ? (count ? sum / count : 0) : c == 1 ? min : max;
		_cleanup_json_ json_t *j = count ? json_integer((json_int_t)value) : json_null();

		table_add(t, STYLE_PLAIN, "%s", show_value(j, unit, buf));
	}
}

static void print_series(const struct cli *cli, const json_t *data)
{
	static const struct column columns[] = {{"from", COLUMN_TEXT},
						{"mean", COLUMN_NUMBER},
						{"min", COLUMN_NUMBER},
						{"max", COLUMN_NUMBER}};
	struct table t = {.columns = columns, .nr_columns = 4};
	uint64_t from = get_count(data, "from_ms"), to = get_count(data, "to_ms"), n = 0;
	const char *metric = get_text(data, "metric"), *unit = get_text(data, "unit");
	char begin[SHOW_MAX], end[SHOW_MAX], most[SHOW_MAX];
	bool with_date = to - from > 24 * 3600 * 1000ull;
	_cleanup_json_ json_t *top = json_integer((json_int_t)highest(data));

	for (size_t i = 0; i < POINTS_NR; i++)
		n += at(data, "count", i);
	show_clock(from, true, begin);
	show_clock(to, true, end);
	out_paragraph(&cli->out, 0, STYLE_TITLE, "%s: %s%s, %s to %s", text_or_dash(data, "zone"),
		      !strcmp(metric, "cpu_usage_ns_total") ? "CPU, " : "", metric, begin, end);
	if (!n) {
		out_paragraph(&cli->out, 0, STYLE_PLAIN,
			      "Nothing is known: it did not run, or nobody watched.");
		return;
	}
	putchar('\n');
	print_sparkline(data);
	printf("  highest %s%s\n\n", show_value(top, unit, most),
	       !strcmp(unit, "ns/s") ? " (of one CPU, or of the time)" : "");
	for (size_t i = 0; i < POINTS_NR; i += ROW_POINTS)
		add_row(&t, data, i, with_date);
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

static void print_zones(const struct cli *cli, const json_t *data)
{
	static const struct column columns[] = {{"zone", COLUMN_NAME},
						{"class", COLUMN_TEXT},
						{"kind", COLUMN_TEXT},
						{"first seen", COLUMN_TEXT},
						{"last", COLUMN_TEXT}};
	struct table t = {.columns = columns, .nr_columns = 5};
	const json_t *store = json_object_get(data, "store");
	char buf[SHOW_MAX], oldest[SHOW_MAX];
	struct strbuf names = {0};
	json_t *row;
	size_t i;

	show_clock(get_count(store, "oldest_ms"), true, oldest);
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "History has %s since %s (%s).",
		      show_plural(json_array_size(json_object_get(data, "zones")), "zone", buf),
		      oldest, show_bytes(store, "bytes", (char[SHOW_MAX]){0}));
	json_array_foreach(json_object_get(data, "zones"), i, row)
	{
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(row, "name"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(row, "class"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(row, "kind"));
		show_clock(get_count(row, "first_ms"), true, buf);
		table_add(&t, STYLE_PLAIN, "%s", buf);
		show_clock(get_count(row, "last_ms"), true, buf);
		table_add(&t, STYLE_PLAIN, "%s", buf);
	}
	putchar('\n');
	table_print(&t, &cli->out, 0);
	table_done(&t);
	json_array_foreach(json_object_get(data, "metrics"), i, row)
	    strbuf_printf(&names, "%s%s", i ? ", " : "", get_text(row, "name"));
	out_paragraph(&cli->out, 2, STYLE_PLAIN, "\nMetrics: %s", names.data ? names.data : "-");
	strbuf_done(&names);
	puts("\nNext: czctl history ZONE --metric NAME");
}

static int history_run(struct cli *cli, const struct args *args)
{
	static const char *const names[] = {"zone", "metric", "from", "to", "points", NULL};
	const char *zone = args->nr ? args->words[0] : NULL;
	_cleanup_json_ json_t *data = NULL;
	struct gate_range range;
	struct error e = {0};
	int r;

	if (gate_range(args->option[OPT_SINCE], args->option[OPT_FROM], args->option[OPT_TO],
		       clock_real_ns(), &range, &e) < 0)
		return cli_usage(&verb_history, "%s", e.msg);
	if (!zone && args->option[OPT_METRIC])
		return cli_usage(&verb_history, "--metric: of which zone?");
	r = gate_get(cli, args->option[OPT_GATE], args->option[OPT_TOKEN],
		     &(struct gate_query){
			 .path = zone ? "history" : "history/zones",
			 .names = zone ? names : names + 2,
			 .values = zone ? (const char *[]){zone, args->option[OPT_METRIC],
							   range.from_ms, range.to_ms, POINTS}
					: (const char *[]){range.from_ms, range.to_ms, NULL},
		     },
		     &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else if (zone)
		print_series(cli, data);
	else
		print_zones(cli, data);
	return EXIT_OK;
}

const struct verb verb_history = {
    .name = "history",
    .summary = "how it was: a zone's metric over time",
    .usage = "[ZONE] [--metric NAME] [--since T | --from T --to T]",
    .help = "cz-gate keeps history; czctl asks it over HTTP. Without a ZONE: which zones and\n"
	    "metrics there are. ZONE may be gone by now, and may be 'host'.\n"
	    "\n"
	    "Counters are shown as what they grow by in a second: CPU time as a share of one\n"
	    "CPU, waiting as a share of the time. Of protected zones there are also\n"
	    "wait_ns_total, wait_p99_ns, and ledger_CAUSE_ns, the parts of the waiting.\n"
	    "A time without values: the zone did not run, or nobody watched.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl history\n"
	    "  czctl history redis.service --metric wait_p99_ns --since 6h\n"
	    "  czctl history batch --from 12:00 --to 12:30 -o json\n",
    .options = options,
    .max_words = 1,
    .run = history_run,
};
