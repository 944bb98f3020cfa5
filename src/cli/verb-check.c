/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/errors.h"
#include "cli/show.h"
#include "cli/verbs.h"

#include <fcntl.h>
#include "model/action.h"
#include "spec/spec.h"

static int check_run(struct cli *cli, const struct args *args)
{
	static struct error_list errs; /* large */
	const char *path = args->words[0];
	_cleanup_json_ json_t *data = NULL;
	struct config config = {0};
	char rules[SHOW_MAX];
	int r;

	r = spec_load_file(AT_FDCWD, path, &config, &errs);
	if (cli->json) {
		data = json_pack("{s:b, s:i, s:o}", "ok", r == 0, "total", (int)errs.total,
				 "errors", errors_json(&errs));
		cli_print_json(data);
	} else if (r < 0) {
		errors_print(&errs, "");
	} else {
		out_paragraph(&cli->out, 0, STYLE_GOOD, "%s is good: mode %s, %s.", path,
			      guard_mode_name(config.guard.mode),
			      show_plural(config.nr_rules, "zone rule", rules));
	}
	if (r == 0)
		config_done(&config);
	return r == 0 ? EXIT_OK : r == -ENOENT ? EXIT_NOT_FOUND : EXIT_USAGE;
}

const struct verb verb_check = {
    .name = "check",
    .summary = "check a configuration file; needs no czd",
    .usage = "FILE",
    .help = "Reads FILE as czd would and shows every error with its line. Exit code 2 when\n"
	    "there is one. The format: man czd.yaml\n"
	    "\n"
	    "Example:\n"
	    "  czctl check /etc/cz/czd.yaml\n",
    .min_words = 1,
    .max_words = 1,
    .run = check_run,
};
