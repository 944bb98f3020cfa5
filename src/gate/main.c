/* SPDX-License-Identifier: MIT */
/* cz-gate: options, set-up, and the loop. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"
#include "gate/gate.h"
#include "gate/history.h"
#include "gate/history-reader.h"
#include "gate/sandbox.h"

#define EXIT_BAD_USAGE 2
#define EXIT_NO_START  3
#define SLOW_NS	       60000000000ull /* verify looks at every knob of the host */

static const char *const log_levels[] = {"error", "warn", "notice", "info", "debug", NULL};

struct gate_arguments {
	struct gate_options o;
	uint32_t log_level;
};

#define OPT(...) OPTION(struct gate_arguments, __VA_ARGS__)
static const struct option_desc options[] = {
    OPT("listen", TEXT, o.listen, "ADDRESS:PORT", "where (default 127.0.0.1:9780)"),
    OPT("socket", TEXT, o.socket, "PATH", "of czd (default /run/cz/czd.sock)"),
    OPT("user", TEXT, o.user, "NAME", "whom to become when started as root (default cz-gate)"),
    OPT("read-token", TEXT, o.read_token_file, "FILE",
	"the token for reading (default /etc/cz/read-token)"),
    OPT("change-token", TEXT, o.change_token_file, "FILE",
	"the token for changing (default /etc/cz/change-token)"),
    OPT("hosts", TEXT, o.hosts, "NAME,..", "further names that this host is asked by"),
    OPT("max-zones", NUMBER, o.zones_max, "N", "zones in /metrics at most (default 5000)", .min = 1,
	.max = VIEW_ZONES_MAX),
    OPT("history", TEXT, o.history, "FILE",
	"where history is kept, or none (default /var/lib/cz-gate/history.db)"),
    OPT("history-size", SIZE, o.history_bytes, "SIZE", "of that file at most (default 1G)",
	.min = STORE_BYTES_MIN),
    OPT("history-age", DURATION, o.history_age_ns, "TIME", "what is older goes (default 336h)",
	.min = 60000000000ull),
    OPT("log-level", CHOICE, log_level, "LEVEL", "error, warn, notice, info (default), debug",
	.choices = log_levels),
    OPT("help", FLAG, o.help, NULL, "this text", .letter = 'h'),
    OPT("version", FLAG, o.version, NULL, "version", .letter = 'V'),
    OPTIONS_END,
};

static void print_help(void)
{
	puts("cz-gate: HTTP for Control Zone: API, metrics, page\n\n"
	     "usage: cz-gate [options]\n");
	options_print(options);
	puts("\nIt reads from czd what its user may read: that user has to be in the group cz.\n"
	     "Without a read token it listens on loopback only. Nothing can be changed without a\n"
	     "change token, and unless its user is in the group cz-admin too. See cz-gate(8).");
}

/* The order of the base's levels is that of syslog; the words start at error. */
static void set_log_level(const struct gate_arguments *a)
{
	enum log_level level;

	if (log_level_from_name(log_levels[a->log_level], &level) == 0)
		log_set_level(level);
}

static int load_tokens(struct gate *g, struct error *reterr)
{
	int r = security_load_token(g->opt->read_token_file, g->security.read_token, reterr);

	if (r < 0)
		return r;
	g->security.hosts = g->opt->hosts;
	if (gethostname(g->security.hostname, sizeof(g->security.hostname) - 1) < 0)
		g->security.hostname[0] = 0;
	return security_load_token(g->opt->change_token_file, g->security.change_token, reterr);
}

static int open_all(struct gate *g, struct error *reterr)
{
	int r = sd_event_default(&g->loop);

	if (r >= 0)
		r = czd_new(g->loop, g->opt->socket, CZD_PATIENCE_NS, &g->watch);
	if (r >= 0)
		r = czd_new(g->loop, g->opt->socket, CZD_PATIENCE_NS, &g->ask);
	if (r >= 0)
		r = czd_new(g->loop, g->opt->socket, SLOW_NS, &g->change);
	if (r >= 0)
		r = stream_new(g, &g->stream);
	if (r >= 0)
		r = watch_new(g, &g->watcher);
	for (size_t i = 0; i < 2 && r >= 0; i++)
		r = sd_event_add_signal(g->loop, NULL, i ? SIGINT : SIGTERM, NULL, NULL);
	return r < 0 ? error_errno(reterr, r, "set-up") : 0;
}

