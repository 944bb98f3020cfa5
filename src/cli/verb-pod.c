/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "base/cleanup.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_APP, OPT_CLASS, OPT_CPUS };
static const struct verb_option options[] = {
    [OPT_APP] = {"name", "APP", "what the app is to be called (add; default: its command)"},
    [OPT_CLASS] = {"class", "CLASS", "lc, be or normal (add)"},
    [OPT_CPUS] = {"cpus", "CPUS", "its CPUs within the zone (add)"},
    {0},
};

static json_t *app_of(const struct args *args)
{
	const char *command = args->words[2], *slash = strrchr(command, '/');
	const char *name = args->option[OPT_APP] ? args->option[OPT_APP]
			   : slash		 ? slash + 1
						 : command;
	json_t *words = json_array();

	for (int i = 2; i < args->nr; i++)
		json_array_append_new(words, json_string(args->words[i]));
	return json_pack("{s:s,s:o,s:s*,s:s*}", "name", name, "command", words, "class",
			 args->option[OPT_CLASS], "cpuset", args->option[OPT_CPUS]);
}

/* Only the change is sent: czd makes it in the description that is there by then. */
static int change(struct cli *cli, const struct args *args)
{
	bool less = !strcmp(args->words[0], "delete");
	_cleanup_json_ json_t *data = NULL;
	json_t *app = less ? NULL : app_of(args);
	int r;

	if (!less && !app)
		return cli_usage(&verb_pod, "the command is not UTF-8 text");
	r = cli_call(cli, "zone-update",
		     json_pack("{s:s,s:o*,s:s*}", "name", args->words[1], "add_app", app,
			       "delete_app", less ? args->words[2] : NULL),
		     &data);
	return r == EXIT_OK ? zone_cli_updated(cli, data) : r;
}

static int pod_run(struct cli *cli, const struct args *args)
{
	const char *op = args->words[0];
	_cleanup_json_ json_t *zone = NULL;
	bool show = !strcmp(op, "show");
	int r;

	if (!show && strcmp(op, "add") && strcmp(op, "delete"))
		return cli_usage(&verb_pod, "'%s' is not add, delete or show", op);
	if (!show && args->nr < 3)
		return cli_usage(&verb_pod, "something is missing: czctl pod %s", verb_pod.usage);
	if (!show)
		return change(cli, args);
	r = cli_call(cli, "zone-show", json_pack("{s:s}", "name", args->words[1]), &zone);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(json_object_get(zone, "apps"));
	else
		zone_cli_print(cli, zone);
	return EXIT_OK;
}

const struct verb verb_pod = {
    .name = "pod",
    .summary = "apps of a zone: add one, delete one, show them",
    .usage = "add ZONE [--] COMMAND... | delete ZONE APP | show ZONE",
    .help = "Apps come and go while the zone runs; the others are not disturbed. What is\n"
	    "added belongs to the zone's description from then on.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl pod add --name batch --class be web -- stress-ng --cpu 1\n"
	    "  czctl pod show web\n"
	    "  sudo czctl pod delete web batch\n",
    .options = options,
    .min_words = 2,
    .max_words = -1,
    .changes = true,
    .run = pod_run,
};
