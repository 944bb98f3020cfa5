/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_FILE };
static const struct verb_option options[] = {
    [OPT_FILE] = {"file", "FILE", "what the zone might become (-: standard input)"},
    {0},
};

static int diff_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *spec = NULL, *data = NULL;
	int r = zone_cli_spec(&verb_diff, args->option[OPT_FILE], &spec);

	if (r == EXIT_OK)
		r = cli_call(cli, "zone-diff", json_pack("{s:O}", "spec", spec), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else
		zone_cli_diff(cli, data);
	return strcmp(get_text(data, "needs"), "stale") ? EXIT_DIFFERS : EXIT_OK;
}

const struct verb verb_diff = {
    .name = "diff",
    .summary = "what a file would change, and what that takes",
    .usage = "-f FILE",
    .help = "Compares the file with the zone as it was applied. Exit code 6: they differ.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl diff -f web.yaml\n",
    .options = options,
    .letters = "f",
    .run = diff_run,
};
