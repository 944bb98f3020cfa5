/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

static void print_unprotected(const struct cli *cli, const json_t *zone)
{
	const json_t *was_set = json_object_get(zone, "was_set");

	if (json_is_false(was_set)) {
		out_paragraph(&cli->out, 0, STYLE_PLAIN,
			      "Nothing to take back: %s was given no class by hand (class: %s).",
			      text_or_dash(zone, "name"), text_or_dash(zone, "class"));
		return;
	}
	if (get_bool(zone, "gone")) {
		out_paragraph(&cli->out, 0, STYLE_PLAIN,
			      "%s is not there now; that it had a class is forgotten.",
			      text_or_dash(zone, "path"));
		return;
	}
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "%s is no longer protected (class: %s).",
		      text_or_dash(zone, "name"), text_or_dash(zone, "class"));
}

static int unprotect_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *zone = NULL;
	int r = cli_call(cli, "unprotect", json_pack("{s:s}", "zone", args->words[0]), &zone);

	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(zone);
	else
		print_unprotected(cli, zone);
	return say_not_kept(cli, zone);
}

const struct verb verb_unprotect = {
    .name = "unprotect",
    .summary = "take protect back",
    .usage = "ZONE",
    .help = "Forgets the class and goals that 'czctl protect' gave; a rule of czd.yaml that\n"
	    "matches the zone counts again. Also of a zone that is not there now (czctl list\n"
	    "--all shows these), by its name or path.\n"
	    "\n"
	    "Example:\n"
	    "  sudo czctl unprotect redis.service\n",
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = unprotect_run,
};
