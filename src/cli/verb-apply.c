/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/zone-cli.h"

enum { OPT_FILE, OPT_WAIT, OPT_REBOOT, OPT_DRY_RUN };
static const struct verb_option options[] = {
    [OPT_FILE] = {"file", "FILE", "the zone's description (-: standard input)"},
    [OPT_WAIT] = {"wait", NULL, "until it runs, with its scheduler (at most a minute)"},
    [OPT_REBOOT] = {"reboot", NULL, "boot it anew when a change needs it"},
    [OPT_DRY_RUN] = {"dry-run", NULL, "only show what would be done"},
    {0},
};

static int apply_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *spec = NULL, *data = NULL;
	bool dry_run = args->option[OPT_DRY_RUN];
	int r = zone_cli_spec(&verb_apply, args->option[OPT_FILE], &spec);

	if (r == EXIT_OK)
		r = cli_call(cli, "zone-apply",
			     json_pack("{s:O,s:b,s:b}", "spec", spec, "reboot",
				       args->option[OPT_REBOOT] != NULL, "dry_run", dry_run),
			     &data);
	if (r == EXIT_OK && args->option[OPT_WAIT] && !dry_run)
		r = zone_cli_wait(cli, zone_cli_name(spec), "running", ZONE_WAIT_NS);
	if (r != EXIT_OK)
		return r;
	if (args->option[OPT_WAIT] && !dry_run)
		zone_cli_note_apps(cli, zone_cli_name(spec));
	if (!get_bool(data, "created"))
		return zone_cli_updated(cli, data);
	return zone_cli_done(cli, data, "Zone %s %s created and started.", zone_cli_name(spec),
			     dry_run ? "would be" : "is");
}

const struct verb verb_apply = {
    .name = "apply",
    .summary = "make a zone be as a file says: create, update, start",
    .usage = "-f FILE [--wait] [--reboot] [--dry-run]",
    .help = "Whatever it takes: a new zone is created and started, one that exists is\n"
	    "updated, one that is stopped is started. The same file twice changes nothing.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl apply -f web.yaml --wait\n"
	    "  sudo czctl apply -f web.yaml --dry-run\n",
    .options = options,
    .letters = "f",
    .changes = true,
    .run = apply_run,
};
