/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_FORCE, OPT_WAIT };
static const struct verb_option options[] = {
    [OPT_FORCE] = {"force", NULL, "kill what runs in it at once"},
    [OPT_WAIT] = {"wait", NULL, "until it is gone"},
    {0},
};

static int remove_run(struct cli *cli, const struct args *args)
{
	const char *name = args->words[0];
	_cleanup_json_ json_t *data = NULL;
	int r = cli_call(
	    cli, "zone-remove",
	    json_pack("{s:s,s:b}", "name", name, "force", args->option[OPT_FORCE] != NULL), &data);

	if (r == EXIT_OK && args->option[OPT_WAIT])
		r = zone_cli_wait(cli, name, "gone", ZONE_WAIT_NS);
	if (r != EXIT_OK)
		return r;
	return zone_cli_done(cli, data, "Zone %s is %s.", name,
			     args->option[OPT_WAIT] ? "removed" : "being removed");
}

const struct verb verb_remove = {
    .name = "remove",
    .summary = "stop a zone and forget it, its disk and its logs too",
    .usage = "[-f] [--wait] ZONE",
    .help = "A running zone is stopped first, with ten seconds to end by itself.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl remove web\n"
	    "  sudo czctl remove -f --wait web\n",
    .options = options,
    .letters = "f",
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = remove_run,
};
