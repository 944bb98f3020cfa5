/* SPDX-License-Identifier: MIT */
#include <stdio.h>
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

static json_t *find(const json_t *apps, const char *name, size_t *ret_index)
{
	json_t *app;
	size_t i;

	json_array_foreach(apps, i, app)
	{
		if (!strcmp(get_text(app, "name"), name)) {
			*ret_index = i;
			return app;
		}
	}
	return NULL;
}

/* The zone's own description with that change: czd sees a whole, as from `update`. */
static int change(const struct args *args, json_t *spec)
{
	json_t *apps = json_object_get(spec, "apps"), *app;
	size_t at;

	if (!apps) {
		apps = json_array();
		json_object_set_new(spec, "apps", apps);
	}
	if (!strcmp(args->words[0], "delete")) {
		if (!find(apps, args->words[2], &at)) {
			fprintf(stderr, "czctl: there is no app '%s' in that zone.\n",
				args->words[2]);
			return EXIT_NOT_FOUND;
		}
		json_array_remove(apps, at);
		return EXIT_OK;
	}
	app = app_of(args);
	if (!app)
		return cli_usage(&verb_pod, "the command is not UTF-8 text");
	if (find(apps, get_text(app, "name"), &at)) {
		json_decref(app);
		return cli_usage(&verb_pod, "there is such an app already: give it a --name");
	}
	json_array_append_new(apps, app);
	return EXIT_OK;
}

static int pod_run(struct cli *cli, const struct args *args)
{
	const char *op = args->words[0];
	_cleanup_json_ json_t *zone = NULL, *data = NULL;
	bool show = !strcmp(op, "show");
	int r;

	if (!show && strcmp(op, "add") && strcmp(op, "delete"))
		return cli_usage(&verb_pod, "'%s' is not add, delete or show", op);
	if (!show && args->nr < 3)
		return cli_usage(&verb_pod, "something is missing: czctl pod %s", verb_pod.usage);
	r = cli_call(cli, "zone-show", json_pack("{s:s}", "name", args->words[1]), &zone);
	if (r != EXIT_OK)
		return r;
	if (show) {
		if (cli->json)
			cli_print_json(json_object_get(zone, "apps"));
		else
			zone_cli_print(cli, zone);
		return EXIT_OK;
	}
	r = change(args, json_object_get(zone, "spec"));
	if (r == EXIT_OK)
		r = cli_call(cli, "zone-update",
			     json_pack("{s:O}", "spec", json_object_get(zone, "spec")), &data);
	return r == EXIT_OK ? zone_cli_updated(cli, data) : r;
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
