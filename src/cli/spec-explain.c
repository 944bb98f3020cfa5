/* SPDX-License-Identifier: MIT */
#include "cli/spec-explain.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "model/zone-fields.h"

#define PATH_MAX_ZONE 64

struct visit {
	const struct cli *cli;
	const char *wanted; /* NULL: all */
	struct table *table;
	json_t *list;
	size_t nr;
	unsigned int distance; /* of the closest to what was not found */
	char closest_path[PATH_MAX_ZONE];
};

/* By enum zone_update. */
static const char *const changes[] = {
    [UPDATE_STALE] = "-", /* a section, or what is always the same */
    [UPDATE_HOT] = "while it runs",
    [UPDATE_REBOOT] = "reboot",
    [UPDATE_REFUSED] = "never",
};

static bool is_wanted(const char *path, const char *wanted)
{
	size_t n = strlen(path), w = strlen(wanted);

	if (!strncmp(path, wanted, w) && (!path[w] || path[w] == '.'))
		return true;
	return n > w && path[n - w - 1] == '.' && !strcmp(path + n - w, wanted);
}

static void explain_one(struct visit *v, const struct zone_field *f, const char *path)
{
	const struct out *o = &v->cli->out;
	char allowed[256];

	if (v->nr)
		putchar('\n');
	out_paragraph(o, 0, STYLE_TITLE, "%s", path);
	out_paragraph(o, 0, STYLE_PLAIN, "%s", f->help);
	out_paragraph(o, 11, STYLE_PLAIN, "  takes    %s",
		      zone_field_allowed(f, allowed, sizeof(allowed)));
	if (f->fallback)
		out_paragraph(o, 11, STYLE_PLAIN, "  default  %s", f->fallback);
	if (f->change != UPDATE_STALE)
		out_paragraph(o, 11, STYLE_PLAIN, "  changes  %s", changes[f->change]);
	if (f->flags & FIELD_REQUIRED)
		out_paragraph(o, 11, STYLE_PLAIN, "  needed   yes");
	if (f->flags & FIELD_VM_ONLY)
		out_paragraph(o, 11, STYLE_PLAIN, "  only     with runtime vm");
}

static void add_json(struct visit *v, const struct zone_field *f, const char *path)
{
	char allowed[256];

	json_array_append_new(v->list,
			      json_pack("{s:s, s:s, s:s?, s:s, s:b, s:b, s:s}", "field", path,
					"takes", zone_field_allowed(f, allowed, sizeof(allowed)),
					"default", f->fallback, "changes", changes[f->change],
					"needed", (f->flags & FIELD_REQUIRED) != 0, "vm_only",
					(f->flags & FIELD_VM_ONLY) != 0, "help", f->help));
}

static void note_closest(struct visit *v, const char *name, const char *path)
{
	unsigned int distance = str_distance(name, v->wanted);

	if (distance >= v->distance)
		return;
	v->distance = distance;
	str_copy(v->closest_path, sizeof(v->closest_path), path);
}

static void visit_field(struct visit *v, const struct zone_field *f, const char *path)
{
	if (v->wanted && !is_wanted(path, v->wanted)) {
		note_closest(v, f->key, path);
		note_closest(v, path, path);
		return;
	}
	if (v->list) {
		add_json(v, f, path);
	} else if (v->wanted) {
		explain_one(v, f, path);
	} else {
		table_add(v->table, STYLE_PLAIN, "%s", path);
		table_add(v->table, STYLE_PLAIN, "%s", changes[f->change]);
		table_add(v->table, STYLE_PLAIN, "%s", f->help);
	}
	v->nr++;
}

static void visit_fields(struct visit *v, const struct zone_field *fields, const char *above)
{
	char path[PATH_MAX_ZONE];

	for (const struct zone_field *f = fields; f->key; f++) {
		snprintf(path, sizeof(path), "%s%s%s", above, above[0] ? "." : "", f->key);
		visit_field(v, f, path);
		if (f->sub)
			visit_fields(v, f->sub, path);
	}
}

static int not_found(const struct visit *v)
{
	struct error e;

	error_set(&e, -ENOENT, "a zone has no field '%s'", v->wanted);
	if (v->distance < 4)
		error_hint(&e, "Did you mean '%s'?", v->closest_path);
	else
		error_hint(&e, "czctl spec explain shows them all");
	return cli_fail(v->cli, &e);
}

int spec_explain(const struct cli *cli, const char *path)
{
	static const struct column columns[] = {
	    {"FIELD", COLUMN_TEXT},
	    {"CHANGES", COLUMN_TEXT},
	    {"WHAT IT IS", COLUMN_PROSE},
	};
	_cleanup_(table_done) struct table table = {.columns = columns,
						    .nr_columns = ARRAY_SIZE(columns)};
	struct visit v = {.cli = cli, .wanted = path, .table = &table, .distance = 255};

	if (cli->json)
		v.list = json_array();
	visit_fields(&v, zone_fields, "");
	if (!v.nr) {
		json_decref(v.list);
		return not_found(&v);
	}
	if (v.list) {
		cli_print_json(v.list);
		json_decref(v.list);
	} else if (!path) {
		table_print(&table, &cli->out, 0);
		out_paragraph(&cli->out, 0, STYLE_PLAIN,
			      "\nOne of them, with what it takes: czctl spec explain resource.cpu");
	}
	return EXIT_OK;
}
