/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "base/parse.h"

static int approve_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *action = NULL;
	char what[512], state[128];
	uint64_t seq;
	int r;

	if (parse_u64(args->words[0], &seq) < 0 || seq > INT64_MAX)
		return cli_usage(&verb_approve, "'%s' is not an action's number (czctl actions)",
				 args->words[0]);
	r = cli_call(cli, "approve", json_pack("{s:I}", "seq", (json_int_t)seq), &action);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(action);
		return EXIT_OK;
	}
	knob_phrase(action, true, what, sizeof(what));
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "Action %s: %s. State: %s.", args->words[0], what,
		      action_state_words(action, state, sizeof(state)));
	puts("Until then it goes while there is no harm, and comes back with the harm.");
	puts("Next: czctl actions shows the effect; sudo czctl undo takes it back");
	return EXIT_OK;
}

const struct verb verb_approve = {
    .name = "approve",
    .summary = "do one proposed action",
    .usage = "NUMBER",
    .help = "In mode observe czd proposes actions; this does one of them. Like all actions it\n"
	    "is measured, leased, and undone when it does not help. Until its lease ends (10\n"
	    "minutes) it is taken back while there is no harm, and comes back with the harm\n"
	    "without asking again; czctl actions and mode show that, czctl undo ends it.\n"
	    "\n"
	    "Example:\n"
	    "  czctl actions\n"
	    "  sudo czctl approve 3\n",
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = approve_run,
};
