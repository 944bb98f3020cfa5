/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"
#include "model/zone.h"

enum { OPT_ALL, OPT_NAMES };
static const struct verb_option options[] = {
    [OPT_ALL] = {"all", NULL, "zones of class normal too"},
    [OPT_NAMES] = {"names", NULL, "names only, one a line (for scripts)"},
    {0},
};

static size_t count_where(const json_t *zones, const char *key, const char *value)
{
	size_t i, n = 0;
	json_t *zone;

	json_array_foreach(zones, i, zone) n += !strcmp(get_text(zone, key), value);
	return n;
}

static void print_absent(const struct cli *cli, const json_t *absent)
{
	static const struct column columns[] = {
	    {"not there now", COLUMN_NAME}, {"class", COLUMN_TEXT}, {"goal", COLUMN_TEXT}};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	json_t *zone;
	size_t i;

	json_array_foreach(absent, i, zone)
	{
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(zone, "path"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(zone, "class"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(zone, "slo"));
	}
	if (i) {
		putchar('\n');
		table_print(&t, &cli->out, 0);
		puts("The next zone at such a path is of that class. To forget it: sudo czctl "
		     "unprotect PATH");
	}
	table_done(&t);
}

static void print_list(const struct cli *cli, const json_t *data, bool all)
{
	const json_t *zones = json_object_get(data, "zones");
	size_t lc = count_where(zones, "class", "lc"), hurt = count_where(zones, "state", "hurt");
	size_t unknown =
	    count_where(zones, "state", "learning") + count_where(zones, "state", "unknown");
	_cleanup_free_ char *mode = mode_words(data);
	char buf[SHOW_MAX], open[40] = "";

	if (unknown)
		snprintf(open, sizeof(open), ", %zu not known yet", unknown);
	if (lc == 0)
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "No zone is protected. Mode: %s.",
			      mode ? mode : "-");
	else
		out_paragraph(&cli->out, 0,
			      hurt	? STYLE_BAD
			      : unknown ? STYLE_PLAIN
					: STYLE_GOOD,
			      "%zu of %s hurt%s. Mode: %s.", hurt,
			      show_plural(lc, "latency-critical zone", buf), open,
			      mode ? mode : "-");
	if (json_array_size(zones)) {
		putchar('\n');
		show_zones(cli, zones, SIZE_MAX);
	}
	if (json_array_size(json_object_get(data, "applied"))) {
		putchar('\n');
		zone_cli_table(cli, json_object_get(data, "applied"));
	}
	if (all)
		print_absent(cli, json_object_get(data, "absent"));
	if (lc == 0)
		puts(all ? "\nNext: sudo czctl protect ZONE"
			 : "\nNext: czctl list --all; sudo czctl protect ZONE");
	else if (hurt)
		puts("\nNext: czctl why ZONE");
}

static int list_run(struct cli *cli, const struct args *args)
{
	bool names = args->option[OPT_NAMES], all = args->option[OPT_ALL];
	_cleanup_json_ json_t *data = NULL;
	char name[4 * ZONE_NAME_MAX];
	json_t *zone;
	size_t i;
	int r;

	r = cli_call(cli, "list", json_pack("{s:b}", "all", all || names), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else if (!names)
		print_list(cli, data, all);
	else
		json_array_foreach(json_object_get(data, "zones"), i, zone)
		    puts(str_escape(name, sizeof(name), get_text(zone, "name")));
	return EXIT_OK;
}

const struct verb verb_list = {
    .name = "list",
    .summary = "zones with a class, and how they are",
    .usage = "[--all]",
    .help = "Shows the zones that have a class: lc (latency-critical) and be (best-effort).\n"
	    "\n"
	    "  CPUs      CPU time used, in CPUs (0.24: a quarter of one)\n"
	    "  waits     time its tasks were ready to run and had to wait, of wall time,\n"
	    "            summed over threads (so it may be above 100 %)\n"
	    "  wait p99  99 of 100 waits were shorter than this, and so was what work that\n"
	    "            arrived at any moment had to wait\n"
	    "  state     fine, hurt, learning (nothing measured yet), hurting (it hurts a\n"
	    "            protected zone), restrained\n"
	    "  -         not known: zones that are not protected have no wait figures\n"
	    "\n"
	    "Zones that were created (czctl create, apply) follow, those that do not run too;\n"
	    "with --all also those that were given a class and are not there now.\n"
	    "\n"
	    "Long names are shortened in the middle; -o json has them in full.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl list\n"
	    "  czctl list --all\n"
	    "  czctl list -o json | jq -r '.zones[] | select(.state == \"hurt\") | .name'\n",
    .options = options,
    .run = list_run,
};
