/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "cli/show.h"
#include "cli/term.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

static int conn_run(struct cli *cli, const struct args *args)
{
	const char *shell = getenv("SHELL");
	char *command[] = {(char *)(shell && shell[0] == '/' ? shell : "/bin/sh"), NULL};
	_cleanup_json_ json_t *zone = NULL;
	int r = cli_call(cli, "zone-show", json_pack("{s:s}", "name", args->words[0]), &zone);

	if (r != EXIT_OK)
		return r;
	if (!strcmp(get_text(zone, "runtime"), "cgroup"))
		return zone_cli_become(cli, args->words[0], NULL, command);
	return term_run(cli, args->words[0], json_pack("{s:s}", "do", "conn"), true);
}

const struct verb verb_conn = {
    .name = "conn",
    .summary = "a shell inside a zone",
    .usage = "ZONE",
    .help = "A terminal in the guest. It ends with the shell (exit, or Ctrl-D).\n"
	    "\n"
	    "In a zone of runtime cgroup it is the caller's own shell (SHELL), on the host,\n"
	    "in this terminal, in the zone's cgroup and under its limits. It ends with the\n"
	    "zone.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl conn web\n",
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = conn_run,
};
