/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/profile.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "model/zone.h"

enum { OPT_FOR, OPT_OUTPUT, OPT_FOLDED };
static const struct verb_option options[] = {
    [OPT_FOR] = {"for", "TIME", "how long to sample (default 10s)"},
    [OPT_OUTPUT] = {"output", "FILE", "where to write it (default: standard output)"},
    [OPT_FOLDED] = {"folded", NULL, "the stacks as text, for other tools"},
    {0},
};

#define FOR_DEFAULT_NS 10000000000ull
#define FOR_MIN_NS     100000000ull
#define FOR_MAX_NS     600000000000ull

/* The cgroup's path; a path needs no czd. */
static int find_path(struct cli *cli, const char *zone, char *buf, size_t size, bool *ret_is_vm)
{
	_cleanup_json_ json_t *data = NULL;
	struct error e = {0};
	int r;

	if (zone[0] == '/')
		return str_copy(buf, size, zone) ? EXIT_OK
						 : cli_usage(&verb_flame, "that path is too long");
	r = cli_call(cli, "inspect", json_pack("{s:s}", "zone", zone), &data);
	if (r != EXIT_OK)
		return r;
	*ret_is_vm = !strcmp(get_text(data, "kind"), "vm");
	if (str_copy(buf, size, get_text(data, "path")) && buf[0] == '/')
		return EXIT_OK;
	error_set(&e, -ENOENT, "zone '%s' has no cgroup now: it does not run", zone);
	return cli_fail(cli, &e);
}

/* "1,998 samples of the CPU clock, 499 a second and CPU, in 10 s; 1 process; ..." */
static void say_how(const struct profile *p, bool is_vm, struct strbuf *b)
{
	char count[SHOW_MAX], took[SHOW_MAX];

	strbuf_printf(b, "%s samples of %s", format_count(p->samples, count, sizeof(count)),
		      !strcmp(p->event, "cycles") ? "cycles" : "the CPU clock");
	strbuf_printf(b, ", %u a second and CPU, in %s", p->per_second,
		      format_duration(p->for_ns, took, sizeof(took)));
	strbuf_printf(b, ", by %s", p->by_cgroup ? "cgroup" : "task");
	strbuf_printf(b, "; of %s process%s", format_count(p->processes, count, sizeof(count)),
		      p->processes == 1 ? "" : "es");
	strbuf_printf(b, "; %s lost", format_count(p->lost, count, sizeof(count)));
	if (p->untold)
		strbuf_printf(b, "; %s of tasks that ended before their zone was known",
			      format_count(p->untold, count, sizeof(count)));
	if (p->unnamed)
		strbuf_printf(b, "; %" PRIu64 " ended before their functions were named",
			      p->unnamed);
	if (is_vm)
		strbuf_puts(b, "; the guest's own functions cannot be seen from here");
}

static int print_json(const struct profile *p, const char *zone)
{
	_cleanup_json_ json_t *o =
	    json_pack("{s:s,s:s,s:b,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:[]}", "zone", zone, "event",
		      p->event, "by_cgroup", p->by_cgroup, "per_second", (int)p->per_second,
		      "for_ns", (json_int_t)p->for_ns, "samples", (json_int_t)p->samples, "lost",
		      (json_int_t)p->lost, "untold", (json_int_t)p->untold, "processes",
		      (json_int_t)p->processes, "unnamed", (json_int_t)p->unnamed, "stacks");

	for (size_t i = 0; i < p->stacks.nr; i++) {
		const struct folded_line *line = &p->stacks.lines[i];
		json_t *frames = json_array();

		for (const char *at = line->text; at;) {
			const char *end = strchr(at, FOLDED_SEPARATOR);

			json_array_append_new(
			    frames, json_stringn(at, end ? (size_t)(end - at) : strlen(at)));
			at = end ? end + 1 : NULL;
		}
		json_array_append_new(
		    json_object_get(o, "stacks"),
		    json_pack("{s:I,s:o}", "samples", (json_int_t)line->samples, "frames", frames));
	}
	cli_print_json(o);
	return EXIT_OK;
}

