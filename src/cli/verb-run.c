/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/cpuset.h"
#include "model/zone.h"

enum { OPT_NAME, OPT_CLASS, OPT_SLO, OPT_CPUS };
static const struct verb_option options[] = {
    [OPT_NAME] = {"name", "NAME", "name of the zone (default: the command's name and a number)"},
    [OPT_CLASS] = {"class", "CLASS", "lc, be or normal (default: normal; lc with --slo)"},
    [OPT_SLO] = {"slo", "GOALS", "such as wait.p99=500us (class lc)"},
    [OPT_CPUS] = {"cpus", "LIST", "only on these CPUs, such as 0-3,8"},
    {0},
};

static bool is_name(const char *s)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return s[0] && s[0] != '.' && strlen(s) <= 64 && s[strspn(s, allowed)] == 0;
}

static void default_name(const char *command, char *buf, size_t size)
{
	const char *slash = strrchr(command, '/');
	size_t n;

	snprintf(buf, size, "%.40s", slash ? slash + 1 : command);
	for (char *p = buf; *p; p++) {
		char one[2] = {*p, 0};

		if (!is_name(one) && (*p != '.' || p == buf))
			*p = '_';
	}
	n = strlen(buf);
	snprintf(buf + n, size - n, "-%d", (int)getpid());
}

static int check_options(const struct args *args)
{
	struct error e = {0};
	enum zone_class class = CLASS_LC;
	struct cpuset cpus;
	struct slo slo;

	if (args->option[OPT_NAME] && !is_name(args->option[OPT_NAME]))
		return cli_usage(&verb_run, "'%s' is not a zone's name (letters, digits, . _ -)",
				 args->option[OPT_NAME]);
	if (args->option[OPT_CLASS] && zone_class_parse(args->option[OPT_CLASS], &class) < 0)
		return cli_usage(&verb_run, "'%s' is not a class (lc, be, normal)",
				 args->option[OPT_CLASS]);
	if (args->option[OPT_SLO] && slo_parse(args->option[OPT_SLO], &slo, &e) < 0)
		return cli_usage(&verb_run, "--slo: %s", e.msg);
	if (args->option[OPT_SLO] && class != CLASS_LC)
		return cli_usage(&verb_run, "--slo is for class lc");
	if (args->option[OPT_CPUS] &&
	    (cpuset_parse(args->option[OPT_CPUS], &cpus) < 0 || !cpuset_count(&cpus)))
		return cli_usage(&verb_run, "--cpus: '%s' is not a list of CPUs (0-3,8)",
				 args->option[OPT_CPUS]);
	return EXIT_OK;
}

static int run_run(struct cli *cli, const struct args *args)
{
	const char *class = args->option[OPT_CLASS], *name = args->option[OPT_NAME];
	_cleanup_json_ json_t *data = NULL;
	char made_up[80];
	int r;

	r = check_options(args);
	if (r != EXIT_OK)
		return r;
	if (!name) {
		default_name(args->words[0], made_up, sizeof(made_up));
		name = made_up;
	}
	if (!class)
		class = args->option[OPT_SLO] ? "lc" : "normal";
	r = cli_call(cli, "run",
		     json_pack("{s:s, s:s, s:s*, s:s*}", "name", name, "class", class, "slo",
			       args->option[OPT_SLO], "cpus", args->option[OPT_CPUS]),
		     &data);
	if (r != EXIT_OK)
		return r;
	(void)say_not_kept(cli, data); /* the command runs all the same */
	/* This process is in the zone now; the command takes its place. words ends with argv's NULL
	 * only when nothing was moved to the front. */
	args->words[args->nr] = NULL;
	execvp(args->words[0], args->words);
	r = errno == ENOENT ? EXIT_COMMAND_ABSENT : EXIT_CANNOT_RUN;
	fprintf(stderr, "czctl: cannot run '%s': %s\n", args->words[0], strerror(errno));
	return r;
}

const struct verb verb_run = {
    .name = "run",
    .summary = "start a command in a new zone",
    .usage = "[OPTIONS] [--] COMMAND [ARGUMENT...]",
    .help = "czd makes the zone and moves this process into it; then the command takes this\n"
	    "process's place, as the user who called czctl. An empty zone is removed.\n"
	    "\n"
	    "The exit code is the command's; 127: no such command, 126: it cannot be run.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl run --class be -- stress-ng --cpu 2\n"
	    "  sudo czctl run --name web --slo wait.p99=500us -- redis-server\n"
	    "  sudo czctl run --class be --cpus 2-3 -- make -j2\n",
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .stops_at_word = true,
    .changes = true,
    .run = run_run,
};
