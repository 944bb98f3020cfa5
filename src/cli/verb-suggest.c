/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "cli/gate-client.h"
#include "cli/show.h"
#include "cli/suggest-print.h"
#include "cli/verbs.h"

enum { OPT_FOR, OPT_OUTPUT, OPT_SINCE, OPT_GATE, OPT_TOKEN };
static const struct verb_option options[] = {
    [OPT_FOR] = {"for", "TIME", "how long to watch (default 30s)"},
    [OPT_OUTPUT] = {"output", "FORMAT", "table (default), json, or yaml: rules for czd.yaml"},
    [OPT_SINCE] = {"since", "TIME", "history that goals are made of (default 24h)"},
    [OPT_GATE] = {"gate", "HOST:PORT", "of cz-gate (default " GATE_DEFAULT ")"},
    [OPT_TOKEN] = {"token", "FILE", "its read token (default " GATE_TOKEN ")"},
    {0},
};

#define FOR_DEFAULT_NS 30000000000ull
#define FOR_MIN_NS     1000000000ull
#define FOR_MAX_NS     (SUGGEST_LOOKS_MAX * LOOK_NS)
#define LOOK_NS	       1000000000ull
#define POINTS	       "240"

static void suggestions_done(struct suggestions *w)
{
	for (size_t i = 0; w->proposals && i < w->nr; i++)
		proposal_done(&w->proposals[i]);
	free(w->proposals);
	free(w->zones);
}

/* --- what czd knows */

/* A created zone's apps in a machine are no cgroups. */
static bool is_cgroup(const json_t *row)
{
	return json_is_integer(json_object_get(row, "id")) && get_text(row, "path")[0] == '/' &&
	       get_text(row, "path")[1];
}

static void take_zone(struct zone_seen *z, const json_t *row)
{
	*z = (struct zone_seen){.used_ns = UINT64_MAX,
				.class_is_own = get_bool(row, "class_own"),
				.off_limits = get_bool(row, "off_limits"),
				.is_vm = !strcmp(get_text(row, "kind"), "vm")};
	str_copy(z->name, sizeof(z->name), get_text(row, "name"));
	str_copy(z->path, sizeof(z->path), get_text(row, "path"));
	if (zone_class_parse(get_text(row, "class"), &z->class) < 0)
		z->class = CLASS_NORMAL;
}

static void mark_parents(struct suggestions *w)
{
	for (size_t i = 0; i < w->nr; i++) {
		for (size_t k = 0; k < w->nr; k++) {
			size_t n = strlen(w->zones[i].path);

			if (!strncmp(w->zones[k].path, w->zones[i].path, n) &&
			    w->zones[k].path[n] == '/')
				w->zones[i].has_children = true;
		}
	}
}

static int take_zones(struct suggestions *w, const json_t *rows)
{
	json_t *row;
	size_t i;

	w->zones = calloc(json_array_size(rows) + 1, sizeof(*w->zones));
	w->proposals = calloc(json_array_size(rows) + 1, sizeof(*w->proposals));
	if (!w->zones || !w->proposals)
		return -ENOMEM;
	json_array_foreach(rows, i, row)
	{
		if (is_cgroup(row))
			take_zone(&w->zones[w->nr++], row);
	}
	mark_parents(w);
	return 0;
}

static void take_row(struct zone_seen *z, const json_t *row, uint64_t for_ns)
{
	uint64_t cpu_ppm, p99_ns;

	if (get_number(row, "cpu_ppm", &cpu_ppm))
		z->used_ns = (z->used_ns == UINT64_MAX ? 0 : z->used_ns) +
			     (uint64_t)((__uint128_t)cpu_ppm * for_ns / 1000000);
	if (get_number(row, "wait_p99_ns", &p99_ns) && z->nr_p99s < SUGGEST_LOOKS_MAX)
		z->p99s_ns[z->nr_p99s++] = p99_ns;
}

