/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/verbs.h"

/* The guest may have to load and verify a policy first; czd gives it ten seconds. */
#define PATIENCE_MS 35000 /* more than czd waits for the guest */

enum { OPT_FULL, OPT_SET };
static const struct verb_option options[] = {
    [OPT_FULL] = {"full", NULL, "set: for every task, not only those of apps"},
    [OPT_SET] = {"set", "CLASS", "task: put it into ext or normal"},
    {0},
};

/* A policy's figure: its unit is at the end of its name. */
static const char *show_figure(const json_t *stats, const char *key, char *buf)
{
	static const struct {
		const char *end;
		char *(*show)(const json_t *o, const char *key, char *buf);
	} units[] = {{"_ns", show_duration}, {"_ppm", show_ppm}, {"_bytes", show_bytes}};
	size_t n = strlen(key);

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t m = strlen(units[i].end);

		if (n > m && !strcmp(key + n - m, units[i].end))
			return units[i].show(stats, key, buf);
	}
	return show_number(stats, key, buf);
}

static void print_sched(const struct cli *cli, const json_t *data)
{
	const json_t *stats = json_object_get(data, "stats"), *value;
	const char *class = get_text(data, "class"), *key;
	char buf[SHOW_MAX];

	if (class[0]) {
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "class %s, priority %s", class,
			      show_id(data, "priority", buf));
		return;
	}
	out_paragraph(&cli->out, 0, STYLE_TITLE, "scheduler: %s", text_or_dash(data, "policy"));
	if (json_is_integer(json_object_get(data, "switch_ms")))
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "switched in %s ms",
			      show_id(data, "switch_ms", buf));
	json_object_foreach((json_t *)stats, key, value) out_paragraph(
	    &cli->out, 4, STYLE_PLAIN, "  %-28s %s", key, show_figure(stats, key, buf));
}

static int ask(struct cli *cli, json_t *request)
{
	_cleanup_json_ json_t *data = NULL;
	int r;

	cli->client.patience_ms = PATIENCE_MS;
	cli->client.waits_for = "the zone's guest: it loads a policy at its first use";
	r = cli_call(cli, "zone-sched", request, &data);

	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else
		print_sched(cli, data);
	return EXIT_OK;
}

static int op_set(struct cli *cli, const struct args *args)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};

	for (int i = 3; i < args->nr; i++)
		strbuf_printf(&line, "%s%s", i > 3 ? " " : "", args->words[i]);
	if (args->nr < 3)
		return cli_usage(&verb_sched, "which policy? czctl sched set ZONE POLICY");
	return ask(cli,
		   json_pack("{s:s,s:s,s:s,s:s*,s:b}", "name", args->words[1], "op", "set",
			     "policy", args->words[2], "options", args->nr > 3 ? line.data : NULL,
			     "full", args->option[OPT_FULL] != NULL));
}

static int op_reset(struct cli *cli, const struct args *args)
{
	return ask(
	    cli, json_pack("{s:s,s:s,s:s}", "name", args->words[1], "op", "set", "policy", "none"));
}

static int op_show(struct cli *cli, const struct args *args)
{
	return ask(cli, json_pack("{s:s,s:s}", "name", args->words[1], "op", "show"));
}

static int op_task(struct cli *cli, const struct args *args)
{
	uint64_t pid;

	if (args->nr < 3 || parse_u64(args->words[2], &pid) < 0 || !pid || pid > INT32_MAX)
		return cli_usage(&verb_sched, "czctl sched task ZONE PID, as the guest counts");
	return ask(cli, json_pack("{s:s,s:s,s:I,s:s*}", "name", args->words[1], "op", "task", "pid",
				  (json_int_t)pid, "set", args->option[OPT_SET]));
}

