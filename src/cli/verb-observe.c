/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <time.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_ONCE };
static const struct verb_option options[] = {
    [OPT_ONCE] = {"once", NULL, "one look"},
    {0},
};

static int observe_run(struct cli *cli, const struct args *args)
{
	struct timespec second = {.tv_sec = 1};

	for (;;) {
		_cleanup_json_ json_t *zone = NULL;
		int r =
		    cli_call(cli, "zone-show", json_pack("{s:s}", "name", args->words[0]), &zone);

		if (r != EXIT_OK)
			return r;
		if (cli->json)
			cli_print_json(zone);
		else
			zone_cli_print(cli, zone);
		fflush(stdout);
		if (args->option[OPT_ONCE])
			return EXIT_OK;
		nanosleep(&second, NULL);
	}
}

const struct verb verb_observe = {
    .name = "observe",
    .summary = "one zone and its apps, every second",
    .usage = "[--once] ZONE",
    .help = "State, scheduler and apps of a zone that was created; of a virtual machine also\n"
	    "how long each app waits for a CPU inside.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl observe web\n"
	    "  czctl observe --once web -o json | jq .apps\n",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .run = observe_run,
};