/* czd's own account of the time since the last look. */
static void take_rows(struct suggestions *w, const json_t *rows, uint64_t for_ns)
{
	struct hash by_path = {0};
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (hash_put(&by_path, hash_string(get_text(row, "path")), row) < 0)
			break;
	}
	for (i = 0; i < w->nr; i++) {
		row = hash_get(&by_path, hash_string(w->zones[i].path));
		if (row && !strcmp(get_text(row, "path"), w->zones[i].path))
			take_row(&w->zones[i], row, for_ns);
	}
	hash_done(&by_path);
}

static void take_feeds(struct suggestions *w, const json_t *ledger, const char *path)
{
	for (size_t i = 0; i < w->nr; i++)
		if (!strcmp(w->zones[i].path, path))
			w->zones[i].feeds += get_count(ledger, "feed_count");
}

/* Of protected zones only: others' reports have no ledger to be in. */
static int ask_feeds(struct suggestions *w)
{
	for (size_t i = 0; i < w->nr; i++) {
		_cleanup_json_ json_t *data = NULL;
		struct zone_seen *z = &w->zones[i];
		struct error e = {0};

		if (z->class != CLASS_LC || !z->class_is_own)
			continue;
		if (client_call(&w->cli->client, "inspect", json_pack("{s:s}", "zone", z->path),
				&data, &e) == 0)
			take_feeds(w, json_object_get(data, "ledger"), z->path);
		else if (w->cli->client.no_answer)
			return cli_fail(w->cli, &e);
	}
	return EXIT_OK;
}

/* --- what history knows: the wait p99 of protected zones over a longer time */

static void take_history(struct zone_seen *z, const json_t *mean)
{
	json_t *value;
	size_t i, known = 0;

	json_array_foreach(mean, i, value) known += json_is_integer(value);
	if (known < z->nr_p99s)
		return; /* what was just seen says more */
	z->nr_p99s = 0;
	json_array_foreach(mean, i, value)
	{
		if (json_is_integer(value) && z->nr_p99s < SUGGEST_LOOKS_MAX)
			z->p99s_ns[z->nr_p99s++] = (uint64_t)json_integer_value(value);
	}
}

static int ask_history(struct suggestions *w, const struct gate_range *range, struct zone_seen *z,
		       struct error *reterr)
{
	static const char *const names[] = {"zone", "metric", "from", "to", "points", NULL};
	const char *values[] = {z->path, "wait_p99_ns", range->from_ms, range->to_ms, POINTS};
	_cleanup_json_ json_t *data = NULL;
	int r = gate_ask(w->cli, w->args->option[OPT_GATE], w->args->option[OPT_TOKEN],
			 &(struct gate_query){"history", names, values}, &data, reterr);

	if (r == 0) {
		take_history(z, json_object_get(data, "mean"));
		w->from_history++;
	}
	return r == -ENOENT ? 0 : r; /* it knows that zone or that metric not yet */
}

static void ask_histories(struct suggestions *w, const struct gate_range *range)
{
	struct error e = {0};
	int r = 0;

	for (size_t i = 0; i < w->nr && r == 0; i++)
		if (w->zones[i].class == CLASS_LC && w->zones[i].class_is_own)
			r = ask_history(w, range, &w->zones[i], &e);
	if (r < 0)
		str_copy(w->history_why, sizeof(w->history_why), e.msg);
	w->cli->client.no_answer = false; /* of czd that would be */
}

/* --- watching */

static int look(struct suggestions *w, struct suggest_tasks *tasks, uint64_t since_ns)
{
	_cleanup_json_ json_t *data = NULL;
	struct error e = {0};
	const json_t *rows;
	int r = cli_call(w->cli, "list", json_pack("{s:b}", "all", true), &data);

	if (r != EXIT_OK)
		return r;
	rows = json_object_get(data, "zones");
	r = w->zones ? 0 : take_zones(w, rows);
	if (r == 0 && since_ns)
		take_rows(w, rows, since_ns);
	if (r == 0)
		r = suggest_tasks_look(tasks, w->zones, w->nr);
	if (r < 0) {
		error_errno(&e, r, "look at the tasks of this host");
		return cli_fail(w->cli, &e);
	}
	w->looks++;
	return EXIT_OK;
}

