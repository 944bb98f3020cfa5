/* SPDX-License-Identifier: MIT */
/* Zone rows and actions as tables and sentences: what several verbs print alike. */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/show.h"

const char *class_words(const char *class)
{
	static const char *const words[][2] = {
	    {"lc", "latency-critical"}, {"be", "best-effort"}, {"normal", "normal"}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i][0], class))
			return words[i][1];
	return class;
}

const char *cause_words(const char *cause)
{
	static const char *const words[][2] = {
	    {"self", "itself"},
	    {"throttled", "its own CPU quota"},
	    {"kernel", "kernel"},
	    {"host", "hypervisor (steal)"},
	    {"idle", "idle CPU, waking up"},
	    {"neighbour", "a zone that is gone"},
	    {"unknown", "unknown"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i][0], cause))
			return words[i][1];
	return cause;
}

void note_none_protected(const json_t *data)
{
	uint64_t nr;

	if (get_number(data, "protected", &nr) && !nr)
		puts("No zone is protected, so there is nothing to act for yet: sudo czctl protect "
		     "ZONE");
}

int say_not_kept(const struct cli *cli, const json_t *data)
{
	const char *why = get_text(data, "not_kept");

	if (!why[0])
		return EXIT_OK;
	fprintf(stderr, "czctl: it holds until czd restarts only: %s\n", why);
	return EXIT_FAILED;
}

enum style zone_state_style(const char *state)
{
	static const struct {
		const char *state;
		enum style style;
	} styles[] = {{"hurt", STYLE_BAD}, {"hurting", STYLE_WARN}, {"fine", STYLE_GOOD}};

	for (size_t i = 0; i < ARRAY_SIZE(styles); i++)
		if (!strcmp(styles[i].state, state))
			return styles[i].style;
	return STYLE_PLAIN;
}

