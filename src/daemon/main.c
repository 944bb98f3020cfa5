/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "daemon/keeper.h"

#define DEFAULT_RUN_DIR "/run/cz"
#define DEFAULT_CONFIG	"/etc/cz/czd.yaml"
#define DEFAULT_LIBEXEC CZ_LIBEXECDIR
#define WATCHDOG_S	30
#define WATCHDOG_MAX_S	86400
#define LARGE_BYTES	(1 << 20)

static const char help[] =
    "czd: keeps latency-critical and best-effort work apart on one machine\n"
    "\n"
    "usage: czd [options]           run in the foreground (under systemd or a shell)\n"
    "       czd --undo [options]    put back every knob that a dead czd left changed\n"
    "       czd --check [options]   read the configuration, say what is wrong with it, and end\n"
    "\n"
    "  -c, --config FILE     configuration (default " DEFAULT_CONFIG ", which may be missing)\n"
    "      --run-dir DIR     socket and journal, on a tmpfs (default " DEFAULT_RUN_DIR ")\n"
    "      --state-dir DIR   what users protect (default " DEFAULT_STATE_DIR ";\n"
    "                        with --run-dir: that directory)\n"
    "      --root DIR        look at a captured machine instead of this one; changes nothing\n"
    "      --libexec DIR     where cz-run, cz-vm and the schedulers are\n"
    "                        (default $CZ_LIBEXEC, else\n"
    "                        " DEFAULT_LIBEXEC ")\n"
    "      --no-bpf          do not load the wait ledger; waiting is then only estimated\n"
    "      --no-keeper       run the worker alone (debugging)\n"
    "      --watchdog SEC    kill and restart a worker silent for so long (default 30,\n"
    "                        0: never)\n"
    "      --log-level L     error, warn, notice, info (default), debug\n"
    "  -h, --help            this text\n"
    "  -V, --version         version\n"
    "\n"
    "czd starts in mode observe: it looks and advises, and changes nothing. Talk to it with "
    "czctl.\n"
    "SIGHUP reads the configuration again; SIGTERM undoes all actions and stops. See czd(8).\n";

enum {
	OPT_RUN_DIR = 256,
	OPT_STATE_DIR,
	OPT_ROOT,
	OPT_LIBEXEC,
	OPT_NO_BPF,
	OPT_NO_KEEPER,
	OPT_WATCHDOG,
	OPT_UNDO,
	OPT_CHECK,
	OPT_LOG_LEVEL
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"run-dir", required_argument, NULL, OPT_RUN_DIR},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"root", required_argument, NULL, OPT_ROOT},
    {"libexec", required_argument, NULL, OPT_LIBEXEC},
    {"no-bpf", no_argument, NULL, OPT_NO_BPF},
    {"no-keeper", no_argument, NULL, OPT_NO_KEEPER},
    {"watchdog", required_argument, NULL, OPT_WATCHDOG},
    {"undo", no_argument, NULL, OPT_UNDO},
    {"check", no_argument, NULL, OPT_CHECK},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static int run_worker(void *arg)
{
	/* snapshots of 10,000 zones come and go: back to the kernel, without holes in the heap */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	return daemon_run(arg);
}

static int run_undo(void *arg)
{
	return daemon_undo(arg);
}

static int run_check(const struct options *opt)
{
	struct config cfg = {0};

	if (load_config(opt, &cfg) < 0)
		return EXIT_USAGE;
	config_done(&cfg);
	return EXIT_SUCCESS;
}

static int usage_error(const char *text)
{
	fprintf(stderr, "czd: %s\nTry: czd --help\n", text);
	return EXIT_USAGE;
}

static int bad_option(const char *word)
{
	char text[200], shown[120];

	snprintf(text, sizeof(text), "'%s' is not an option, or lacks its value",
		 str_escape(shown, sizeof(shown), word));
	return usage_error(text);
}

static int print_text(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "czd: cannot write the output: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

/* What to do with the options. */
struct command {
	bool undo, check, no_keeper;
	uint64_t watchdog_s;
};

/* Returns -1 when there is something to do, else the exit code. */
static int parse_words(int argc, char **argv, struct options *opt, struct command *cmd)
{
	enum log_level level;
	int c;

	opterr = 0; /* one sentence of our own */
	while ((c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			opt->config_path = optarg;
			opt->config_required = true;
			break;
		case OPT_RUN_DIR:
			opt->run_dir = optarg;
			break;
		case OPT_STATE_DIR:
			opt->state_dir = optarg;
			break;
		case OPT_ROOT:
			opt->root = optarg;
			break;
		case OPT_LIBEXEC:
			opt->libexec_dir = optarg;
			break;
		case OPT_NO_BPF:
			opt->no_bpf = true;
			break;
		case OPT_NO_KEEPER:
			cmd->no_keeper = true;
			break;
		case OPT_WATCHDOG:
			if (parse_u64(optarg, &cmd->watchdog_s) < 0 ||
			    cmd->watchdog_s > WATCHDOG_MAX_S)
				return usage_error("--watchdog is a whole number of seconds, at "
						   "most a day");
			break;
		case OPT_UNDO:
			cmd->undo = true;
			break;
		case OPT_CHECK:
			cmd->check = true;
			break;
		case OPT_LOG_LEVEL:
			if (log_level_from_name(optarg, &level) < 0)
				return usage_error(
				    "--log-level is error, warn, notice, info or debug");
			log_set_level(level);
			break;
		case 'h':
			return print_text(help);
		case 'V':
			return print_text("czd " CZ_VERSION "\n");
		default:
			return bad_option(argv[optind - 1]);
		}
	}
	return optind < argc ? usage_error("unexpected argument") : -1;
}

int main(int argc, char **argv)
{
	struct options opt = {.root = "/",
			      .config_path = DEFAULT_CONFIG,
			      .libexec_dir = DEFAULT_LIBEXEC,
			      .beat_fd = -1};
	struct command cmd = {.watchdog_s = WATCHDOG_S};
	struct keeper_options ko = {
	    .worker = run_worker, .undo = run_undo, .arg = &opt, .ret_beat_fd = &opt.beat_fd};
	const char *set = getenv("CZ_LIBEXEC");
	char libexec[PATH_MAX];
	int status;

	if (set && set[0])
		opt.libexec_dir = set;
	status = parse_words(argc, argv, &opt, &cmd);
	if (status >= 0)
		return status;
	if (!opt.state_dir)
		opt.state_dir = opt.run_dir ? opt.run_dir : DEFAULT_STATE_DIR;
	if (!opt.run_dir)
		opt.run_dir = DEFAULT_RUN_DIR;
	/* what is started from there has another working directory */
	if (realpath(opt.libexec_dir, libexec))
		opt.libexec_dir = libexec;
	if (cmd.check)
		return run_check(&opt);
	if (cmd.undo)
		return run_undo(&opt);
	ko.watchdog_ns = cmd.watchdog_s * 1000000000;
	return cmd.no_keeper ? run_worker(&opt) : keeper_run(&ko);
}
