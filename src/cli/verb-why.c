/* SPDX-License-Identifier: MIT */
/* Reads like a good colleague: the answer, the evidence, what it is not, what to do. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/why-stack.h"

enum { OPT_STACK };
static const struct verb_option options[] = {
    [OPT_STACK] = {"stack", NULL, "what the culprits do, where you may sample them"},
    {0},
};

#define PARTS_SHOWN	8
#define COMMAND_MAX	80
#define SHARE_SHOWN_PPM 500 /* less would be printed as 0.0 % */

static enum style verdict_style(const char *verdict)
{
	return !strcmp(verdict, "hurt")	  ? STYLE_BAD
	       : !strcmp(verdict, "fine") ? STYLE_GOOD
					  : STYLE_PLAIN;
}

/* "class be, stress-ng --cpu 1 (pid 4211)", as far as known. */
static void part_detail(const json_t *part, struct strbuf *b)
{
	const char *class = get_text(part, "class"), *command = get_text(part, "cmdline");
	char shown[COMMAND_MAX], pid[SHOW_MAX];
	bool is_zone = get_text(part, "zone")[0];

	if (is_zone && class[0])
		strbuf_printf(b, "class %s", class);
	if (!command[0])
		command = get_text(part, "comm");
	if (!command[0])
		return;
	str_escape(shown, sizeof(shown), command); /* ends a long one in "..." */
	strbuf_printf(b, "%s%s", b->len ? ", " : "", shown);
	if (get_count(part, "pid"))
		strbuf_printf(b, " (pid %s)", show_id(part, "pid", pid));
}

static void add_part(struct table *t, const json_t *part)
{
	const char *zone = get_text(part, "zone");
	struct strbuf detail = {0};
	char buf[SHOW_MAX];

	part_detail(part, &detail);
	table_add(t, STYLE_PLAIN, "%s", zone[0] ? zone : cause_words(get_text(part, "cause")));
	table_add(t, STYLE_PLAIN, "%s", show_ppm(part, "share_ppm", buf));
	table_add(t, STYLE_PLAIN, "%s", show_id(part, "cpu", buf));
	table_add(t, STYLE_PLAIN, "%s", detail.len ? detail.data : "");
	strbuf_done(&detail);
}

static void add_rest(struct table *t, size_t nr, uint64_t share_ppm)
{
	char buf[SHOW_MAX];

	table_add(t, STYLE_PLAIN, "%zu more", nr);
	table_add(t, STYLE_PLAIN, "%s", format_ppm(share_ppm, buf, sizeof(buf)));
	table_add(t, STYLE_PLAIN, "-");
	table_add(t, STYLE_PLAIN, "%s", "");
}

static void print_parts(const struct cli *cli, const json_t *ledger)
{
	static const struct column columns[] = {
	    {"who ran meanwhile", COLUMN_NAME},
	    {"share", COLUMN_NUMBER},
	    {"CPU", COLUMN_TEXT},
	    {"", COLUMN_PROSE},
	};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	uint64_t share_ppm, others, rest_ppm = 0;
	size_t i, shown = 0, rest = 0;
	json_t *part;

	json_array_foreach(json_object_get(ledger, "parts"), i, part)
	{
		share_ppm = get_count(part, "share_ppm");
		others = get_count(part, "others");
		if (!others && shown < PARTS_SHOWN && share_ppm >= SHARE_SHOWN_PPM) {
			add_part(&t, part);
			shown++;
		} else if (share_ppm > 0) {
			rest += others ? others : 1;
			rest_ppm += share_ppm;
		}
	}
	if (rest_ppm >= SHARE_SHOWN_PPM)
		add_rest(&t, rest, rest_ppm);
	if (shown) {
		putchar('\n');
		table_print(&t, &cli->out, 2);
	}
	table_done(&t);
}

/* The p99 may be that of any moment, and then is more than a hundredth of the waits would make up.
 */
