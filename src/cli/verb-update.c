/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_FILE, OPT_REBOOT, OPT_DRY_RUN };
static const struct verb_option options[] = {
    [OPT_FILE] = {"file", "FILE", "what it is to be (-: standard input)"},
    [OPT_REBOOT] = {"reboot", NULL, "boot it anew when the change needs it"},
    [OPT_DRY_RUN] = {"dry-run", NULL, "only show what would change"},
    {0},
};

static int update_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *spec = NULL, *data = NULL;
	int r = zone_cli_spec(&verb_update, args->option[OPT_FILE], &spec);

	if (r == EXIT_OK)
		r = cli_call(cli, "zone-update",
			     json_pack("{s:O,s:b,s:b}", "spec", spec, "reboot",
				       args->option[OPT_REBOOT] != NULL, "dry_run",
				       args->option[OPT_DRY_RUN] != NULL),
			     &data);
	return r == EXIT_OK ? zone_cli_updated(cli, data) : r;
}

const struct verb verb_update = {
    .name = "update",
    .summary = "change a zone, while it runs where that is possible",
    .usage = "-f FILE [--reboot] [--dry-run]",
    .help = "Limits, CPUs, memory, apps, class and scheduler are taken over at once. What\n"
	    "only a reboot can change (kernel, root file system) needs --reboot.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl update -f web.yaml --dry-run\n"
	    "  sudo czctl update -f web.yaml\n",
    .options = options,
    .letters = "f",
    .changes = true,
    .run = update_run,
};
