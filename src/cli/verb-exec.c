/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "cli/show.h"
#include "cli/term.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_APP, OPT_TTY };
static const struct verb_option options[] = {
    [OPT_APP] = {"app", "APP", "in the group of that app, or in its container"},
    [OPT_TTY] = {"tty", NULL, "give it a terminal"},
    {0},
};

static int exec_run(struct cli *cli, const struct args *args)
{
	/* What follows the zone is not parsed, not even the "--" that people write there. */
	int first = args->nr > 2 && !strcmp(args->words[1], "--") ? 2 : 1, r;
	_cleanup_json_ json_t *zone = NULL;
	json_t *argv;

	args->words[args->nr] = NULL;
	r = cli_call(cli, "zone-show", json_pack("{s:s}", "name", args->words[0]), &zone);
	if (r != EXIT_OK)
		return r;
	if (!strcmp(get_text(zone, "runtime"), "cgroup"))
		return args->option[OPT_TTY]
			   ? cli_usage(&verb_exec, "--tty is for a virtual machine: in a cgroup "
						   "zone the command has this terminal anyway")
			   : zone_cli_become(cli, args->words[0], args->option[OPT_APP],
					     args->words + first);
	argv = json_array();

	for (int i = first; i < args->nr; i++)
		json_array_append_new(argv, json_string(args->words[i]));
	return term_run(cli, args->words[0],
			json_pack("{s:s,s:o,s:b,s:s*}", "do", "exec", "argv", argv, "tty",
				  args->option[OPT_TTY] != NULL, "app", args->option[OPT_APP]),
			args->option[OPT_TTY] != NULL);
}

const struct verb verb_exec = {
    .name = "exec",
    .summary = "run a command inside a zone",
    .usage = "[--app APP] [--tty] ZONE -- COMMAND [ARGUMENT...]",
    .help = "Input and output are this terminal's; the exit code is the command's (255: the\n"
	    "zone could not be reached).\n"
	    "\n"
	    "In a zone of runtime cgroup the command runs on the host, as the user who called\n"
	    "czctl, in the zone's cgroup and under its limits. It ends with the zone (with\n"
	    "--app: with that app).\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl exec web -- sh -c ps     (sh, where the guest has no ps: busybox)\n"
	    "  sudo czctl exec --tty web -- sh\n",
    .options = options,
    .letters = "t",
    .min_words = 2,
    .max_words = -1,
    .stops_at_word = true,
    .changes = true,
    .run = exec_run,
};
