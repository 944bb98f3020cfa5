/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/show.h"
#include "cli/verbs.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "base/parse.h"

enum { OPT_ONCE, OPT_ALL, OPT_LIMIT };
static const struct verb_option options[] = {
    [OPT_ONCE] = {"once", NULL, "one look, then end"},
    [OPT_ALL] = {"all", NULL, "zones of class normal too"},
    [OPT_LIMIT] = {"limit", "N", "at most so many zones (default 20)"},
    {0},
};

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     65536

static void print_host(const struct cli *cli, const json_t *data)
{
	const json_t *host = json_object_get(data, "host");
	char busy[SHOW_MAX], cpus[SHOW_MAX], steal[SHOW_MAX], irq[SHOW_MAX], softirq[SHOW_MAX];
	char memory[SHOW_MAX], available[SHOW_MAX];
	_cleanup_free_ char *mode = mode_words(data);

	out_paragraph(
	    &cli->out, 2, STYLE_PLAIN,
	    "%s of %s CPUs busy; steal %s, interrupts %s, soft interrupts %s; memory %s of "
	    "%s available; mode %s",
	    show_cpus(host, "busy_ppm", busy), show_id(host, "cpus", cpus),
	    show_ppm(host, "steal_ppm", steal), show_ppm(host, "irq_ppm", irq),
	    show_ppm(host, "softirq_ppm", softirq),
	    show_bytes(host, "memory_available_bytes", available),
	    show_bytes(host, "memory_bytes", memory), mode ? mode : "-");
}

static int look(struct cli *cli, bool all, uint32_t limit, bool redraw)
{
	_cleanup_json_ json_t *data = NULL;
	int r;

	r = cli_call(cli, "top", json_pack("{s:b, s:i}", "all", all, "limit", (int)limit), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(data);
	} else {
		if (redraw) /* cursor home, clear to the end: nothing scrolls, nothing blinks */
			fputs("\033[H\033[J", stdout);
		print_host(cli, data);
		putchar('\n');
		show_zones(cli, json_object_get(data, "zones"), limit);
	}
	return fflush(stdout) == EOF ? EXIT_FAILED : EXIT_OK;
}

/* Until Ctrl-C: true when it came within a second. */
static bool stopped(const sigset_t *stop)
{
	return sigtimedwait(stop, NULL, &(struct timespec){.tv_sec = 1}) > 0;
}

static int top_run(struct cli *cli, const struct args *args)
{
	bool once = args->option[OPT_ONCE], all = args->option[OPT_ALL];
	bool redraw = !once && !cli->json && isatty(STDOUT_FILENO);
	uint32_t limit = LIMIT_DEFAULT;
	sigset_t stop;
	int r;

	if (args->option[OPT_LIMIT] &&
	    (parse_u32(args->option[OPT_LIMIT], &limit) < 0 || !limit || limit > LIMIT_MAX))
		return cli_usage(&verb_top, "--limit: '%s' is not a number from 1 to %d",
				 args->option[OPT_LIMIT], LIMIT_MAX);
	if (once)
		return look(cli, all, limit, false);
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	do {
		r = look(cli, all, limit, redraw);
	} while (r == EXIT_OK && !stopped(&stop));
	return r;
}

const struct verb verb_top = {
    .name = "top",
    .summary = "the busiest zones, every second",
    .usage = "[--once] [--all] [--limit N]",
    .help = "The host in one line, then zones, busiest first. The columns are those of\n"
	    "'czctl help list'. Repeats every second; Ctrl-C ends it.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl top\n"
	    "  czctl top --once --all --limit 10\n"
	    "  czctl top --once -o json | jq .host\n",
    .options = options,
    .run = top_run,
};
