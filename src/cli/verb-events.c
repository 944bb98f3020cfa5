/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "base/parse.h"

enum { OPT_FOLLOW, OPT_SINCE };
static const struct verb_option options[] = {
    [OPT_FOLLOW] = {"follow", NULL, "go on with new events; Ctrl-C ends it"},
    [OPT_SINCE] = {"since", "NUMBER", "only events after this number"},
    {0},
};

static size_t print_events(const struct cli *cli, const json_t *data)
{
	char when[SHOW_MAX];
	json_t *event;
	size_t i;

	if (cli->json) {
		cli_print_json(data);
		return 1;
	}
	json_array_foreach(json_object_get(data, "events"), i, event) out_paragraph(
	    &cli->out, 10, STYLE_PLAIN, "%s  %-7s  %s", show_real_time(event, "real_ns", when),
	    text_or_dash(event, "kind"), text_or_dash(event, "text"));
	return i;
}

static int follow_events(struct cli *cli)
{
	struct error e = {0};
	int r = 0;

	while (r == 0 && fflush(stdout) == 0) {
		_cleanup_json_ json_t *data = NULL;

		r = client_next(&cli->client, &data, &e);
		if (r == 0)
			print_events(cli, data);
	}
	return r < 0 ? cli_fail(cli, &e) : EXIT_FAILED;
}

static int events_run(struct cli *cli, const struct args *args)
{
	const char *since_text = args->option[OPT_SINCE];
	bool follow = args->option[OPT_FOLLOW];
	_cleanup_json_ json_t *data = NULL;
	uint64_t since = 0;
	int r;

	if (since_text && (parse_u64(since_text, &since) < 0 || since > INT64_MAX))
		return cli_usage(&verb_events, "--since: '%s' is not an event's number",
				 since_text);
	r = cli_call(cli, "events",
		     json_pack("{s:I, s:b}", "since", (json_int_t)since, "follow", follow), &data);
	if (r != EXIT_OK)
		return r;
	if (print_events(cli, data) == 0 && !follow)
		puts("No events.");
	return follow ? follow_events(cli) : EXIT_OK;
}

const struct verb verb_events = {
    .name = "events",
    .summary = "what happened, in order",
    .usage = "[--follow] [--since NUMBER]",
    .help = "Zones that came and went, findings, actions, changes of mode, the ledger going\n"
	    "on or off. The numbers for --since are in the JSON output (seq).\n"
	    "\n"
	    "Examples:\n"
	    "  czctl events\n"
	    "  czctl events --follow\n"
	    "  czctl events --follow -o json | jq --unbuffered -c '.events[]'\n",
    .options = options,
    .run = events_run,
};
