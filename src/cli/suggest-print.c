/* SPDX-License-Identifier: MIT */
#include "cli/suggest-print.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/show.h"

static bool is_proposed(const struct suggestions *w, size_t i)
{
	const struct zone_seen *z = &w->zones[i];
	const struct proposal *p = &w->proposals[i];

	if (p->confidence == CONFIDENCE_NONE)
		return false;
	/* what czd never touches needs no class to be touched */
	return !(z->off_limits && p->class == CLASS_BE);
}

/* It was there, and nothing is proposed: worth a line unless it never did anything. */
static bool is_untold(const struct suggestions *w, size_t i)
{
	return !is_proposed(w, i) && !w->zones[i].off_limits && !w->proposals[i].is_idle &&
	       w->zones[i].tasks > 0;
}

static size_t count_idle(const struct suggestions *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->nr; i++)
		n += w->proposals[i].is_idle;
	return n;
}

/* What a rule of czd.yaml matches this zone by: its name if that is no glob and no other's. */
static void rule_match(const struct suggestions *w, size_t i, char *buf, size_t size)
{
	const char *name = w->zones[i].name;
	bool usable = name[0] && !strpbrk(name, "/*?\\");

	for (size_t k = 0; k < w->nr && usable; k++)
		usable = k == i || strcmp(w->zones[k].name, name) != 0;
	str_copy(buf, size, usable ? name : w->zones[i].path);
	for (char *p = buf; *p && !usable; p++)
		*p = *p == '*' ? '?' : *p; /* '?' matches it too, and little else */
}

static json_t *proposal_json(const struct suggestions *w, size_t i)
{
	const struct zone_seen *z = &w->zones[i];
	const struct proposal *p = &w->proposals[i];
	char match[ZONE_PATH_MAX];

	rule_match(w, i, match, sizeof(match));
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:s}", "zone", z->name, "path", z->path,
			 "match", match, "class", zone_class_name(p->class), "class_now",
			 zone_class_name(z->class), "confidence", confidence_name(p->confidence),
			 "wait_p99_ns",
			 p->wait_p99_ns ? json_integer((json_int_t)p->wait_p99_ns) : json_null(),
			 "why", p->why.data ? p->why.data : "");
}

void suggest_print_json(const struct suggestions *w)
{
	_cleanup_json_ json_t *o = json_pack(
	    "{s:I,s:I,s:I,s:I,s:I,s:o,s:[],s:[]}", "watched_ns", (json_int_t)w->watched_ns, "looks",
	    (json_int_t)w->looks, "zones", (json_int_t)w->nr, "idle", (json_int_t)count_idle(w),
	    "goals_from_history", (json_int_t)w->from_history, "history_why",
	    w->history_why[0] ? json_string(w->history_why) : json_null(), "proposals", "untold");

	for (size_t i = 0; i < w->nr; i++) {
		if (is_proposed(w, i))
			json_array_append_new(json_object_get(o, "proposals"), proposal_json(w, i));
		else if (is_untold(w, i))
			json_array_append_new(json_object_get(o, "untold"),
					      json_pack("{s:s,s:s,s:s}", "zone", w->zones[i].name,
							"path", w->zones[i].path, "why",
							w->proposals[i].why.data));
	}
	cli_print_json(o);
}

static void say_how(const struct suggestions *w, struct strbuf *b)
{
	char text[SHOW_MAX];

	strbuf_printf(b, "Watched %s in %zu looks",
		      format_duration(w->watched_ns, text, sizeof(text)), w->looks);
	strbuf_printf(b, ", %s", show_plural(w->nr, "zone", text));
	strbuf_printf(b, ", of which %s hardly ran",
		      format_count(count_idle(w), text, sizeof(text)));
	if (w->history_why[0])
		strbuf_printf(b, "; no history: %s", w->history_why);
	else if (w->from_history)
		strbuf_printf(b, "; history of %s", show_plural(w->from_history, "zone", text));
	strbuf_puts(b, ". Nothing was changed.");
}

