/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

enum { OPT_ALL };
static const struct verb_option options[] = {
    [OPT_ALL] = {"all", NULL, "settled ones too"},
    {0},
};

static void print_list(const struct cli *cli, const json_t *data)
{
	const json_t *actions = json_object_get(data, "actions");
	size_t nr = json_array_size(actions), proposed = 0, held = 0, i;
	char buf[SHOW_MAX];
	json_t *a;

	json_array_foreach(actions, i, a)
	{
		proposed += !strcmp(get_text(a, "state"), "proposed");
		held += action_holds(a);
	}
	if (nr == 0) {
		puts("No actions: czd has changed nothing and proposes nothing.");
		return;
	}
	if (nr > proposed)
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "%s; %zu proposed.",
			      show_plural(nr - proposed, "action", buf), proposed);
	else
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "Nothing done; %s.",
			      show_plural(proposed, "proposal", buf));
	putchar('\n');
	show_actions(cli, actions);
	if (proposed)
		puts("\nNext: sudo czctl approve NUMBER");
	else if (held)
		puts("\nNext: czctl undo puts everything back; czctl verify shows that it is so");
	else
		puts("\nNone of these is in force. Next: czctl verify shows that the host is as it "
		     "was");
}

static void print_actions(const struct cli *cli, const json_t *data)
{
	print_list(cli, data);
	show_approvals(cli, data);
}

static int actions_run(struct cli *cli, const struct args *args)
{
	return cli_show(cli, "actions", json_pack("{s:b}", "all", args->option[OPT_ALL] != NULL),
			print_actions);
}

const struct verb verb_actions = {
    .name = "actions",
    .summary = "what czd changed or proposes, why, and what came of it",
    .usage = "[--all]",
    .help = "Every action is an experiment: one knob of one best-effort zone, from an old to\n"
	    "a new value, with its reason, and with the effect on the protected zone measured\n"
	    "before and after.\n"
	    "\n"
	    "  took   from when the harm by it began, or from when czd was allowed to act if\n"
	    "         that is later, to the knob written\n"
	    "  state  proposed (mode observe: wait for approve), applied (being measured),\n"
	    "         kept, reverted, failed (nothing changed), lost (somebody else changed\n"
	    "         the knob: hands off), expired\n"
	    "\n"
	    "Below stands what was approved and comes back with the harm, and until when.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl actions\n"
	    "  czctl actions --all -o json | jq '.actions[] | {seq, took_ns, outcome}'\n",
    .options = options,
    .run = actions_run,
};
