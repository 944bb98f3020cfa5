/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

static int version_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *data = NULL;
	char pid[SHOW_MAX], up[SHOW_MAX];
	int r;

	if (!cli->json) {
		puts("czctl " CZ_VERSION);
		fflush(stdout);
	}
	r = cli_call(cli, "version", json_object(), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		json_object_set_new(data, "czctl", json_string(CZ_VERSION));
		cli_print_json(data);
		return EXIT_OK;
	}
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "czd   %s (pid %s, up %s), kernel %s",
		      text_or_dash(data, "version"), show_id(data, "pid", pid),
		      show_duration(data, "uptime_ns", up), text_or_dash(data, "kernel"));
	return EXIT_OK;
}

const struct verb verb_version = {
    .name = "version",
    .summary = "versions of czctl and of the running czd",
    .usage = "",
    .help = "Exit code 3 when czd is not reachable.\n"
	    "\n"
	    "Example:\n"
	    "  czctl version -o json | jq -r .version\n",
    .run = version_run,
};