static int write_out(const struct cli *cli, const char *file, const struct strbuf *b,
		     const char *how)
{
	struct error e = {0};
	int r = b->failed ? -ENOMEM : 0;

	if (r == 0 && !file) {
		fwrite(b->data, 1, b->len, stdout);
		fprintf(stderr, "%s\n", how);
		return EXIT_OK;
	}
	if (r == 0)
		r = write_file_atomic(AT_FDCWD, file, b->data, b->len, 0644);
	if (r < 0) {
		error_errno(&e, r, "write %s", file ? file : "the flame graph");
		return cli_fail(cli, &e);
	}
	out_paragraph(&cli->out, 0, STYLE_PLAIN, "Written to %s: %s.", file, how);
	return EXIT_OK;
}

static int present(struct cli *cli, const struct args *args, const struct profile *p, bool is_vm)
{
	_cleanup_(strbuf_done) struct strbuf how = {0}, title = {0}, out = {0};
	const char *file = verb_output(cli, args->option[OPT_OUTPUT]);
	char zone[ZONE_PATH_MAX];
	struct error e = {0};

	str_escape(zone, sizeof(zone), args->words[0]);
	if (cli->json)
		return print_json(p, zone);
	say_how(p, is_vm, &how);
	if (!p->samples) {
		error_set(&e, -ENODATA, "zone '%.200s' did not run: %.250s", zone,
			  how.data ? how.data : "");
		return cli_fail(cli, &e);
	}
	strbuf_printf(&title, "CPU time of %s", zone);
	if (title.failed || how.failed)
		out.failed = true;
	else if (args->option[OPT_FOLDED])
		folded_text(&p->stacks, &out);
	else
		folded_svg(&p->stacks, title.data, how.data, &out);
	return write_out(cli, file, &out, how.data);
}

static int flame_run(struct cli *cli, const struct args *args)
{
	_cleanup_(profile_done) struct profile p = {0};
	const char *text = args->option[OPT_FOR];
	uint64_t for_ns = FOR_DEFAULT_NS;
	char path[ZONE_PATH_MAX];
	struct error e = {0};
	bool is_vm = false;
	int r;

	if (text &&
	    (parse_duration_ns(text, &for_ns) < 0 || for_ns < FOR_MIN_NS || for_ns > FOR_MAX_NS))
		return cli_usage(&verb_flame, "--for: '%s' is no time from 100ms to 10m", text);
	r = find_path(cli, args->words[0], path, sizeof(path), &is_vm);
	if (r != EXIT_OK)
		return r;
	if (profile_zone(path, for_ns, &p, &e) < 0)
		return cli_fail(cli, &e);
	return present(cli, args, &p, is_vm);
}

const struct verb verb_flame = {
    .name = "flame",
    .summary = "where a zone's CPU time goes: a flame graph",
    .usage = "ZONE [--for TIME] [-o FILE.svg] [--folded]",
    .help = "Samples the stacks of a zone's tasks on all CPUs, of cycles where the machine\n"
	    "counts them and of the CPU clock elsewhere, and draws them as one SVG: wide is\n"
	    "what had much CPU time, on top what ran, below who called it. In a browser a\n"
	    "click makes a frame wide, '/' searches, Esc goes back. It needs nothing else.\n"
	    "Takes root or CAP_PERFMON. ZONE may be a cgroup's path; then czd is not asked.\n"
	    "\n"
	    "Stacks are walked by frame pointers: of programs built without them, only the\n"
	    "innermost function and perhaps some callers are seen. What ends meanwhile keeps\n"
	    "its command's name, but not those of its functions.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl flame redis.service -o redis.svg\n"
	    "  sudo czctl flame batch --for 30s --folded > batch.txt\n"
	    "  sudo czctl flame /system.slice/redis.service -o json | jq .samples\n",
    .options = options,
    .letters = "o",
    .min_words = 1,
    .max_words = 1,
    .run = flame_run,
};
