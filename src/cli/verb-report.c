/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/gate-client.h"
#include "cli/report.h"
#include "cli/show.h"
#include "cli/verbs.h"

enum { OPT_SINCE, OPT_FROM, OPT_TO, OPT_FILE, OPT_GATE, OPT_TOKEN };
static const struct verb_option options[] = {
    [OPT_SINCE] = {"since", "TIME", "how far back (default 1h)"},
    [OPT_FROM] = {"from", "TIME", "instead: 12:30, '2027-03-01 12:30', or 20m ago"},
    [OPT_TO] = {"to", "TIME", "the end (default now)"},
    [OPT_FILE] = {"file", "FILE", "where to write it (default: standard output)"},
    [OPT_GATE] = {"gate", "HOST:PORT", "of cz-gate (default " GATE_DEFAULT ")"},
    [OPT_TOKEN] = {"token", "FILE", "its read token (default " GATE_TOKEN ")"},
    {0},
};

struct source {
	struct cli *cli;
	const struct args *args;
	struct gate_range range;
};

static int get(const struct source *s, const char *path, const char *name, const char *value,
	       const char *metric, json_t **ret)
{
	const char *names[] = {name, "metric", "from", "to", "points", NULL};
	const char *values[] = {value, metric, s->range.from_ms, s->range.to_ms,
				strstr(path, "notes") || !strcmp(path, "history/zones") ? NULL
											: "120"};

	return gate_get(s->cli, s->args->option[OPT_GATE], s->args->option[OPT_TOKEN],
			&(struct gate_query){path, names, values}, ret);
}

static int get_rows(const struct source *s, const char *kind, json_t **ret)
{
	_cleanup_json_ json_t *data = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "history/notes/%s", kind);
	r = get(s, path, "kind", NULL, NULL, &data);
	if (r == EXIT_OK)
		*ret = json_incref(json_object_get(data, kind));
	return r;
}

static bool has_victim(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->nr_victims; i++) {
		if (!strcmp(r->victims[i].name, name))
			return true;
	}
	return false;
}

/* A name may stand for several zones, one after the other: history takes them together. */
static int get_victims(const struct source *s, const json_t *zones, struct report *r)
{
	json_t *row;
	size_t i;

	json_array_foreach(zones, i, row)
	{
		const char *name = get_text(row, "name");
		json_t *ledger = NULL;
		int code;

		if (r->nr_victims == REPORT_VICTIMS || has_victim(r, name))
			continue;
		code = get(s, "history/ledger", "zone", name, NULL, &ledger);
		if (code != EXIT_OK)
			return code;
		r->victims[r->nr_victims].name = name;
		r->victims[r->nr_victims++].ledger = ledger;
		code = get(s, "history", "zone", name, "wait_p99_ns",
			   &r->victims[r->nr_victims - 1].p99);
		if (code != EXIT_OK)
			return code;
	}
	return EXIT_OK;
}

static int write_report(const struct source *s, const struct report *r)
{
	const char *file = s->args->option[OPT_FILE];
	struct strbuf page = {0};
	struct error e = {0};
	int code = 0;

	report_page(&page, r);
	if (page.failed)
		code = error_errno(&e, -ENOMEM, "report");
	else if (!file)
		fwrite(page.data, 1, page.len, stdout);
	else if ((code = write_file_atomic(AT_FDCWD, file, page.data, page.len, 0644)) < 0)
		error_errno(&e, code, "write %s", file);
	else
		out_paragraph(&s->cli->out, 0, STYLE_PLAIN, "Written to %s.", file);
	strbuf_done(&page);
	return code < 0 ? cli_fail(s->cli, &e) : EXIT_OK;
}

static json_t *as_json(const struct report *r)
{
	json_t *victims = json_array();

	for (size_t i = 0; i < r->nr_victims; i++)
		json_array_append_new(
		    victims, json_pack("{s:s,s:O,s:O}", "zone", r->victims[i].name, "ledger",
				       r->victims[i].ledger, "wait_p99_ns", r->victims[i].p99));
	return json_pack("{s:I,s:I,s:o,s:O,s:O,s:O}", "from_ms", (json_int_t)r->from_ms, "to_ms",
			 (json_int_t)r->to_ms, "victims", victims, "findings", r->findings,
			 "actions", r->actions, "events", r->events);
}

static int gather(const struct source *s, const json_t *zones, struct report *r)
{
	int code = get_victims(s, zones, r);

	if (code == EXIT_OK)
		code = get_rows(s, "findings", &r->findings);
	if (code == EXIT_OK)
		code = get_rows(s, "actions", &r->actions);
	return code == EXIT_OK ? get_rows(s, "events", &r->events) : code;
}

static void release(struct report *r)
{
	for (size_t i = 0; i < r->nr_victims; i++) {
		json_decref(r->victims[i].ledger);
		json_decref(r->victims[i].p99);
	}
	json_decref(r->findings);
	json_decref(r->actions);
	json_decref(r->events);
}

static int report_run(struct cli *cli, const struct args *args)
{
	struct source s = {.cli = cli, .args = args};
	_cleanup_json_ json_t *zones = NULL;
	struct report report = {0};
	struct error e = {0};
	char host[256] = "";
	int code;

	if (gate_range(args->option[OPT_SINCE], args->option[OPT_FROM], args->option[OPT_TO],
		       clock_real_ns(), &s.range, &e) < 0)
		return cli_usage(&verb_report, "%s", e.msg);
	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = 0;
	report.host = host[0] ? host : "this host";
	code = get(&s, "history/zones", "class", "lc", NULL, &zones);
	report.from_ms = get_count(zones, "from_ms");
	report.to_ms = get_count(zones, "to_ms");
	if (code == EXIT_OK)
		code = gather(&s, json_object_get(zones, "zones"), &report);
	if (code == EXIT_OK && cli->json) {
		_cleanup_json_ json_t *all = as_json(&report);

		cli_print_json(all);
	} else if (code == EXIT_OK) {
		code = write_report(&s, &report);
	}
	release(&report);
	return code;
}

const struct verb verb_report = {
    .name = "report",
    .summary = "a page of what happened: who hurt whom, what was done",
    .usage = "[--since TIME | --from TIME --to TIME] [--file FILE.html]",
    .help = "One HTML file without scripts that needs nothing else: for each protected zone\n"
	    "whom it waited for over time, what was found and done meanwhile, and what came\n"
	    "of it. Made of the history that cz-gate keeps; times as 'czctl help history'.\n"
	    "Names of zones and commands are in it.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl report --since 2h --file report.html\n"
	    "  czctl report --from '2027-03-01 09:00' --to '2027-03-01 10:00' > monday.html\n"
	    "  czctl report --since 10m -o json\n",
    .options = options,
    .run = report_run,
};