static void list_policies(const struct cli *cli, const json_t *data)
{
	static const struct column columns[] = {{"policy", COLUMN_TEXT},
						{"what it does, in any VM zone", COLUMN_PROSE}};
	_cleanup_(table_done) struct table t = {.columns = columns,
						.nr_columns = ARRAY_SIZE(columns)};
	const json_t *policy;
	size_t i;

	table_add(&t, STYLE_PLAIN, "none");
	table_add(&t, STYLE_PLAIN, "the kernel's own");
	json_array_foreach(json_object_get(data, "policies"), i, policy)
	{
		const char *needs = get_text(policy, "needs");

		table_add(&t, STYLE_PLAIN, "%s", get_text(policy, "name"));
		table_add(&t, STYLE_PLAIN, "%s%s%s", text_or_dash(policy, "summary"),
			  needs[0] ? "; only with " : "", needs);
	}
	table_print(&t, &cli->out, 0);
	putchar('\n');
}

static int op_list(struct cli *cli)
{
	static const struct column columns[] = {{"zone", COLUMN_TEXT}, {"scheduler", COLUMN_TEXT}};
	_cleanup_(table_done) struct table t = {.columns = columns,
						.nr_columns = ARRAY_SIZE(columns)};
	_cleanup_json_ json_t *data = NULL;
	int r = cli_call(cli, "zone-list", json_object(), &data);
	const json_t *zone;
	size_t i;

	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(data);
		return EXIT_OK;
	}
	list_policies(cli, data);
	json_array_foreach(json_object_get(data, "applied"), i, zone)
	{
		bool vm = !strcmp(get_text(zone, "runtime"), "vm");

		table_add(&t, STYLE_PLAIN, "%s", get_text(zone, "name"));
		table_add(&t, STYLE_PLAIN, "%s", vm ? text_or_dash(zone, "policy") : "the host's");
	}
	if (i)
		table_print(&t, &cli->out, 0);
	else
		out_paragraph(&cli->out, 0, STYLE_PLAIN, "There are no zones.");
	return EXIT_OK;
}

static const struct {
	const char *name;
	int (*run)(struct cli *cli, const struct args *args);
	int max_words; /* 0: any */
} ops[] = {{"set", op_set, 0},
	   {"show", op_show, 2},
	   {"stats", op_show, 2},
	   {"reset", op_reset, 2},
	   {"task", op_task, 3}};

static int sched_run(struct cli *cli, const struct args *args)
{
	if (!strcmp(args->words[0], "list"))
		return op_list(cli);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, args->words[0]))
			continue;
		if (args->nr < 2)
			return cli_usage(&verb_sched, "which zone?");
		if (ops[i].max_words && args->nr > ops[i].max_words)
			return cli_usage(&verb_sched, "'%s' is one word too many",
					 args->words[ops[i].max_words]);
		return ops[i].run(cli, args);
	}
	return cli_usage(&verb_sched, "'%s' is not list, show, stats, set, reset or task",
			 args->words[0]);
}

const struct verb verb_sched = {
    .name = "sched",
    .summary = "the scheduler inside a VM zone: show, set, reset",
    .usage = "list | show|stats|reset ZONE | set ZONE POLICY | task ZONE N",
    .help = "A virtual machine zone has a scheduler of its own, changed while it runs. `set`\n"
	    "holds until the next start; scheduler.policy in its description is for good.\n"
	    "docs/schedulers.md tells of the policies.\n"
	    "\n"
	    "  list                          policies that there are, and each zone's\n"
	    "  show, stats ZONE              the policy in force, and its figures\n"
	    "  set ZONE POLICY [OPTION...]   another policy, now; options are the policy's\n"
	    "  reset ZONE                    the kernel's own\n"
	    "  task ZONE PID [--set CLASS]   one task, as the guest counts\n"
	    "\n"
	    "Examples:\n"
	    "  czctl sched list\n"
	    "  sudo czctl sched set web exclusive\n"
	    "  sudo czctl sched set web rr --slice 1ms\n"
	    "  sudo czctl sched reset web\n",
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .foreign_after = 3,
    .run = sched_run,
};
