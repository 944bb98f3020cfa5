/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/show.h"
#include "cli/top-live.h"
#include "cli/verbs.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "base/parse.h"

enum { OPT_ONCE, OPT_ALL, OPT_TREE, OPT_INTERVAL, OPT_LIMIT };
static const struct verb_option options[] = {
    [OPT_ONCE] = {"once", NULL, "one look, then end"},
    [OPT_ALL] = {"all", NULL, "zones of class normal too"},
    [OPT_TREE] = {"tree", NULL, "live: begin with the tree of zones"},
    [OPT_INTERVAL] = {"interval", "TIME", "look this often at most (default: czd's tick)"},
    [OPT_LIMIT] = {"limit", "N", "at most so many zones (default 20; live 1000)"},
    {0},
};

#define LIMIT_DEFAULT	20
#define LIMIT_LIVE	1000
#define LIMIT_MAX	65536
#define SECOND_NS	1000000000ull
#define INTERVAL_MIN_NS 100000000ull
#define INTERVAL_MAX_NS 3600000000000ull

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

static int look(struct cli *cli, const struct top_options *o)
{
	_cleanup_json_ json_t *data = NULL;
	int r;

	r = cli_call(cli, "top", json_pack("{s:b, s:i}", "all", o->all, "limit", (int)o->limit),
		     &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(data);
	} else {
		print_host(cli, data);
		putchar('\n');
		show_zones(cli, json_object_get(data, "zones"), o->limit);
	}
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "czctl: cannot write the output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* Until Ctrl-C: true when it came before the interval was over. */
static bool stopped(const sigset_t *stop, uint64_t interval_ns)
{
	const struct timespec pause = {.tv_sec = (time_t)(interval_ns / SECOND_NS),
				       .tv_nsec = (long)(interval_ns % SECOND_NS)};

	return sigtimedwait(stop, NULL, &pause) > 0;
}

/* One look after the other, below each other: for files and programs. */
static int repeat(struct cli *cli, const struct top_options *o)
{
	sigset_t stop;
	int r;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	do {
		r = look(cli, o);
	} while (r == EXIT_OK && !stopped(&stop, o->interval_ns));
	return r;
}

/* A czd that is not there, or refuses, is told before the terminal is taken over. */
static int live(struct cli *cli, const struct top_options *o)
{
	_cleanup_json_ json_t *data = NULL;
	int r = cli_call(cli, "version", json_object(), &data);

	client_close(&cli->client);
	return r == EXIT_OK ? top_live(cli, o) : r;
}

static int read_options(const struct args *args, struct top_options *o)
{
	const char *limit = args->option[OPT_LIMIT], *interval = args->option[OPT_INTERVAL];

	if (limit && (parse_u32(limit, &o->limit) < 0 || !o->limit || o->limit > LIMIT_MAX))
		return cli_usage(&verb_top, "--limit: '%s' is not a number from 1 to %d", limit,
				 LIMIT_MAX);
	if (interval && (parse_duration_ns(interval, &o->interval_ns) < 0 ||
			 o->interval_ns < INTERVAL_MIN_NS || o->interval_ns > INTERVAL_MAX_NS))
		return cli_usage(&verb_top, "--interval: '%s' is not a time from 100ms to 1h",
				 interval);
	return EXIT_OK;
}

static int top_run(struct cli *cli, const struct args *args)
{
	bool is_live = !args->option[OPT_ONCE] && !cli->json && isatty(STDOUT_FILENO);
	struct top_options o = {
	    .all = args->option[OPT_ALL],
	    .tree = args->option[OPT_TREE],
	    .limit = is_live ? LIMIT_LIVE : LIMIT_DEFAULT,
	};
	int r = read_options(args, &o);

	if (r != EXIT_OK)
		return r;
	if (is_live)
		return live(cli, &o);
	return o.interval_ns && !args->option[OPT_ONCE] ? repeat(cli, &o) : look(cli, &o);
}

const struct verb verb_top = {
    .name = "top",
    .summary = "the busiest zones, live",
    .usage = "[--once] [--all] [--tree] [--interval TIME] [--limit N]",
    .help = "Live on a terminal (80x24 or larger): the host, the zones, whom the selected\n"
	    "zone waited for, findings and actions, anew with each tick of czd. The keys are\n"
	    "told by '?'; 'q' ends it. The columns are those of 'czctl help list', and io/s.\n"
	    "\n"
	    "With --once, in a pipe or with -o json: the host in one line, then zones,\n"
	    "busiest first; with --interval again and again, until Ctrl-C.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl top\n"
	    "  czctl top --tree --all\n"
	    "  czctl top --once --all --limit 10\n"
	    "  czctl top --once -o json | jq .host\n",
    .options = options,
    .run = top_run,
};
