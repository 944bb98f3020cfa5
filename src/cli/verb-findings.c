/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

enum { OPT_ALL };
static const struct verb_option options[] = {
    [OPT_ALL] = {"all", NULL, "closed ones too"},
    {0},
};

static enum style severity_style(const json_t *finding)
{
	const char *severity = get_text(finding, "severity");

	if (!get_bool(finding, "open"))
		return STYLE_PLAIN;
	return !strcmp(severity, "critical")  ? STYLE_BAD
	       : !strcmp(severity, "warning") ? STYLE_WARN
					      : STYLE_PLAIN;
}

static bool is_stall(const json_t *f)
{
	return !strcmp(get_text(f, "resource"), "memory") || !strcmp(get_text(f, "resource"), "io");
}

static void add_finding(struct table *t, const json_t *f)
{
	const json_t *first = json_array_get(json_object_get(f, "culprits"), 0);
	char buf[SHOW_MAX], share[SHOW_MAX], window[SHOW_MAX], note[600];

	table_add(t, STYLE_PLAIN, "%s", show_id(f, "seq", buf));
	table_add(t, STYLE_PLAIN, "%s", show_real_time(f, "since_real_ns", buf));
	table_add(t, STYLE_PLAIN, "%s", show_duration(f, "duration_ns", buf));
	table_add(t, STYLE_PLAIN, "%s", text_or_dash(f, "victim"));
	table_add(t, STYLE_PLAIN, "%s", text_or_dash(f, "cause"));
	table_add(t, severity_style(f), "%s", text_or_dash(f, "severity"));
	table_add(t, STYLE_PLAIN, "%s", get_bool(f, "open") ? "open" : "over");
	if (json_is_object(first))
		snprintf(note, sizeof(note), "%s; mostly %s (%s of the %s in %s of harm)",
			 text_or_dash(f, "why"), text_or_dash(first, "zone"),
			 show_ppm(first, "share_ppm", share), is_stall(f) ? "stalling" : "waiting",
			 show_duration(f, "window_ns", window));
	else
		snprintf(note, sizeof(note), "%s", text_or_dash(f, "why"));
	table_note(t, note);
}

static void print_findings(const struct cli *cli, const json_t *data)
{
	static const struct column columns[] = {
	    {"#", COLUMN_NUMBER},   {"since", COLUMN_TEXT}, {"for", COLUMN_NUMBER},
	    {"zone", COLUMN_NAME},  {"cause", COLUMN_TEXT}, {"severity", COLUMN_TEXT},
	    {"state", COLUMN_TEXT},
	};
	const json_t *findings = json_object_get(data, "findings");
	struct table t = {.columns = columns, .nr_columns = sizeof(columns) / sizeof(columns[0])};
	size_t nr = json_array_size(findings), open = 0, i;
	char buf[SHOW_MAX];
	json_t *f;

	json_array_foreach(findings, i, f)
	{
		open += get_bool(f, "open");
		add_finding(&t, f);
	}
	out_paragraph(&cli->out, 0, open ? STYLE_BAD : STYLE_GOOD,
		      open ? "%s open." : "Nothing is wrong: %s open.",
		      show_plural(open, "finding", buf));
	if (nr) {
		putchar('\n');
		table_print(&t, &cli->out, 0);
		puts("\nNext: czctl why ZONE");
	}
	table_done(&t);
}

static int findings_run(struct cli *cli, const struct args *args)
{
	return cli_show(cli, "findings", json_pack("{s:b}", "all", args->option[OPT_ALL] != NULL),
			print_findings);
}

const struct verb verb_findings = {
    .name = "findings",
    .summary = "what is wrong now, since when, and the cause",
    .usage = "[--all]",
    .help = "A finding says which protected zone is hurt, since when, and the cause:\n"
	    "\n"
	    "  neighbour  other zones ran on its CPUs; the culprits are named with shares\n"
	    "  self       its own tasks: it needs more CPUs, nobody is to blame\n"
	    "  throttled  its own CPU quota was used up\n"
	    "  kernel     interrupts and kernel threads\n"
	    "  host       the hypervisor took the CPU (steal)\n"
	    "  unknown    the evidence is not enough: nobody is blamed\n"
	    "\n"
	    "Its shares are over the latest windows with harm, ten at most; those of 'why'\n"
	    "are over the latest window.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl findings\n"
	    "  czctl findings --all\n",
    .options = options,
    .run = findings_run,
};
