/* SPDX-License-Identifier: MIT */
/* cz-load: options, set-up and result. */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/bench.h"
#include "base/options.h"

#define SECOND_NS 1000000000ull
#define DAY_NS	  (86400 * SECOND_NS)

static const char *const arrivals[] = {"poisson", "fixed", NULL};

#define OPT(...) OPTION(struct load_options, __VA_ARGS__)
static const struct option_desc common_options[] = {
    OPT("rate", NUMBER, rate_per_sec, "N", "requests per second (default 1000)", .min = 1,
	.max = 10000000),
    OPT("arrival", CHOICE, arrival, "poisson|fixed", "spacing (default poisson)",
	.choices = arrivals),
    OPT("connections", NUMBER, connections, "N", "(default 8)", .min = 1, .max = 10000),
    OPT("seconds", DURATION, seconds_ns, "TIME", "how long it measures (default: until stopped)",
	.max = DAY_NS),
    OPT("warmup", DURATION, warmup_ns, "TIME", "load before it, not measured", .max = DAY_NS),
    OPT("wait-ready", DURATION, wait_ready_ns, "TIME",
	"keep trying so long until the server answers", .max = DAY_NS),
    OPT("drain", DURATION, drain_ns, "TIME", "wait so long for the last replies (default 2s)",
	.max = 600 * SECOND_NS),
    OPT("seed", NUMBER, seed, "N", "of the schedule and the keys (default 1)"),
    OPT("cpu", CPUS, cpus, "LIST", "run on these CPUs only"),
    OPT("spin", FLAG, spin, NULL, "never sleep: exact, for a whole CPU"),
    OPT("interval", DURATION, interval_ns, "TIME", "of the time series (default 1s)",
	.min = 10000000, .max = DAY_NS),
    OPT("lag-max", DURATION, lag_max_ns, "TIME", "also judge without intervals of a longer own lag",
	.max = DAY_NS),
    OPT("interval-json", FLAG, interval_json, NULL,
	"a line of JSON per interval, the result as the last"),
    OPT("feed", TEXT, feed_socket, "SOCKET", "tell czd the latencies of each interval"),
    OPT("zone", TEXT, feed_zone, "NAME", "as latencies of this zone (with --feed)"),
    OPT("output", CHOICE, output, "text|json", "form of the result (default text)",
	.choices = bench_outputs, .letter = 'o'),
    OPT("quiet", FLAG, quiet, NULL, "no progress lines on stderr", .letter = 'q'),
    OPT("help", FLAG, help, NULL, "this text", .letter = 'h'),
    OPTIONS_END,
};

static const struct option_desc resp_options[] = {
    OPT("set-ratio", RATIO, set_ratio_ppm, "SHARE", "of SET among SET and GET (default 10%)"),
    OPT("keys", NUMBER, keys, "N", "how many, used evenly (default 10000)", .min = 1,
	.max = 1000000000),
    OPT("value-size", SIZE, value_bytes, "BYTES", "of a value (default 64)", .min = 1,
	.max = 1 << 20),
    OPT("fill", FLAG, fill, NULL, "set all keys first"),
    OPTIONS_END,
};

static const struct option_desc http_options[] = {
    OPT("path", TEXT, path, "PATH", "what to GET (default /)"),
    OPT("host", TEXT, host, "NAME", "the Host header (default localhost)"),
    OPTIONS_END,
};

static const struct {
	const struct dialect *dialect;
	const char *summary;
	const struct option_desc *options;
} protocols[] = {
    {&dialect_resp, "Redis GET and SET", resp_options},
    {&dialect_http, "HTTP/1.1 GET", http_options},
};

static void print_help(void)
{
	printf("Usage: cz-load resp|http [options] ADDRESS\n\n"
	       "Open-loop load: requests are sent on schedule whether or not earlier ones were\n"
	       "answered; latency counts from the intended instant. ADDRESS is HOST:PORT or the\n"
	       "path of a Unix socket.\n\n");
	options_print(common_options);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		printf("\n%s: %s\n", protocols[i].dialect->name, protocols[i].summary);
		options_print(protocols[i].options);
	}
	printf("\nExample: cz-load resp --rate 20000 --seconds 10 --cpu 0 --fill 127.0.0.1:6379\n");
}

/* Text that goes into a request or a feed line must not be able to add another. */
static int check_word(const char *name, const char *text, struct error *reterr)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return error_set(reterr, -EINVAL,
					 "--%s must not contain blanks or control "
					 "characters",
					 name);
	}
	return *text ? 0 : error_set(reterr, -EINVAL, "--%s must not be empty", name);
}

