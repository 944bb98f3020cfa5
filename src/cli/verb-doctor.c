/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

static void print_items(const struct cli *cli, const char *label, const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	    out_paragraph(&cli->out, 34, STYLE_PLAIN, "%-10s  %-20s  %s", i ? "" : label,
			  text_or_dash(item, "what"), text_or_dash(item, "text"));
}

static void print_host(const struct cli *cli, const json_t *host)
{
	char cpus[SHOW_MAX], nodes[SHOW_MAX], memory[SHOW_MAX], plural[SHOW_MAX];

	out_paragraph(&cli->out, 12, STYLE_PLAIN, "host        %s, %s CPUs%s, %s, %s, cgroups: %s",
		      text_or_dash(host, "kernel"), show_id(host, "cpus", cpus),
		      get_bool(host, "smt") ? " (SMT)" : "",
		      get_count(host, "nodes")
			  ? show_plural(get_count(host, "nodes"), "NUMA node", plural)
			  : show_id(host, "nodes", nodes),
		      show_bytes(host, "memory_bytes", memory), text_or_dash(host, "cgroups"));
}

static void print_self(const struct cli *cli, const json_t *self)
{
	char cpu[SHOW_MAX], rss[SHOW_MAX], delay[SHOW_MAX];

	out_paragraph(&cli->out, 12, STYLE_PLAIN,
		      "czd         %s of a CPU, %s, priority %s, longest delay of its loop %s",
		      show_ppm(self, "cpu_ppm", cpu), show_bytes(self, "rss_bytes", rss),
		      text_or_dash(self, "priority"),
		      show_duration(self, "loop_delay_max_ns", delay));
}

static int doctor_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *data = NULL;
	int r;

	r = cli_call(cli, "doctor", json_object(), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json) {
		cli_print_json(data);
		return EXIT_OK;
	}
	print_host(cli, json_object_get(data, "host"));
	print_items(cli, "can see", json_object_get(data, "can_see"));
	print_items(cli, "can't see", json_object_get(data, "cant_see"));
	print_items(cli, "can act", json_object_get(data, "can_act"));
	print_items(cli, "can't act", json_object_get(data, "cant_act"));
	print_self(cli, json_object_get(data, "self"));
	return EXIT_OK;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .summary = "what this host lets czd see and do",
    .usage = "",
    .help = "The host, what can be measured and changed on it, and, for what cannot, the reason\n"
	    "and what would help. The last line is what czd itself costs.\n"
	    "\n"
	    "Example:\n"
	    "  sudo czctl doctor\n",
    .run = doctor_run,
};
