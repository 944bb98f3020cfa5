/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "cli/show.h"
#include "cli/verbs.h"

enum { OPT_FOLLOW, OPT_APP, OPT_SUPERVISOR };
static const struct verb_option options[] = {
    [OPT_FOLLOW] = {"follow", NULL, "go on with what comes"},
    [OPT_APP] = {"app", "APP", "the output of one app"},
    [OPT_SUPERVISOR] = {"supervisor", NULL, "what the process that holds the zone has to say"},
    {0},
};

/* Each line escaped: no app can move the cursor of whoever reads its log. */
static void print_log(const char *text)
{
	char line[4096], shown[8192];

	while (*text) {
		size_t n = strcspn(text, "\n");

		/* a console ends its lines with both */
		size_t shown_n = n && text[n - 1] == '\r' ? n - 1 : n;

		snprintf(line, sizeof(line), "%.*s",
			 (int)(shown_n < sizeof(line) ? shown_n : sizeof(line) - 1), text);
		puts(str_escape(shown, sizeof(shown), line));
		text += n + (text[n] == '\n');
	}
	fflush(stdout);
}

static int log_run(struct cli *cli, const struct args *args)
{
	bool follow = args->option[OPT_FOLLOW], supervisor = args->option[OPT_SUPERVISOR];
	struct timespec pause = {.tv_nsec = 300000000};
	json_int_t offset = -1;

	do {
		_cleanup_json_ json_t *data = NULL;
		int r = cli_call(cli, "zone-log",
				 json_pack("{s:s,s:s*,s:b,s:o*}", "name", args->words[0], "app",
					   args->option[OPT_APP], "supervisor", supervisor,
					   "offset", offset < 0 ? NULL : json_integer(offset)),
				 &data);

		if (r != EXIT_OK)
			return r;
		if (cli->json)
			cli_print_json(data);
		else
			print_log(get_text(data, "text"));
		offset = json_integer_value(json_object_get(data, "offset"));
		if (follow)
			nanosleep(&pause, NULL);
	} while (follow);
	return EXIT_OK;
}

const struct verb verb_log = {
    .name = "log",
    .summary = "what a zone's apps, or its console, have printed",
    .usage = "[-f] [--app APP] ZONE",
    .help = "Without --app: the console of a virtual machine, or what the supervisor of a\n"
	    "cgroup zone said. The last 32 KiB; each log keeps 1 MiB and one older piece.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl log --app redis web\n"
	    "  czctl log -f --app redis web\n",
    .options = options,
    .letters = "f",
    .min_words = 1,
    .max_words = 1,
    .run = log_run,
};
