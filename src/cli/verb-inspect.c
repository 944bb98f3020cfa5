/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

static void print_field(const struct cli *cli, const char *label, const char *value)
{
	out_paragraph(&cli->out, 14, STYLE_PLAIN, "  %-11s %s", label, value);
}

static void print_facts(const struct cli *cli, const json_t *zone)
{
	char buf[SHOW_MAX];

	print_field(cli, "path", text_or_dash(zone, "path"));
	print_field(cli, "id", show_id(zone, "id", buf));
	print_field(cli, "kind", text_or_dash(zone, "kind"));
	print_field(cli, "goal", text_or_dash(zone, "slo"));
	print_field(cli, "off limits",
		    get_bool(zone, "off_limits") ? text_or_dash(zone, "off_limits_why") : "no");
	print_field(cli, "CPUs", show_cpus(zone, "cpu_ppm", buf));
	print_field(cli, "waits", show_ppm(zone, "wait_ppm", buf));
	print_field(cli, "for others", show_ppm(zone, "foreign_wait_ppm", buf));
	print_field(cli, "wait p99", show_wait(zone, "wait_p99_ns", buf));
	print_field(cli, "throttled", show_ppm(zone, "throttled_ppm", buf));
	print_field(cli, "PSI cpu", show_ppm(zone, "psi_cpu_ppm", buf));
	print_field(cli, "memory", show_bytes(zone, "memory_bytes", buf));
	print_field(cli, "seen since", show_mono_time(zone, "first_seen_ns", buf));
}

static void show_value(const json_t *metric, const char *key, char *buf)
{
	const char *unit = get_text(metric, "unit");

	if (!strcmp(unit, "ns"))
		show_duration(metric, key, buf);
	else if (!strcmp(unit, "bytes"))
		show_bytes(metric, key, buf);
	else
		show_number(metric, key, buf);
}

static void print_metrics(const struct cli *cli, json_t *metrics)
{
	static const struct column columns[] = {
	    {"metric", COLUMN_TEXT},
	    {"value", COLUMN_NUMBER},
	    {"last tick", COLUMN_NUMBER},
	    {"", COLUMN_PROSE},
	};
	struct table t = {.columns = columns, .nr_columns = sizeof(columns) / sizeof(columns[0])};
	char value[SHOW_MAX];
	const char *name;
	json_t *metric;

	json_object_foreach(metrics, name, metric)
	{
		table_add(&t, STYLE_PLAIN, "%s", name);
		show_value(metric, "value", value);
		table_add(&t, STYLE_PLAIN, "%s", value);
		show_value(metric, "delta", value);
		table_add(&t, STYLE_PLAIN, "%s", value);
		table_add(&t, STYLE_PLAIN, "%s", get_text(metric, "help"));
	}
	putchar('\n');
	table_print(&t, &cli->out, 2);
	table_done(&t);
}

static void print_holders(const struct cli *cli, const json_t *holders, const char *what)
{
	char share[SHOW_MAX], line[256];
	json_t *held;
	size_t i;

	if (json_array_size(holders))
		printf("\n  %s (last tick):\n", what);
	json_array_foreach(holders, i, held)
	{
		const char *zone = get_text(held, "zone");

		snprintf(line, sizeof(line), "    %-8s %s", show_ppm(held, "share_ppm", share),
			 zone[0]		    ? zone
			 : get_bool(held, "kernel") ? "the kernel in the background"
						    : "unknown");
		out_paragraph(&cli->out, 4, STYLE_PLAIN, "%s", line);
	}
}

static void print_knobs(const struct cli *cli, json_t *knobs)
{
	const char *knob;
	json_t *value;

	putchar('\n');
	json_object_foreach(knobs, knob, value)
	    print_field(cli, knob, json_is_string(value) ? json_string_value(value) : "-");
}

static void print_children(const struct cli *cli, const json_t *children)
{
	json_t *child;
	size_t i;

	if (json_array_size(children))
		puts("\n  children:");
	json_array_foreach(children, i, child) if (json_is_string(child))
	    out_paragraph(&cli->out, 4, STYLE_PLAIN, "    %s", json_string_value(child));
}

static int inspect_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *zone = NULL;
	const char *state;
	int r;

	r = cli_call(cli, "inspect", json_pack("{s:s}", "zone", args->words[0]), &zone);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(zone);
		return EXIT_OK;
	}
	if (json_is_object(json_object_get(zone, "applied")))
		zone_cli_print(cli, json_object_get(zone, "applied"));
	if (!json_object_get(zone, "path"))
		return EXIT_OK;
	state = get_text(zone, "state");
	out_paragraph(&cli->out, 0, STYLE_TITLE, "%s: %s%s%s", text_or_dash(zone, "name"),
		      class_words(text_or_dash(zone, "class")), state[0] ? ", " : "", state);
	print_facts(cli, zone);
	print_knobs(cli, json_object_get(zone, "knobs"));
	print_metrics(cli, json_object_get(zone, "metrics"));
	print_holders(cli, json_object_get(zone, "disk_held_by"),
		      "who had the disk while its requests waited");
	print_holders(cli, json_object_get(zone, "memory_taken_by"), "who took its pages");
	print_holders(cli, json_object_get(zone, "locks_held_by"),
		      "who ended its waits at locks (futexes)");
	print_children(cli, json_object_get(zone, "children"));
	return EXIT_OK;
}

const struct verb verb_inspect = {
    .name = "inspect",
    .summary = "everything known about one zone",
    .usage = "ZONE",
    .help = "Class, goals, figures, knobs and children of a zone. '-' is a figure or knob\n"
	    "that this host does not have or that was not read yet.\n"
	    "\n"
	    "A zone may be named by its name, or by its path.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl inspect redis.service\n"
	    "  czctl inspect /system.slice/redis.service -o json | jq .knobs\n",
    .min_words = 1,
    .max_words = 1,
    .run = inspect_run,
};
