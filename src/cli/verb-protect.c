/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include "model/zone.h"

enum { OPT_SLO, OPT_CLASS };
static const struct verb_option options[] = {
    [OPT_SLO] = {"slo", "GOALS", "goals, such as wait.p99=500us,share=5%,latency.p99=2ms"},
    [OPT_CLASS] = {"class", "CLASS", "lc (default), be or normal"},
    {0},
};

static void print_protected(struct cli *cli, const json_t *zone)
{
	const char *class = text_or_dash(zone, "class"), *slo = get_text(zone, "slo");
	const char *name = text_or_dash(zone, "name");
	_cleanup_json_ json_t *mode = NULL;
	struct error ignored = {0};

	/* The answer does not carry the mode; without it the sentence is still true. */
	if (client_call(&cli->client, "mode", json_object(), &mode, &ignored) < 0)
		mode = NULL;
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "%s is now %s%s%s%s%s%s", name, class_words(class),
		      slo[0] ? ", goal " : "", slo, mode ? " (mode: " : "",
		      mode ? text_or_dash(mode, "mode") : "", mode ? ")." : ".");
	if (!strcmp(class, "lc"))
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "Next: czctl why %s", name);
}

static int protect_run(struct cli *cli, const struct args *args)
{
	const char *slo = args->option[OPT_SLO], *class = args->option[OPT_CLASS];
	_cleanup_json_ json_t *zone = NULL;
	enum zone_class parsed = CLASS_LC;
	struct error e = {0};
	struct slo goals;
	int r;

	if (class && zone_class_parse(class, &parsed) < 0)
		return cli_usage(&verb_protect, "'%s' is not a class (lc, be, normal)", class);
	if (slo && slo_parse(slo, &goals, &e) < 0)
		return cli_usage(&verb_protect, "--slo: %s", e.msg);
	if (slo && parsed != CLASS_LC)
		return cli_usage(&verb_protect, "--slo is for class lc");
	r = cli_call(
	    cli, "protect",
	    json_pack("{s:s, s:s*, s:s*}", "zone", args->words[0], "slo", slo, "class", class),
	    &zone);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(zone);
	else
		print_protected(cli, zone);
	return say_not_kept(cli, zone);
}

const struct verb verb_protect = {
    .name = "protect",
    .summary = "make a zone latency-critical, with a goal",
    .usage = "ZONE [--slo GOALS] [--class CLASS]",
    .help = "From now on czd measures who makes this zone wait. It is kept across restarts,\n"
	    "by the zone's path. Goals, separated by commas:\n"
	    "\n"
	    "  wait.p99=500us     99 of 100 waits for a CPU are shorter,\n"
	    "                     and so is what work arriving at any moment waits\n"
	    "  share=5%           it waits for others at most so much of the time\n"
	    "  latency.p99=2ms    what the application reports (czctl help feed)\n"
	    "\n"
	    "Without a goal czd learns what is usual. --class be marks a zone as best-effort:\n"
	    "only such zones are ever acted on.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl protect redis.service --slo wait.p99=500us\n"
	    "  sudo czctl protect batch.slice --class be\n",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .changes = true,
    .run = protect_run,
};
