/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "base/parse.h"

static void print_undo(const struct cli *cli, const json_t *data)
{
	uint64_t restored = get_count(data, "restored"), gone = get_count(data, "gone");
	uint64_t hands_off = get_count(data, "hands_off"), failed = get_count(data, "failed");
	char buf[SHOW_MAX];

	if (!restored && !gone && !hands_off && !failed)
		puts("Nothing to undo: czd holds no knob.");
	else
		printf("Put back %s.\n", show_plural(restored, "knob", buf));
	if (get_bool(data, "observes_now"))
		puts("Mode is now observe, until czd starts anew. To act again: sudo czctl mode "
		     "enforce");
	if (gone)
		printf("%s gone with the zone.\n", show_plural(gone, "knob", buf));
	if (hands_off)
		printf("%s left alone: somebody else changed it meanwhile.\n",
		       show_plural(hands_off, "knob", buf));
	if (failed)
		out_paragraph(&cli->out, 0, STYLE_BAD, "%s could not be put back: see czd's log.",
			      show_plural(failed, "knob", buf));
	puts("Next: czctl verify");
}

static int undo_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *data = NULL;
	uint64_t seq;
	int r;

	if (args->nr && (parse_u64(args->words[0], &seq) < 0 || seq > INT64_MAX))
		return cli_usage(&verb_undo, "'%s' is not an action's number (czctl actions)",
				 args->words[0]);
	r = cli_call(cli, "undo",
		     args->nr ? json_pack("{s:I}", "seq", (json_int_t)seq) : json_object(), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else
		print_undo(cli, data);
	return get_count(data, "failed") ? EXIT_FAILED : EXIT_OK;
}

const struct verb verb_undo = {
    .name = "undo",
    .summary = "put everything, or one action, back as it was",
    .usage = "[NUMBER]",
    .help = "Puts back the old value of every knob that czd holds, and goes back to mode\n"
	    "observe; or takes back one action. A knob that somebody else changed meanwhile\n"
	    "is left alone, and said so.\n"
	    "\n"
	    "When czd is not running: czd --undo does the same from the journal.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl undo && czctl verify\n"
	    "  sudo czctl undo 3\n",
    .max_words = 1,
    .changes = true,
    .run = undo_run,
};
