/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

static void print_probes(const struct cli *cli, const json_t *probes)
{
	static const struct column columns[] = {
	    {"probe", COLUMN_TEXT},
	    {"state", COLUMN_TEXT},
	    {"what", COLUMN_PROSE},
	};
	struct table t = {.columns = columns, .nr_columns = sizeof(columns) / sizeof(columns[0])};
	char note[600];
	json_t *probe;
	size_t i;

	json_array_foreach(probes, i, probe)
	{
		bool on = get_bool(probe, "on");

		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(probe, "name"));
		table_add(&t, on ? STYLE_GOOD : STYLE_WARN, "%s", on ? "on" : "off");
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(probe, "summary"));
		if (on)
			continue;
		snprintf(note, sizeof(note), "off: %s. It needs: %s",
			 text_or_dash(probe, "why_off"), text_or_dash(probe, "needs"));
		table_note(&t, note);
	}
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

static void print_metrics(const struct cli *cli, const json_t *metrics)
{
	static const struct column columns[] = {
	    {"metric", COLUMN_TEXT},
	    {"unit", COLUMN_TEXT},
	    {"of", COLUMN_TEXT},
	    {"what", COLUMN_PROSE},
	};
	struct table t = {.columns = columns, .nr_columns = sizeof(columns) / sizeof(columns[0])};
	json_t *metric;
	size_t i;

	json_array_foreach(metrics, i, metric)
	{
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(metric, "name"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(metric, "unit"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(metric, "scope"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(metric, "help"));
	}
	putchar('\n');
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

static void print_all(const struct cli *cli, const json_t *data)
{
	const json_t *probes = json_object_get(data, "probes");
	size_t i, on = 0;
	json_t *probe;

	json_array_foreach(probes, i, probe) on += get_bool(probe, "on");
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "%zu of %zu probes are on.", on,
		      json_array_size(probes));
	putchar('\n');
	print_probes(cli, probes);
	print_metrics(cli, json_object_get(data, "metrics"));
}

static int probes_run(struct cli *cli, const struct args *args)
{
	return cli_show(cli, "probes", json_object(), print_all);
}

const struct verb verb_probes = {
    .name = "probes",
    .summary = "what czd measures, and why something is off",
    .usage = "",
    .help = "Each probe with what it needs, and the table of all metrics. The ledger's health\n"
	    "is in the JSON output.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl probes\n"
	    "  czctl probes -o json | jq .ledger\n",
    .run = probes_run,
};
