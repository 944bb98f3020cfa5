/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/verbs.h"

#define VERSION_S 3  /* a program has to say its version */
#define WHAT_MAX  34 /* columns; longer ones push their text to the right */

static size_t widest(const json_t *data, const char *const keys[])
{
	size_t i, w, width = 0;
	json_t *item;

	for (; *keys; keys++)
		json_array_foreach(json_object_get(data, *keys), i, item)
		{
			w = strlen(get_text(item, "what"));
			width = w > width && w <= WHAT_MAX ? w : width;
		}
	return width;
}

static void print_items(const struct cli *cli, const char *label, size_t width, const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) out_paragraph(
	    &cli->out, (unsigned int)(14 + width), STYLE_PLAIN, "%-10s  %-*s  %s", i ? "" : label,
	    (int)width, text_or_dash(item, "what"), text_or_dash(item, "text"));
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
	char cpu[SHOW_MAX], rss[SHOW_MAX], delay[SHOW_MAX], bpf[SHOW_MAX];

	out_paragraph(&cli->out, 12, STYLE_PLAIN,
		      "czd         %s of a CPU, its BPF programs %s of all CPUs, %s, priority %s, "
		      "longest delay of its loop %s",
		      show_ppm(self, "cpu_ppm", cpu), show_ppm(self, "ledger_cost_ppm", bpf),
		      show_bytes(self, "rss_bytes", rss), text_or_dash(self, "priority"),
		      show_duration(self, "loop_delay_max_ns", delay));
}

/* "QEMU emulator version 10.0.8 (Debian ...)": what the program says of itself, or "". */
static void first_line_of(const char *program, char *buf, size_t size)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out[2], status;
	ssize_t n;
	pid_t pid;

	buf[0] = '\0';
	if (null < 0 || pipe2(out, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		alarm(VERSION_S);
		dup2(null, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl(program, program, "--version", (char *)NULL);
		_exit(EXIT_COMMAND_ABSENT);
	}
	close(out[1]);
	n = pid > 0 ? read(out[0], buf, size - 1) : -1;
	close(out[0]);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (pid > 0)
		waitpid(pid, &status, 0);
}

/* czd does not wait for programs: its loop has other work. */
static void add_qemu_version(json_t *data)
{
	char said[200], safe[400], text[5000];
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(data, "machines"), i, item)
	{
		const char *path = get_text(item, "path");

		if (strcmp(get_text(item, "name"), "QEMU") != 0 || !path[0])
			continue;
		first_line_of(path, said, sizeof(said));
		if (said[0] && snprintf(text, sizeof(text), "%s: %s", path,
					str_escape(safe, sizeof(safe), said)) < (int)sizeof(text))
			json_object_set_new(item, "text", json_string(text));
	}
}

static void print_doctor(const struct cli *cli, const json_t *data)
{
	static const char *const keys[] = {"can_see",  "cant_see", "can_act",
					   "cant_act", "machines", NULL};
	static const char *const labels[] = {"can see", "can't see", "can act", "can't act",
					     "zones"};
	size_t width = widest(data, keys);

	print_host(cli, json_object_get(data, "host"));
	for (size_t i = 0; keys[i]; i++)
		print_items(cli, labels[i], width, json_object_get(data, keys[i]));
	print_self(cli, json_object_get(data, "self"));
}

static int doctor_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *data = NULL;
	int r = cli_call(cli, "doctor", json_object(), &data);

	if (r != EXIT_OK)
		return r;
	add_qemu_version(data);
	if (cli->json)
		cli_print_json(data);
	else
		print_doctor(cli, data);
	return EXIT_OK;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .summary = "what this host lets czd see and do",
    .usage = "",
    .help = "The host, what can be measured and changed on it, and, for what cannot, the\n"
	    "reason and what would help; what zones need: helpers, QEMU and its version, KVM,\n"
	    "virtiofsd, kernels. The last line is what czd itself costs: its own CPU\n"
	    "time over the last tick, and that of its BPF programs, which run in other\n"
	    "processes' time and are measured once a minute.\n"
	    "\n"
	    "Example:\n"
	    "  sudo czctl doctor\n",
    .run = doctor_run,
};