static void print_waits(const struct cli *cli, const json_t *ledger)
{
	char window[SHOW_MAX], wait[SHOW_MAX], waits[SHOW_MAX], p50[SHOW_MAX], p99[SHOW_MAX];
	char max[SHOW_MAX];
	uint64_t half;

	show_duration(ledger, "window_ns", window);
	show_duration(ledger, "wait_ns", wait);
	if (!get_number(ledger, "wait_p50_ns", &half)) {
		out_paragraph(&cli->out, 4, STYLE_PLAIN, "  measured over %s: waited %s", window,
			      wait);
		return;
	}
	out_paragraph(&cli->out, 4, STYLE_PLAIN,
		      "  measured over %s: waited %s in %s waits; half of them %s%s, longest %s%s; "
		      "p99, of them or of any moment, %s",
		      window, wait, show_number(ledger, "waits", waits),
		      half ? "under " : "hardly at all",
		      half ? show_wait(ledger, "wait_p50_ns", p50) : "",
		      get_count(ledger, "wait_max_ns") ? "up to " : "",
		      show_wait(ledger, "wait_max_ns", max), show_wait(ledger, "wait_p99_ns", p99));
}

static void print_ledger(const struct cli *cli, const json_t *ledger)
{
	char waits[SHOW_MAX], p99[SHOW_MAX];
	uint64_t feed;

	if (!json_is_object(ledger) || !get_count(ledger, "window_ns"))
		return;
	print_parts(cli, ledger);
	putchar('\n');
	print_waits(cli, ledger);
	if (get_number(ledger, "feed_count", &feed) && feed)
		out_paragraph(&cli->out, 4, STYLE_PLAIN,
			      "  the application reports: latency p99 %s (%s values)",
			      show_wait(ledger, "feed_p99_ns", p99),
			      show_number(ledger, "feed_count", waits));
	if (get_bool(ledger, "estimated"))
		out_paragraph(
		    &cli->out, 4, STYLE_PLAIN,
		    "  estimated from the kernel's run delay: without BPF, who ran is not "
		    "known (czctl doctor says why)");
}

/* A stall on memory or io: whose doing it is, where the ledger tells of CPUs only. */
static bool print_stall(const struct cli *cli, const json_t *finding)
{
	static const struct column columns[] = {
	    {"whose doing", COLUMN_NAME},
	    {"share", COLUMN_NUMBER},
	    {"", COLUMN_PROSE},
	};
	const char *resource = get_text(finding, "resource");
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	char buf[SHOW_MAX];
	json_t *c;
	size_t i;

	if (strcmp(resource, "memory") && strcmp(resource, "io"))
		return false;
	json_array_foreach(json_object_get(finding, "culprits"), i, c)
	{
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(c, "zone"));
		table_add(&t, STYLE_PLAIN, "%s", show_ppm(c, "share_ppm", buf));
		table_add(&t, STYLE_PLAIN, "class %s", get_text(c, "class"));
	}
	if (i) {
		putchar('\n');
		table_print(&t, &cli->out, 2);
	}
	table_done(&t);
	return true;
}

static void print_not_the_cause(const struct cli *cli, const json_t *texts)
{
	struct strbuf b = {0};
	json_t *text;
	size_t i;

	json_array_foreach(texts, i, text) if (json_is_string(text))
	    strbuf_printf(&b, "%s%s", b.len ? ", " : "", json_string_value(text));
	if (b.len)
		out_paragraph(&cli->out, 4, STYLE_PLAIN, "\n  not the cause: %s", b.data);
	strbuf_done(&b);
}

static void print_one_done(const struct cli *cli, const json_t *a, const char *before)
{
	char what[512], effect[256], state[128], when[SHOW_MAX], took[SHOW_MAX], seq[SHOW_MAX];
	bool written = get_count(a, "written_ns"), failed = !strcmp(get_text(a, "state"), "failed");

	knob_phrase(a, written && !failed, what, sizeof(what));
	show_id(a, "seq", seq);
	if (!written || failed) {
		out_paragraph(&cli->out, 4, STYLE_PLAIN,
			      "%s  not done: %s. It failed: %s (action %s).", before, what,
			      text_or_dash(a, "ended"), seq);
		return;
	}
	action_effect(a, effect, sizeof(effect));
	out_paragraph(&cli->out, 4, STYLE_PLAIN,
		      "%s  done at %s, %s after %s: %s. Effect: %s. State: %s (action %s).", before,
		      show_real_time(a, "written_real_ns", when), show_duration(a, "took_ns", took),
		      get_count(a, "permitted_ns") > get_count(a, "onset_ns") ? "czd was allowed to"
									      : "the harm began",
		      what, effect[0] ? effect : "not measured",
		      action_state_words(a, state, sizeof(state)), seq);
}

