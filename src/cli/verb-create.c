/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_FILE };
static const struct verb_option options[] = {
    [OPT_FILE] = {"file", "FILE", "the zone's description, YAML or JSON (-: standard input)"},
    {0},
};

static int create_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *spec = NULL, *data = NULL;
	int r = zone_cli_spec(&verb_create, args->option[OPT_FILE], &spec);

	if (r == EXIT_OK)
		r = cli_call(cli, "zone-create", json_pack("{s:O}", "spec", spec), &data);
	if (r != EXIT_OK)
		return r;
	return zone_cli_done(cli, data, "Zone %s is created. Next: sudo czctl start %s",
			     get_text(data, "name"), get_text(data, "name"));
}

const struct verb verb_create = {
    .name = "create",
    .summary = "keep a new zone on disk; start runs it",
    .usage = "-f FILE",
    .help = "A zone is described in a file: what runs in it, on which CPUs, with how much\n"
	    "memory, and what it is promised. czd keeps the description and checks that this\n"
	    "host can run it. man cz-zone.5 has the format.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl create -f web.yaml && sudo czctl start web\n"
	    "  sudo czctl apply -f web.yaml     # both, and updates too\n",
    .options = options,
    .letters = "f",
    .changes = true,
    .run = create_run,
};
