/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "base/parse.h"

enum { OPT_FOR };
static const struct verb_option options[] = {
    [OPT_FOR] = {"for", "TIME", "how long (default 10m)"},
    {0},
};

#define DEFAULT_FOR_NS (600 * 1000000000ull)

static int try_run(struct cli *cli, const struct args *args)
{
	const char *zone = args->nr ? args->words[0] : NULL;
	_cleanup_json_ json_t *data = NULL;
	uint64_t for_ns = DEFAULT_FOR_NS;
	char until[SHOW_MAX];
	int r;

	if (args->option[OPT_FOR] && (parse_duration_ns(args->option[OPT_FOR], &for_ns) < 0 ||
				      !for_ns || for_ns > INT64_MAX))
		return cli_usage(&verb_try, "--for: '%s' is not a time (30s, 10m, 2h)",
				 args->option[OPT_FOR]);
	r = cli_call(cli, "try",
		     json_pack("{s:s*, s:I}", "zone", zone, "for_ns", (json_int_t)for_ns), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(data);
		return EXIT_OK;
	}
	out_paragraph(
	    &cli->out, 0, STYLE_PLAIN,
	    !strcmp(get_text(data, "then"), "enforce")
		? "Enforcing for %s until %s. The mode is enforce anyway: it goes on then."
		: "Enforcing for %s until %s; then czd undoes it and goes back to observe.",
	    zone ? zone : "all protected zones", show_mono_time(data, "until_ns", until));
	note_none_protected(data);
	puts("Next: czctl actions. Stop now: sudo czctl undo");
	return EXIT_OK;
}

const struct verb verb_try = {
    .name = "try",
    .summary = "enforce for a while; everything is undone by itself",
    .usage = "[--for TIME] [ZONE]",
    .help = "Lets czd act for one protected zone (or all) and go back to observe at the end\n"
	    "of the time. The host is then as it was: czctl verify shows it.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl try --for 10m redis.service\n"
	    "  sudo czctl try --for 2h\n",
    .options = options,
    .max_words = 1,
    .changes = true,
    .run = try_run,
};