static void print_done(const struct cli *cli, const json_t *actions)
{
	json_t *a;
	size_t i;

	json_array_foreach(actions, i, a) print_one_done(cli, a, i ? "" : "\n");
}

static void print_proposal(const struct cli *cli, const json_t *data)
{
	const json_t *p = json_object_get(data, "proposal");
	const char *expect = get_text(p, "expect");
	char what[512];

	if (!json_is_object(p))
		return;
	knob_phrase(p, false, what, sizeof(what));
	out_paragraph(&cli->out, 4, STYLE_PLAIN, "\n  would do (mode is %s): %s.%s%s",
		      text_or_dash(data, "mode"), what, expect[0] ? " Expected: " : "", expect);
}

/* czd leaves out the sudo that this user needs for what changes things. */
static const char *sudo_for(const char *next)
{
	const struct verb *verb;
	char name[32] = "";

	if (geteuid() == 0 || sscanf(next, "czctl %31s", name) != 1)
		return "";
	verb = verb_find(name);
	return verb && verb->changes ? "sudo " : "";
}

static void print_why(const struct cli *cli, const json_t *data)
{
	const char *next = get_text(data, "next");
	json_t *note;
	size_t i;

	out_paragraph(&cli->out, 0, verdict_style(get_text(data, "verdict")), "%s",
		      text_or_dash(data, "headline"));
	if (!print_stall(cli, json_object_get(data, "finding")))
		print_ledger(cli, json_object_get(data, "ledger"));
	print_not_the_cause(cli, json_object_get(data, "not_the_cause"));
	print_done(cli, json_object_get(data, "actions"));
	print_proposal(cli, data);
	why_print_stacks(cli, json_object_get(data, "stack"));
	json_array_foreach(json_object_get(data, "notes"), i, note) if (json_is_string(note))
	    out_paragraph(&cli->out, 4, STYLE_PLAIN, "%s  note: %s", i ? "" : "\n",
			  json_string_value(note));
	if (next[0])
		out_paragraph(&cli->out, 2, STYLE_PLAIN, "\nNext: %s%s", sudo_for(next), next);
}

static int why_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *data = NULL;
	int r;

	r = cli_call(cli, "why", json_pack("{s:s}", "zone", args->words[0]), &data);
	if (r != EXIT_OK)
		return r;
	commands_add(json_object_get(json_object_get(data, "ledger"), "parts"));
	commands_add(json_object_get(json_object_get(data, "finding"), "culprits"));
	if (args->option[OPT_STACK])
		why_add_stacks(data);
	if (cli->json)
		cli_print_json(data);
	else
		print_why(cli, data);
	return EXIT_OK;
}

const struct verb verb_why = {
    .name = "why",
    .summary = "is this zone hurt, by whom, and what helps",
    .usage = "ZONE [--stack]",
    .help = "Says whether a protected zone waits for a CPU, how long, who ran on that CPU\n"
	    "meanwhile (measured in the scheduler, not guessed), what is not the cause, what\n"
	    "was done about it, or what czd would do.\n"
	    "\n"
	    "The shares are parts of the time waited and sum to 100 %. 'itself' is the zone's\n"
	    "own tasks, 'its own CPU quota' its own limit: these are never blamed on others.\n"
	    "Waiting is summed over threads: six that wait at once wait 600 % of the time.\n"
	    "\n"
	    "With --stack, czctl itself samples the threads of the culprits for 0.2 s and\n"
	    "shows their most frequent stacks, innermost function first. Your own processes\n"
	    "you may sample; those of others, and what the kernel does for them, take sudo.\n"
	    "\n"
	    "Examples:\n"
	    "  czctl why redis.service\n"
	    "  sudo czctl why redis.service --stack\n"
	    "  czctl why redis.service -o json | jq '.ledger.parts[0]'\n",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .run = why_run,
};
