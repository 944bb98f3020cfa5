/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/show.h"
#include "cli/verbs.h"

#include "model/action.h"

enum { OPT_ZONE };
static const struct verb_option options[] = {
    [OPT_ZONE] = {"zone", "ZONE", "for this protected zone only"},
    {0},
};

/* The mode of one zone, or that of all with the trials and zones of another mode beside it. */
static void print_head(const struct cli *cli, const json_t *data, const char *zone)
{
	_cleanup_free_ char *words = zone ? NULL : mode_words(data);
	const char *mode = text_or_dash(data, "mode"), *why = get_text(data, "cannot_enforce");
	bool refused = zone && why[0] && !strcmp(mode, "enforce");
	char until[SHOW_MAX] = "";
	uint64_t v;

	if (zone && get_number(data, "until_ns", &v) && v)
		show_mono_time(data, "until_ns", until);
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "Mode%s%s: %s%s%s%s%s.", zone ? " for " : "",
		      zone ? zone : "", words ? words : mode, until[0] ? ", until " : "", until,
		      refused ? ", but nothing can be enforced: " : "", refused ? why : "");
}

/* It is to be, and is not. */
static bool cannot_enforce(const json_t *data)
{
	return !strcmp(get_text(data, "mode"), "enforce") && get_text(data, "cannot_enforce")[0];
}

/* Is anything enforced for somebody though the mode of all is observe? */
static bool enforces_for_some(const json_t *data)
{
	json_t *own;
	size_t i;

	json_array_foreach(json_object_get(data, "modes"), i, own)
	{
		if (!strcmp(get_text(own, "mode"), "enforce"))
			return true;
	}
	return false;
}

static void print_mode(const struct cli *cli, const json_t *data, const char *zone)
{
	const char *mode = text_or_dash(data, "mode");
	bool trials = !zone && json_array_size(json_object_get(data, "trials"));

	print_head(cli, data, zone);
	if (!zone)
		show_approvals(cli, data);
	if (cannot_enforce(data))
		return;
	if (!strcmp(mode, "enforce")) {
		note_none_protected(data);
		puts("czd acts on best-effort zones. See: czctl actions. Stop: sudo czctl mode "
		     "observe");
	} else if (!zone && enforces_for_some(data))
		puts("czd acts for these. See: czctl actions. Stop: sudo czctl undo");
	else if (trials)
		puts(
		    "czd acts for these until then, and undoes it. See: czctl actions. Stop: sudo\n"
		    "czctl undo");
	else if (!strcmp(mode, "observe"))
		puts("czd advises and changes nothing. Try it for a while: sudo czctl try --for "
		     "10m");
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
		print_mode(cli, data, zone);
	return args->nr && cannot_enforce(data) ? EXIT_FAILED : EXIT_OK;
}

const struct verb verb_mode = {
    .name = "mode",
    .summary = "show or set the mode: observe (advise only) or enforce",
    .usage = "[observe|enforce] [--zone ZONE]",
    .help = "observe  czd says what it would do and changes nothing (the default)\n"
	    "enforce  czd acts on zones of class be, measures each action, and takes back\n"
	    "         what does not help; everything is undone when czd stops\n"
	    "\n"
	    "Going back to observe undoes what was done. Exit code 1: the mode is set, but\n"
	    "nothing can be enforced as yet (it says why). What was approved and comes back\n"
	    "with the harm (czctl approve) is told as well, and until when.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl mode\n"
	    "  sudo czctl mode enforce\n"
	    "  sudo czctl mode enforce --zone redis.service\n",
    .options = options,
    .max_words = 1,
    .run = mode_run,
};
