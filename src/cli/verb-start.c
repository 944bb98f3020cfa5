/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_WAIT };
static const struct verb_option options[] = {
    [OPT_WAIT] = {"wait", NULL, "until it runs, with its scheduler (at most a minute)"},
    {0},
};

static int start_run(struct cli *cli, const struct args *args)
{
	const char *name = args->words[0];
	_cleanup_json_ json_t *data = NULL;
	int r = cli_call(cli, "zone-start", json_pack("{s:s}", "name", name), &data);

	if (r == EXIT_OK && args->option[OPT_WAIT])
		r = zone_cli_wait(cli, name, "running", ZONE_WAIT_NS);
	if (r != EXIT_OK)
		return r;
	if (args->option[OPT_WAIT])
		zone_cli_note_apps(cli, name);
	return zone_cli_done(cli, data, "Zone %s %s.", name,
			     !strcmp(get_text(data, "phase"), "running") ? "runs already"
			     : args->option[OPT_WAIT]			 ? "runs"
									 : "is starting");
}

const struct verb verb_start = {
    .name = "start",
    .summary = "run a zone that was created",
    .usage = "[--wait] ZONE",
    .help = "Makes its cgroups, sets its limits and starts its apps, or boots its virtual\n"
	    "machine. A zone goes on when czd ends, and is started again after a reboot of\n"
	    "the host, as its `restart` says.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl start --wait web\n",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = start_run,
};