/* Files and sockets that take rights come first, then the rights go. */
static int start(struct gate *g, struct error *reterr)
{
	int r = load_tokens(g, reterr);

	if (r == 0)
		r = open_all(g, reterr);
	if (r == 0)
		r = http_new(g, &g->http, reterr);
	history_prepare(g->opt->history, g->opt->user);
	if (r == 0)
		r = sandbox_become(g->opt->user, reterr);
	if (r == 0 && strcmp(g->opt->history, "none") != 0) {
		r = reader_new(g, g->opt->history, &g->reader);
		if (r < 0)
			error_errno(reterr, r, "the thread that reads history");
	}
	if (r == 0)
		r = sandbox_lock(reterr);
	if (r == 0 && history_new(g, &g->history) < 0)
		r = error_errno(reterr, -ENOMEM, "history");
	return r;
}

static void stop(struct gate *g)
{
	/* In this order: who waits is answered, who listens let go, then HTTP can end. */
	czd_free(g->watch);
	czd_free(g->ask);
	czd_free(g->change);
	reader_free(g->reader);
	watch_free(g->watcher);
	stream_end(g->stream);
	metrics_done(&g->metrics);
	http_free(g->http);
	stream_free(g->stream);
	history_free(g->history);
	view_reset(&g->view);
	sd_event_unref(g->loop);
}

void gate_on_snapshot(struct gate *g)
{
	if (g->view.known && pairs_take(&g->metrics.pairs, &g->view) < 0)
		log_debug("out of memory: pairs");
	stream_snapshot(g->stream);
	history_snapshot(g->history);
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like any other */
}

static int run(const struct gate_options *o)
{
	struct gate g = {.opt = o, .started_real_ns = clock_real_ns()};
	struct error e = {0};
	int r;

	block_signals();
	r = start(&g, &e);
	if (r < 0) {
		log_error("%s%s%s", e.msg, e.hint[0] ? ". " : "", e.hint);
		stop(&g);
		/* an address may come with the network: then it is worth another try */
		return e.code == -EADDRNOTAVAIL ? EXIT_FAILURE : EXIT_NO_START;
	}
	if (!g.security.read_token[0])
		log_warn("no read token (%s): everybody on this host may read", o->read_token_file);
	log_notice("listening at %s, port %u", o->listen, http_port(g.http));
	sd_notify(0, "READY=1");
	r = sd_event_loop(g.loop);
	stop(&g);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct gate_arguments a = {
	    .o = {.listen = "127.0.0.1:9780",
		  .socket = "/run/cz/czd.sock",
		  .user = "cz-gate",
		  .read_token_file = "/etc/cz/read-token",
		  .change_token_file = "/etc/cz/change-token",
		  .zones_max = 5000,
		  .history = "/var/lib/cz-gate/history.db",
		  .history_bytes = 1ull << 30,
		  .history_age_ns = 14 * 24 * 3600 * 1000000000ull},
	    .log_level = 3,
	};
	static const struct option_desc *const tables[] = {options, NULL};
	struct error e = {0};

	if (options_parse(tables, &a, argc - 1, argv + 1, NULL, 0, &e) < 0) {
		fprintf(stderr, "cz-gate: %s\n%s%s", e.msg, e.hint, e.hint[0] ? "\n" : "");
		fputs("Try: cz-gate --help\n", stderr);
		return EXIT_BAD_USAGE;
	}
	if (a.o.help)
		print_help();
	if (a.o.version)
		puts("cz-gate " CZ_VERSION);
	if (a.o.help || a.o.version)
		return EXIT_SUCCESS;
	set_log_level(&a);
	return run(&a.o);
}
