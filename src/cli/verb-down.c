/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_FILE };
static const struct verb_option options[] = {
    [OPT_FILE] = {"file", "FILE", "the file that was applied"},
    {0},
};

static int down_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *spec = NULL, *data = NULL;
	int r = zone_cli_spec(&verb_down, args->option[OPT_FILE], &spec);

	if (r == EXIT_OK)
		r = cli_call(cli, "zone-remove", json_pack("{s:s}", "name", zone_cli_name(spec)),
			     &data);
	if (r == EXIT_OK)
		r = zone_cli_wait(cli, zone_cli_name(spec), "gone", ZONE_WAIT_NS);
	if (r != EXIT_OK)
		return r;
	return zone_cli_done(cli, data, "Zone %s is removed.", zone_cli_name(spec));
}

const struct verb verb_down = {
    .name = "down",
    .summary = "stop and remove the zone of a file",
    .usage = "-f FILE",
    .help = "The opposite of czctl apply -f FILE.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl down -f web.yaml\n",
    .options = options,
    .letters = "f",
    .changes = true,
    .run = down_run,
};
