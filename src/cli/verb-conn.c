/* SPDX-License-Identifier: MIT */
#include "cli/term.h"
#include "cli/verbs.h"

static int conn_run(struct cli *cli, const struct args *args)
{
	return term_run(cli, args->words[0], json_pack("{s:s}", "do", "conn"), true);
}

const struct verb verb_conn = {
    .name = "conn",
    .summary = "a shell inside a VM zone",
    .usage = "ZONE",
    .help = "A terminal in the guest. It ends with the shell (exit, or Ctrl-D).\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl conn web\n",
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = conn_run,
};