/* JSON's strings are YAML's too. */
static void print_quoted(const char *text)
{
	_cleanup_json_ json_t *s = json_string(text);
	_cleanup_free_ char *quoted = json_dumps(s, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	fputs(quoted ? quoted : "\"\"", stdout);
}

static void print_rule(const struct suggestions *w, size_t i)
{
	const struct proposal *p = &w->proposals[i];
	char match[ZONE_PATH_MAX], goal[160], safe[2048];
	struct slo slo = {.wait_p99_ns = p->wait_p99_ns};
	const char *value;

	rule_match(w, i, match, sizeof(match));
	printf("  # %s: %s\n", confidence_name(p->confidence),
	       str_escape(safe, sizeof(safe), p->why.data));
	fputs("  - match: ", stdout);
	print_quoted(match);
	printf("\n    class: %s\n", zone_class_name(p->class));
	slo_format(&slo, goal, sizeof(goal));
	value = strchr(goal, '=');
	if (value)
		printf("    slo:\n      wait.p99: %s\n", value + 1);
}

void suggest_print_yaml(const struct suggestions *w)
{
	_cleanup_(strbuf_done) struct strbuf how = {0};
	size_t proposed = 0;

	say_how(w, &how);
	printf(
	    "# %s\n# Read the reasons, then take over what is right; czctl check FILE checks it.\n",
	    how.data ? how.data : "");
	for (size_t i = 0; i < w->nr; i++) {
		if (!is_proposed(w, i))
			continue;
		if (!proposed++)
			puts("zones:");
		print_rule(w, i);
	}
	if (!proposed)
		puts("# No zone is clear enough for a proposal.");
}

static void add_row(struct table *t, const struct suggestions *w, size_t i)
{
	const struct zone_seen *z = &w->zones[i];
	const struct proposal *p = &w->proposals[i];
	char goal[SHOW_MAX] = "-";

	if (p->wait_p99_ns)
		format_duration(p->wait_p99_ns, goal, sizeof(goal));
	table_add(t, STYLE_PLAIN, "%s", z->name);
	table_add(t, STYLE_PLAIN, "%s", zone_class_name(z->class));
	table_add(t, STYLE_PLAIN, "%s", zone_class_name(p->class));
	table_add(t, STYLE_PLAIN, "%s", confidence_name(p->confidence));
	table_add(t, STYLE_PLAIN, "%s", goal);
	table_note(t, p->why.data ? p->why.data : "");
}

static void print_untold(const struct suggestions *w)
{
	static const struct column columns[] = {{"could not tell", COLUMN_NAME},
						{"", COLUMN_PROSE}};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	size_t shown = 0;

	for (size_t i = 0; i < w->nr; i++) {
		if (!is_untold(w, i))
			continue;
		table_add(&t, STYLE_PLAIN, "%s", w->zones[i].name);
		table_add(&t, STYLE_PLAIN, "%s",
			  w->proposals[i].why.data ? w->proposals[i].why.data : "");
		shown++;
	}
	if (shown) {
		putchar('\n');
		table_print(&t, &w->cli->out, 0);
	}
	table_done(&t);
}

void suggest_print_table(const struct suggestions *w)
{
	static const struct column columns[] = {{"zone", COLUMN_NAME},
						{"is", COLUMN_TEXT},
						{"could be", COLUMN_TEXT},
						{"confidence", COLUMN_TEXT},
						{"wait p99", COLUMN_NUMBER}};
	struct table t = {.columns = columns, .nr_columns = ARRAY_SIZE(columns)};
	_cleanup_(strbuf_done) struct strbuf how = {0};
	size_t shown = 0;

	for (size_t i = 0; i < w->nr; i++) {
		if (is_proposed(w, i)) {
			add_row(&t, w, i);
			shown++;
		}
	}
	say_how(w, &how);
	out_paragraph(&w->cli->out, 0, STYLE_PLAIN, "%s", how.data ? how.data : "");
	putchar('\n');
	if (shown)
		table_print(&t, &w->cli->out, 0);
	else
		puts("No zone is clear enough for a proposal.");
	table_done(&t);
	print_untold(w);
	if (shown)
		puts("\nNext: czctl suggest -o yaml (rules for czd.yaml), or czctl protect ZONE");
}