static int check(const struct load_options *o, struct error *reterr)
{
	if (!o->feed_socket != !o->feed_zone)
		return error_set(reterr, -EINVAL, "--feed and --zone go together");
	if (check_word("path", o->path, reterr) < 0 || check_word("host", o->host, reterr) < 0)
		return -EINVAL;
	if (o->feed_zone && strlen(o->feed_zone) > 1024)
		return error_set(reterr, -EINVAL, "--zone is too long");
	return o->feed_zone ? check_word("zone", o->feed_zone, reterr) : 0;
}

static int prepare(struct load *l, struct error *reterr)
{
	int r;

	l->value = malloc(l->o->value_bytes);
	l->intervals = json_array();
	if (!l->value || !l->intervals || series_init(&l->total) < 0 ||
	    series_init(&l->interval) < 0 || series_init(&l->quiet) < 0)
		return error_errno(reterr, -ENOMEM, "start");
	memset(l->value, 'v', l->o->value_bytes);
	r = bench_pin(&l->o->cpus, reterr);
	if (r < 0)
		return r;
	if (l->o->feed_socket) {
		l->feed_fd = feed_open(l->o->feed_socket, reterr);
		if (l->feed_fd < 0)
			return l->feed_fd;
	}
	r = load_ready(l, reterr);
	return r < 0 ? r : conns_open(l, reterr);
}

static int report(struct load *l, struct error *reterr)
{
	json_t *result = load_result(l, clock_mono_ns());
	bool useless =
	    l->total.counts.intended > 0 && l->total.counts.replies == l->total.counts.reply_errors;

	if (l->o->interval_json || l->o->output == OUTPUT_JSON) {
		int r = bench_print_json(
		    result, l->o->interval_json ? JSON_COMPACT : JSON_INDENT(2), reterr);

		if (r < 0)
			return r;
	} else {
		load_print(result);
		json_decref(result);
	}
	if (useless)
		return error_set(reterr, -EPROTO, "%s: no request succeeded%s%s", l->target->shown,
				 l->last_error[0] ? ": " : "", l->last_error);
	return 0;
}

static int run(const struct load_options *o, const struct dialect *dialect,
	       const struct target *target, struct error *reterr)
{
	struct load l = {
	    .o = o, .dialect = dialect, .target = target, .epoll_fd = -1, .feed_fd = -1};
	int r = prepare(&l, reterr);

	if (r == 0)
		r = load_run(&l, reterr);
	if (r == 0)
		r = report(&l, reterr);
	conns_close(&l);
	close_fd(&l.feed_fd);
	series_done(&l.total);
	series_done(&l.interval);
	series_done(&l.quiet);
	json_decref(l.intervals);
	free(l.value);
	return r;
}

int main(int argc, char **argv)
{
	struct load_options o = {
	    .rate_per_sec = 1000,
	    .connections = 8,
	    .seed = 1,
	    .drain_ns = 2 * SECOND_NS,
	    .interval_ns = SECOND_NS,
	    .keys = 10000,
	    .value_bytes = 64,
	    .set_ratio_ppm = 100000,
	    .path = "/",
	    .host = "localhost",
	};
	const struct option_desc *tables[] = {common_options, NULL, NULL};
	const struct dialect *dialect = NULL;
	const char *words[1];
	struct target target;
	struct error err = {0};
	int nr;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(protocols); i++) {
		if (strcmp(protocols[i].dialect->name, argv[1]) == 0) {
			dialect = protocols[i].dialect;
			tables[1] = protocols[i].options;
		}
	}
	nr = options_parse(tables, &o, argc - 1 - (dialect != NULL), argv + 1 + (dialect != NULL),
			   words, 1, &err);
	if (nr >= 0 && o.help) {
		print_help();
		return EXIT_OK;
	}
	if (nr >= 0 && (!dialect || nr != 1)) {
		nr = error_set(&err, -EINVAL, dialect ? "no address given" : "no such protocol");
		error_hint(&err, "Usage: cz-load resp|http [options] ADDRESS (--help for all)");
	}
	if (nr < 0 || check(&o, &err) < 0 || target_parse(words[0], &target, &err) < 0)
		return bench_fail("cz-load", &err, EXIT_USAGE);
	bench_init();
	if (run(&o, dialect, &target, &err) < 0)
		return bench_fail("cz-load", &err, EXIT_FAILED);
	return EXIT_OK;
}
