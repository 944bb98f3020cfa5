/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

#define GRACE_NS (10ull * 1000000000)

enum { OPT_GRACE, OPT_WAIT };
static const struct verb_option options[] = {
    [OPT_GRACE] = {"grace", "TIME", "time to end by itself, then it is killed (default 10s)"},
    [OPT_WAIT] = {"wait", NULL, "until it has stopped"},
    {0},
};

static int stop_run(struct cli *cli, const struct args *args)
{
	const char *name = args->words[0];
	_cleanup_json_ json_t *data = NULL;
	uint64_t grace_ns;
	int r = zone_cli_time(&verb_stop, "grace", args->option[OPT_GRACE], GRACE_NS, &grace_ns);

	if (r == EXIT_OK)
		r = cli_call(cli, "zone-stop",
			     json_pack("{s:s,s:I}", "name", name, "grace_ns", (json_int_t)grace_ns),
			     &data);
	if (r == EXIT_OK && args->option[OPT_WAIT])
		r = zone_cli_wait(cli, name, "stopped", grace_ns + ZONE_WAIT_NS);
	if (r != EXIT_OK)
		return r;
	return zone_cli_done(cli, data, "Zone %s %s.", name,
			     strcmp(get_text(data, "state"), "running") ? "does not run"
			     : args->option[OPT_WAIT]			? "has stopped"
									: "is stopping");
}

const struct verb verb_stop = {
    .name = "stop",
    .summary = "end a zone; it stays created",
    .usage = "[--grace TIME] [--wait] ZONE",
    .help = "Asks its apps (or its guest) to end; what still runs after the grace is killed.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl stop web\n"
	    "  sudo czctl stop --grace 0 --wait web\n",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = stop_run,
};
