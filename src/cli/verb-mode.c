/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "model/action.h"

enum { OPT_ZONE };
static const struct verb_option options[] = {
    [OPT_ZONE] = {"zone", "ZONE", "for this protected zone only"},
    {0},
};

static void print_mode(const struct cli *cli, const json_t *data)
{
	const char *mode = text_or_dash(data, "mode");
	char until[SHOW_MAX];
	uint64_t v;

	if (get_number(data, "until_ns", &v) && v)
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "Mode: %s, until %s.", mode,
			      show_mono_time(data, "until_ns", until));
	else
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "Mode: %s.", mode);
	if (!strcmp(mode, "observe"))
		puts("czd advises and changes nothing. Try it for a while: sudo czctl try --for "
		     "10m");
	else if (!strcmp(mode, "enforce"))
		puts("czd acts on best-effort zones. See: czctl actions. Stop: sudo czctl mode "
		     "observe");
}

static int mode_run(struct cli *cli, const struct args *args)
{
	const char *zone = args->option[OPT_ZONE];
	_cleanup_json_ json_t *data = NULL;
	enum guard_mode mode;
	int r;

	if (args->nr && guard_mode_parse(args->words[0], &mode) < 0)
		return cli_usage(&verb_mode, "'%s' is not a mode (observe, enforce)",
				 args->words[0]);
	r = cli_call(
	    cli, "mode",
	    json_pack("{s:s*, s:s*}", "mode", args->nr ? args->words[0] : NULL, "zone", zone),
	    &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else
		print_mode(cli, data);
	return EXIT_OK;
}

const struct verb verb_mode = {
    .name = "mode",
    .summary = "show or set the mode: observe (advise only) or enforce",
    .usage = "[observe|enforce] [--zone ZONE]",
    .help = "observe  czd says what it would do and changes nothing (the default)\n"
	    "enforce  czd acts on zones of class be, measures each action, and takes back\n"
	    "         what does not help; everything is undone when czd stops\n"
	    "\n"
	    "Going back to observe undoes what was done.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl mode\n"
	    "  sudo czctl mode enforce\n"
	    "  sudo czctl mode enforce --zone redis.service\n",
    .options = options,
    .max_words = 1,
    .run = mode_run,
};