void show_zones(const struct cli *cli, const json_t *zones, size_t limit)
{
	static const struct column columns[] = {
	    {"zone", COLUMN_NAME},    {"class", COLUMN_TEXT},	   {"CPUs", COLUMN_NUMBER},
	    {"waits", COLUMN_NUMBER}, {"wait p99", COLUMN_NUMBER}, {"memory", COLUMN_NUMBER},
	    {"state", COLUMN_TEXT},
	};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	char buf[SHOW_MAX];
	const char *state;
	json_t *zone;
	size_t i;

	json_array_foreach(zones, i, zone)
	{
		if (i == limit)
			break;
		state = text_or_dash(zone, "state");
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(zone, "name"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(zone, "class"));
		table_add(&t, STYLE_PLAIN, "%s", show_cpus(zone, "cpu_ppm", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_ppm(zone, "wait_ppm", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_wait(zone, "wait_p99_ns", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_bytes(zone, "memory_bytes", buf));
		table_add(&t, zone_state_style(state), "%s", state);
	}
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

/* What one knob at one value means; %s is the zone, the second %s the value. */
static const struct knob_words {
	const char *knob, *to; /* to NULL: any value */
	const char *todo, *done;
} knob_words[] = {
    {"cpu.idle", "1", "put %s in the idle class", "%s was put in the idle class"},
    {"cpu.idle", "0", "take %s out of the idle class", "%s was taken out of the idle class"},
    {"cpu.weight", NULL, "set the CPU weight of %s to %s", "%s got CPU weight %s"},
    {"cpuset", NULL, "keep %s on CPUs %s", "%s was kept on CPUs %s"},
    {"cpu.max", NULL, "cap the CPU time of %s at '%s'", "%s was capped at '%s'"},
    {"memory.high", NULL, "hold the memory of %s at %s", "the memory of %s was held at %s"},
    {"io.max", NULL, "limit the io of %s to %s a second, each for reads and writes",
     "the io of %s was limited to %s a second, each for reads and writes"},
    {"net.max", NULL, "pace what %s sends at %s a second",
     "what %s sends was paced at %s a second"},
    {"llc", NULL, "leave %s %s ways of the last-level cache",
     "%s was left %s ways of the last-level cache"},
    {"membw", NULL, "leave %s %s %% of the memory bandwidth",
     "%s was left %s %% of the memory bandwidth"},
    {"freeze", "1", "freeze %s", "%s was frozen"},
    {"freeze", "0", "thaw %s", "%s was thawed"},
    {"", NULL, "change a knob of %s to '%s'", "a knob of %s was set to '%s'"},
};

static bool is_bytes(const char *knob)
{
	return !strcmp(knob, "memory.high") || !strcmp(knob, "io.max") || !strcmp(knob, "net.max");
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* only formats of the table above */
void knob_phrase(const json_t *action, bool done, char *buf, size_t size)
{
	const char *knob = get_text(action, "knob"), *to = get_text(action, "to");
	const struct knob_words *w = knob_words;
	char bytes[SHOW_MAX];
	uint64_t v;

	while (w->knob[0] && (strcmp(w->knob, knob) || (w->to && strcmp(w->to, to))))
		w++;
	str_copy(bytes, sizeof(bytes), to);
	bytes[strcspn(bytes, " ")] = '\0'; /* net.max: at an interface */
	if (is_bytes(knob) && parse_u64(bytes, &v) >= 0)
		to = format_bytes(v, bytes, sizeof(bytes));
	snprintf(buf, size, done ? w->done : w->todo, text_or_dash(action, "target"), to);
}
#pragma GCC diagnostic warning "-Wformat-nonliteral"

/* The share is of the target alone; the p99 knows no culprits, and is of the worst window. */
static void add_p99_excuse(const json_t *action, char *buf, size_t size)
{
	uint64_t before, after, foreign, behind;
	size_t len = strlen(buf);
	char share[SHOW_MAX] = "";

	if (!get_number(action, "before_wait_p99_ns", &before) ||
	    !get_number(action, "after_wait_p99_ns", &after) || !after || after < before)
		return;
	if (get_number(action, "after_share_ppm", &foreign) &&
	    get_number(action, "after_behind_ppm", &behind) && foreign > behind)
		format_ppm(foreign - behind, share, sizeof(share));
	snprintf(buf + len, size - len, " (in the worst window%s%s)",
		 share[0] ? "; behind others " : "", share);
}

char *action_effect(const json_t *action, char *buf, size_t size)
{
	char before[SHOW_MAX], after[SHOW_MAX];
	size_t len;
	uint64_t v;

	buf[0] = 0;
	if (!get_number(action, "before_behind_ppm", &v) ||
	    !get_number(action, "after_behind_ppm", &v))
		return buf;
	if (!strcmp(get_text(action, "resource"), "memory") ||
	    !strcmp(get_text(action, "resource"), "io")) {
		snprintf(buf, size, "stalled for %s %s -> %s of the time",
			 get_text(action, "resource"), show_ppm(action, "before_share_ppm", before),
			 show_ppm(action, "after_share_ppm", after));
		return buf;
	}
	if (!strcmp(get_text(action, "resource"), "cache")) {
		snprintf(buf, size, "cycles an instruction above what is usual by %s -> %s",
			 show_ppm(action, "before_share_ppm", before),
			 show_ppm(action, "after_share_ppm", after));
		return buf;
	}
	if (!strcmp(get_text(action, "resource"), "network")) {
		snprintf(buf, size, "packets sent again %s -> %s",
			 show_ppm(action, "before_share_ppm", before),
			 show_ppm(action, "after_share_ppm", after));
		return buf;
	}
	snprintf(buf, size, "waited behind %.48s %s%s -> %s of the time",
		 text_or_dash(action, "target"), show_ppm(action, "before_behind_ppm", before),
		 get_bool(action, "fast") ? " (while the event lasted)" : "",
		 show_ppm(action, "after_behind_ppm", after));
	len = strlen(buf);
	if (get_number(action, "before_wait_p99_ns", &v) &&
	    get_number(action, "after_wait_p99_ns", &v))
		snprintf(buf + len, size - len, ", wait p99 %s -> %s",
			 show_wait(action, "before_wait_p99_ns", before),
			 show_wait(action, "after_wait_p99_ns", after));
	add_p99_excuse(action, buf, size);
	return buf;
}

bool action_holds(const json_t *action)
{
	const char *state = get_text(action, "state");

	return !strcmp(state, "kept") || !strcmp(state, "applied");
}

char *action_state_words(const json_t *action, char *buf, size_t size)
{
	static const char *const outcomes[][2] = {{"helped", " (it helped)"},
						  {"no_help", " (no help)"},
						  {"unmeasured", " (not measured)"}};
	const char *state = text_or_dash(action, "state"), *outcome = "";
	char until[SHOW_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		if (!strcmp(outcomes[i][0], get_text(action, "outcome")))
			outcome = outcomes[i][1];
	if (action_holds(action))
		snprintf(buf, size, "%s, until %s", state,
			 show_real_time(action, "lease_end_real_ns", until));
	else
		snprintf(buf, size, "%s%s", state, outcome);
	return buf;
}

static void add_action(struct table *t, const json_t *a)
{
	const char *state = text_or_dash(a, "state");
	char buf[SHOW_MAX], effect[256], words[128], note[900];

	table_add(t, STYLE_PLAIN, "%s", show_id(a, "seq", buf));
	table_add(t, STYLE_PLAIN, "%s", show_real_time(a, "written_real_ns", buf));
	table_add(t, STYLE_PLAIN, "%s", text_or_dash(a, "target"));
	table_add(t, STYLE_PLAIN, "%s", text_or_dash(a, "knob"));
	table_add(t, STYLE_PLAIN, "%s -> %s", text_or_dash(a, "from"), text_or_dash(a, "to"));
	table_add(t, STYLE_PLAIN, "%s", show_duration(a, "took_ns", buf));
	table_add(t, STYLE_PLAIN, "%s", state);
	action_effect(a, effect, sizeof(effect));
	if (!strcmp(state, "proposed"))
		snprintf(note, sizeof(note), "%s; expected: %s", text_or_dash(a, "reason"),
			 text_or_dash(a, "expect"));
	else
		snprintf(note, sizeof(note), "%s; effect on %s: %s; %s", text_or_dash(a, "reason"),
			 text_or_dash(a, "victim"), effect[0] ? effect : "not measured",
			 action_state_words(a, words, sizeof(words)));
	table_note(t, note);
}

void show_actions(const struct cli *cli, const json_t *actions)
{
	static const struct column columns[] = {
	    {"#", COLUMN_NUMBER},   {"when", COLUMN_TEXT},	 {"zone", COLUMN_NAME},
	    {"knob", COLUMN_TEXT},  {"from -> to", COLUMN_NAME}, {"took", COLUMN_NUMBER},
	    {"state", COLUMN_TEXT},
	};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	json_t *action;
	size_t i;

	json_array_foreach(actions, i, action) add_action(&t, action);
	table_print(&t, &cli->out, 0);
	table_done(&t);
}

#define TRIALS_SHOWN 3

static char *show_left(const json_t *trial, char *buf)
{
	uint64_t left_s = (get_count(trial, "left_ns") + 500000000) / 1000000000;

	if (left_s < 120)
		snprintf(buf, SHOW_MAX, "%llu s", (unsigned long long)left_s);
	else
		snprintf(buf, SHOW_MAX, "%llu min", (unsigned long long)(left_s + 30) / 60);
	return buf;
}

static void add_trials(struct strbuf *b, const json_t *data, bool enforce)
{
	size_t i, shown = 0;
	char left[SHOW_MAX];
	json_t *trial;

	json_array_foreach(json_object_get(data, "trials"), i, trial)
	{
		const char *zone = get_text(trial, "zone");

		if (enforce == (zone[0] != 0)) /* the trial of all is the mode of all */
			continue;
		if (shown++ == TRIALS_SHOWN) {
			strbuf_puts(b, "; and more");
			break;
		}
		if (zone[0])
			strbuf_printf(b, "; enforcing for %s", zone);
		strbuf_printf(b, ", %s left", show_left(trial, left));
	}
}

/* Zones whose own lasting mode is another than that of all. */
static size_t add_own_modes(struct strbuf *b, const json_t *data, const char *mode)
{
	size_t i, shown = 0;
	json_t *own;

	json_array_foreach(json_object_get(data, "modes"), i, own)
	{
		if (!strcmp(get_text(own, "mode"), mode))
			continue;
		if (shown++ < TRIALS_SHOWN)
			strbuf_printf(b, "; %s for %s", text_or_dash(own, "mode"),
				      text_or_dash(own, "zone"));
	}
	if (shown > TRIALS_SHOWN)
		strbuf_puts(b, "; and more");
	return shown;
}

void show_approvals(const struct cli *cli, const json_t *data)
{
	char left[SHOW_MAX];
	json_t *approval;
	size_t i;

	json_array_foreach(json_object_get(data, "approvals"), i, approval) out_paragraph(
	    &cli->out, 0, STYLE_PLAIN,
	    "Approved, %s left: when %s is hurt (%s), %s is held back again without asking. "
	    "czctl undo ends that.",
	    show_left(approval, left), text_or_dash(approval, "zone"),
	    text_or_dash(approval, "resource"), text_or_dash(approval, "target"));
}

char *mode_words(const json_t *data)
{
	const char *mode = text_or_dash(data, "mode"), *why = get_text(data, "cannot_enforce");
	bool enforce = !strcmp(mode, "enforce");
	struct strbuf b = {0};
	size_t own;

	strbuf_puts(&b, mode);
	add_trials(&b, data, enforce);
	own = add_own_modes(&b, data, mode);
	if (why[0] && (enforce || own || json_array_size(json_object_get(data, "trials"))))
		strbuf_printf(&b, ", but nothing can be enforced: %s", why);
	return b.data;
}