static void say_left(uint64_t left_ns)
{
	char text[24];

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rwatching, %s left ... \r",
			format_duration((left_ns + 500000000) / 1000000000 * 1000000000, text,
					sizeof(text)));
}

static int watch_for(struct suggestions *w, struct suggest_tasks *tasks, uint64_t for_ns)
{
	uint64_t start_ns = clock_mono_ns(), last_ns = start_ns, now_ns = start_ns;
	int r = look(w, tasks, 0);

	while (r == EXIT_OK && now_ns - start_ns < for_ns) {
		uint64_t left_ns = for_ns - (now_ns - start_ns);
		uint64_t pause_ns = left_ns < LOOK_NS ? left_ns : LOOK_NS;

		say_left(left_ns);
		nanosleep(&(struct timespec){.tv_sec = (time_t)(pause_ns / 1000000000),
					     .tv_nsec = (long)(pause_ns % 1000000000)},
			  NULL);
		now_ns = clock_mono_ns();
		r = look(w, tasks, now_ns - last_ns);
		last_ns = now_ns;
	}
	w->watched_ns = now_ns - start_ns;
	if (r == EXIT_OK)
		suggest_tasks_sockets(tasks, w->zones, w->nr);
	return r == EXIT_OK ? ask_feeds(w) : r;
}

static int suggest_run(struct cli *cli, const struct args *args)
{
	_cleanup_(suggest_tasks_freep) struct suggest_tasks *tasks = NULL;
	const char *format = verb_output(cli, args->option[OPT_OUTPUT]);
	const char *text = args->option[OPT_FOR], *since = args->option[OPT_SINCE];
	_cleanup_(suggestions_done) struct suggestions w = {.cli = cli, .args = args};
	uint64_t for_ns = FOR_DEFAULT_NS;
	struct gate_range range;
	struct error e = {0};
	int r;

	if (format && strcmp(format, "yaml") != 0)
		return cli_usage(&verb_suggest, "--output: '%s' is not table, json or yaml",
				 format);
	if (text &&
	    (parse_duration_ns(text, &for_ns) < 0 || for_ns < FOR_MIN_NS || for_ns > FOR_MAX_NS))
		return cli_usage(&verb_suggest, "--for: '%s' is no time from 1s to 10m", text);
	if (gate_range(since ? since : "24h", NULL, NULL, clock_real_ns(), &range, &e) < 0)
		return cli_usage(&verb_suggest, "%s", e.msg);
	if (suggest_tasks_new(&tasks, &e) < 0)
		return cli_fail(cli, &e);
	r = watch_for(&w, tasks, for_ns);
	if (r != EXIT_OK)
		return r;
	ask_histories(&w, &range);
	for (size_t i = 0; i < w.nr; i++)
		suggest_judge(&w.zones[i], w.watched_ns, &w.proposals[i]);
	if (cli->json)
		suggest_print_json(&w);
	else if (format)
		suggest_print_yaml(&w);
	else
		suggest_print_table(&w);
	return EXIT_OK;
}

const struct verb verb_suggest = {
    .name = "suggest",
    .summary = "proposes classes and goals, from watching; changes nothing",
    .usage = "[--for TIME] [-o table|json|yaml]",
    .help = "Watches all zones for a while and says which look latency-critical (they wake\n"
	    "often for little CPU each, listen or serve, report their latency) and which look\n"
	    "best-effort (they compute without a pause, are nice or idle by themselves, are\n"
	    "known batch work), each with its reasons and how sure that is; and of which it\n"
	    "could not tell. A goal is twice a protected zone's wait p99 when it was quiet,\n"
	    "of history where cz-gate keeps it; of other zones it is guessed from their mean\n"
	    "wait. Watch while the machine does what it usually does. Sockets of other\n"
	    "users' processes take sudo. Nothing is applied: that is yours to decide.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl suggest\n"
	    "  sudo czctl suggest --for 5m -o yaml > rules.yaml; czctl check rules.yaml\n"
	    "  czctl suggest -o json | jq '.proposals[] | {zone, class, why}'\n",
    .options = options,
    .letters = "o",
    .run = suggest_run,
};
