/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli/show.h"
#include "cli/verbs.h"

#define PATIENCE_MS 60000 /* 10,000 zones take some 5 s of a busy machine */

static const char *held_words(const json_t *item, char buf[static 64])
{
	char seq[SHOW_MAX];

	if (!get_bool(item, "held"))
		return "";
	if (!get_count(item, "held_by"))
		return "held by czd";
	snprintf(buf, 64, "held by czd (action %s)", show_id(item, "held_by", seq));
	return buf;
}

static void print_items(const struct cli *cli, const json_t *items)
{
	static const struct column columns[] = {
	    {"zone", COLUMN_NAME}, {"file", COLUMN_TEXT}, {"czd found", COLUMN_NAME},
	    {"now", COLUMN_NAME},  {"", COLUMN_TEXT},
	};
	struct table t = {.columns = columns, .nr_columns = sizeof(columns) / sizeof(columns[0])};
	char buf[64];
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(item, "zone"));
		table_add(&t, STYLE_PLAIN, "%s",
			  get_text(item, "file")[0] ? get_text(item, "file")
						    : text_or_dash(item, "knob"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(item, "found"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(item, "now"));
		table_add(&t, STYLE_PLAIN, "%s", held_words(item, buf));
	}
	if (i) {
		putchar('\n');
		table_print(&t, &cli->out, 0);
	}
	table_done(&t);
}

static void print_verify(const struct cli *cli, const json_t *data)
{
	const json_t *items = json_object_get(data, "items");
	char checked[SHOW_MAX], differing[SHOW_MAX];
	bool unchanged = get_bool(data, "unchanged");
	uint64_t nr = get_count(data, "differing");

	show_number(data, "checked", checked);
	show_number(data, "differing", differing);
	out_paragraph(&cli->out, 0, unchanged ? STYLE_GOOD : STYLE_BAD,
		      "host %s: %s of %s knobs differ from what czd found",
		      unchanged ? "unchanged" : "changed", differing, checked);
	print_items(cli, items);
	if (nr > json_array_size(items))
		printf("(the first %zu of %s)\n", json_array_size(items), differing);
	if (get_count(data, "held"))
		puts("\nNext: sudo czctl undo puts back what czd holds");
}

static int verify_run(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *data = NULL;
	int r;

	cli->client.patience_ms = PATIENCE_MS;
	cli->client.waits_for = "czd: it reads every knob of every zone";
	r = cli_call(cli, "verify", json_object(), &data);
	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else
		print_verify(cli, data);
	return get_bool(data, "unchanged") ? EXIT_OK : EXIT_DIFFERS;
}

const struct verb verb_verify = {
    .name = "verify",
    .summary = "is the host as czd found it",
    .usage = "",
    .help = "Reads every knob again and compares it with what czd found before it wrote\n"
	    "anything. 'held by czd' is an action in force: czctl undo puts it back.\n"
	    "\n"
	    "Exit code: 0 unchanged, 6 something differs.\n"
	    "\n"
	    "Examples:\n"
	    "  sudo czctl undo && czctl verify\n"
	    "  czctl verify -o json | jq '.items'\n",
    .run = verify_run,
};
