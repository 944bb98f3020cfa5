/* SPDX-License-Identifier: MIT */
/* Zone specifications without a daemon: check, teach, normalise, convert. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "cli/errors.h"
#include "cli/show.h"
#include "cli/spec-explain.h"
#include "cli/verbs.h"

#include "base/cleanup.h"
#include "spec/walk.h"
#include "spec/zone-spec-io.h"

static struct error_list errs, notes; /* large */

struct source {
	const char *path;
	char *text;
	size_t len;
};

static int exit_for(int r)
{
	return r == 0 ? EXIT_OK : r == -ENOENT ? EXIT_NOT_FOUND : EXIT_USAGE;
}

static int read_source(const char *path, struct source *ret)
{
	*ret = (struct source){.path = path};
	notes.nr = notes.total = errs.nr = errs.total = 0;
	return walk_read_file(AT_FDCWD, path, &ret->text, &ret->len, &errs);
}

static int load(const char *path, struct source *src, struct zone_spec *ret)
{
	int r = read_source(path, src);

	return r < 0 ? r : zone_spec_load_text(path, src->text, src->len, ret, &errs);
}

static void say_good(const struct cli *cli, const struct source *src, const struct zone_spec *s)
{
	char apps[SHOW_MAX], found[SHOW_MAX];
	bool vm = s->runtime == RUNTIME_VM;

	out_paragraph(&cli->out, 0, notes.total ? STYLE_WARN : STYLE_GOOD,
		      "%s is good: zone %s, class %s, runtime %s, %s%s%s.", src->path, s->name,
		      zone_class_name(s->class), vm ? "vm" : "cgroup",
		      show_plural(s->nr_apps, "app", apps), notes.total ? "; on this host " : "",
		      notes.total ? show_plural(notes.total, "problem", found) : "");
}

static int check_one(const struct cli *cli, const char *path, json_t *list)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct source src;
	int r = load(path, &src, &s);

	if (r == 0)
		zone_spec_check_host(&s, root, path, src.text, src.len, &notes);
	free(src.text);
	if (list) {
		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:i, s:o, s:o}", "file", path, "ok",
						r == 0, "total", (int)errs.total, "errors",
						errors_json(&errs), "host", errors_json(&notes)));
	} else if (r == 0) {
		say_good(cli, &src, &s);
		errors_print(&notes, "warning: ");
	} else {
		errors_print(&errs, "");
	}
	return exit_for(r);
}

static int do_check(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *list = cli->json ? json_array() : NULL;
	int worst = EXIT_OK, r;

	for (int i = 1; i < args->nr; i++) {
		r = check_one(cli, args->words[i], list);
		if (r != EXIT_OK && worst != EXIT_USAGE)
			worst = r;
	}
	if (list)
		cli_print_json(list);
	return worst;
}

static int print_spec(const struct cli *cli, const struct zone_spec *s)
{
	_cleanup_(strbuf_done) struct strbuf text = {0};
	_cleanup_json_ json_t *json = zone_spec_json(s);
	struct error e;

	if (!json || zone_spec_yaml(s, &text) < 0) {
		error_errno(&e, -ENOMEM, "cannot print the specification");
		return cli_fail(cli, &e);
	}
	if (cli->json)
		cli_print_json(json);
	else
		fputs(text.data, stdout);
	return EXIT_OK;
}

enum { OPTION_FILE };

static int do_explain(struct cli *cli, const struct args *args)
{
	const char *path = args->option[OPTION_FILE];
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	struct source src;
	int r;

	if (!path)
		return spec_explain(cli, args->nr > 1 ? args->words[1] : NULL);
	if (args->nr > 1)
		return cli_usage(&verb_spec, "explain takes either a field or --file");
	r = load(path, &src, &s);
	free(src.text);
	if (r == 0)
		return print_spec(cli, &s);
	errors_print(&errs, "");
	return exit_for(r);
}

static int do_convert(struct cli *cli, const struct args *args)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	struct source src;
	int r = read_source(args->words[1], &src);

	if (r == 0)
		r = zone_spec_convert(src.path, src.text, src.len, &s, &errs, &notes);
	free(src.text);
	errors_print(&notes, "note: ");
	if (r == 0)
		return print_spec(cli, &s);
	errors_print(&errs, "");
	return exit_for(r);
}

static int do_schema(struct cli *cli, const struct args *args)
{
	_cleanup_json_ json_t *schema = zone_spec_schema();

	if (!schema)
		return EXIT_FAILED;
	(void)json_dumpf(schema, stdout, JSON_INDENT(2)); /* main() tells of a failure */
	putchar('\n');
	return EXIT_OK;
}

static const struct {
	const char *name;
	int min, max; /* words after it; max -1: any */
	int (*run)(struct cli *cli, const struct args *args);
} parts[] = {
    {"check", 1, -1, do_check},
    {"explain", 0, 1, do_explain},
    {"convert", 1, 1, do_convert},
    {"schema", 0, 0, do_schema},
};

static int spec_run(struct cli *cli, const struct args *args)
{
	const char *name = args->words[0];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strcmp(parts[i].name, name))
			continue;
		if (args->nr - 1 < parts[i].min ||
		    (parts[i].max >= 0 && args->nr - 1 > parts[i].max))
			return cli_usage(&verb_spec, "%s takes %s", name,
					 parts[i].max < 0    ? "one FILE or more"
					 : parts[i].min	     ? "one FILE"
					 : parts[i].max == 1 ? "one FIELD at most"
							     : "nothing more");
		if (args->option[OPTION_FILE] && parts[i].run != do_explain)
			return cli_usage(&verb_spec, "--file is for explain");
		return parts[i].run(cli, args);
	}
	return cli_usage(&verb_spec, "'%s' is not check, explain, convert or schema", name);
}

static const struct verb_option options[] = {
    [OPTION_FILE] = {"file", "FILE", "explain: print FILE in its normal form"},
    {0},
};

const struct verb verb_spec = {
    .name = "spec",
    .summary = "check and explain zone specifications; needs no czd",
    .usage = "check FILE... | explain [FIELD] | convert FILE | schema",
    .help = "check    reads each FILE as czd would, shows every error with its line, and\n"
	    "         warns of what this host cannot give. Exit code 2: there is an error.\n"
	    "explain  the fields of a zone, or those at, below or called FIELD: what each\n"
	    "         takes, its default, and whether changing it takes a reboot. With\n"
	    "         --file, that file as czd keeps it.\n"
	    "convert  FILE of the older form (meta, os, resource) in the new one.\n"
	    "schema   the format as a JSON schema, for editors.\n"
	    "The format: man cz-zone\n"
	    "\n"
	    "Examples:\n"
	    "  czctl spec check examples/zones/*.yaml\n"
	    "  czctl spec explain resource.cpu\n"
	    "  czctl spec convert old.yaml > new.yaml\n",
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .run = spec_run,
};
