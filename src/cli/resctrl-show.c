/* SPDX-License-Identifier: MIT */
#include "cli/resctrl-show.h"

#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/show.h"

#define GROUPS_MAX 1024

int resctrl_group_path(const char *word, char *buf, size_t size, struct error *reterr)
{
	const char *slash = strchr(word, '/');
	char ctrl[RESCTRL_PATH_MAX];
	int r = str_printf(ctrl, sizeof(ctrl), "%.*s",
			   slash ? (int)(slash - word) : (int)strnlen(word, sizeof(ctrl)), word);

	if (r < 0)
		return error_set(reterr, -EINVAL, "a group's name is not that long");
	if (!ctrl[0] && !slash)
		return error_set(reterr, -EINVAL, "a group has a name; the default one is /");
	return resctrl_path(buf, size, ctrl, slash && slash[1] ? slash + 1 : NULL, reterr);
}

/* "batch/mon_groups/a" -> "batch/a" */
static void shown_name(const char *path, char *buf, size_t size)
{
	const char *mon = strstr(path, "mon_groups/");

	if (mon)
		snprintf(buf, size, "%.*s/%s", mon == path ? 0 : (int)(mon - path - 1), path,
			 mon + strlen("mon_groups/"));
	else
		snprintf(buf, size, "%s", path[0] ? path : "/");
}

static json_t *schemata_json(const struct resctrl_schemata *s)
{
	json_t *o = json_object();

	for (enum resctrl_resource r = 0; r < RESCTRL_NR; r++) {
		json_t *line = s->lines[r].nr ? json_object() : NULL;

		for (size_t i = 0; i < s->lines[r].nr; i++) {
			char id[16], mask[16];
			uint32_t v = s->lines[r].domains[i].value;

			snprintf(id, sizeof(id), "%u", s->lines[r].domains[i].id);
			snprintf(mask, sizeof(mask), "%x", v);
			json_object_set_new(
			    line, id, resctrl_is_cache(r) ? json_string(mask) : json_integer(v));
		}
		if (line)
			json_object_set_new(o, resctrl_resource_name(r), line);
	}
	return o;
}

static json_t *count_json(uint64_t v)
{
	return v == RESCTRL_UNKNOWN ? json_null() : json_integer((json_int_t)v);
}

static void add_counts(const struct resctrl *rc, const char *path, json_t *o)
{
	struct resctrl_counts c = {RESCTRL_UNKNOWN, RESCTRL_UNKNOWN, RESCTRL_UNKNOWN};

	if (resctrl_read_counts(rc, path, &c) < 0)
		c = (struct resctrl_counts){RESCTRL_UNKNOWN, RESCTRL_UNKNOWN, RESCTRL_UNKNOWN};
	json_object_set_new(o, "llc_occupancy_bytes", count_json(c.llc_occupancy_bytes));
	json_object_set_new(o, "mbm_total_bytes", count_json(c.mbm_total_bytes));
	json_object_set_new(o, "mbm_local_bytes", count_json(c.mbm_local_bytes));
}

static json_t *group_json(const struct resctrl *rc, const char *path)
{
	_cleanup_free_ struct resctrl_schemata *s = malloc(sizeof(*s));
	char name[RESCTRL_PATH_MAX], mode[32] = "", cpus[4096] = "";
	struct cpuset set;
	json_t *o = json_object();
	uint64_t tasks;

	shown_name(path, name, sizeof(name));
	json_object_set_new(o, "name", json_string(name));
	if (resctrl_get_mode(rc, path, mode, sizeof(mode)) == 0)
		json_object_set_new(o, "mode", json_string(mode));
	if (resctrl_get_cpus(rc, path, &set) == 0 && cpuset_format(&set, cpus, sizeof(cpus)) == 0)
		json_object_set_new(o, "cpus", json_string(cpus));
	json_object_set_new(o, "tasks",
			    resctrl_count_tasks(rc, path, &tasks) < 0
				? json_null()
				: json_integer((json_int_t)tasks));
	if (s && resctrl_get(rc, path, s, NULL) == 0)
		json_object_set_new(o, "schemata", schemata_json(s));
	add_counts(rc, path, o);
	return o;
}

static json_t *info_json(const struct resctrl *rc)
{
	const struct resctrl_info *i = &rc->info;
	json_t *resources = json_object();

	for (enum resctrl_resource r = 0; r < RESCTRL_NR; r++) {
		const struct resctrl_alloc *a = &i->alloc[r];

		if (!a->present)
			continue;
		json_object_set_new(
		    resources, resctrl_resource_name(r),
		    resctrl_is_cache(r)
			? json_pack("{s:i,s:i,s:b,s:i}", "ways", (int)resctrl_ways(a->cbm_mask),
				    "min_ways", (int)a->min_cbm_bits, "gaps", a->sparse,
				    "shared_with_devices", (int)resctrl_ways(a->shareable_bits))
			: json_pack("{s:s,s:i,s:i}", "unit", resctrl_unit_name(a->unit), "min",
				    (int)a->min_bandwidth, "step", (int)a->gran));
	}
	return json_pack("{s:s,s:i,s:i,s:b,s:b,s:o}", "mount", rc->mount, "control_groups_max",
			 (int)i->closids, "monitored_max", (int)i->rmids, "cdp",
			 rc->cdp_l3 || rc->cdp_l2, "counters_assigned", i->mbm_assign, "resources",
			 resources);
}

struct collect {
	const struct resctrl *rc;
	const char *only;
	json_t *groups;
};

static int add_group(const char *path, void *arg)
{
	struct collect *c = arg;

	if (c->only && strcmp(c->only, path) != 0)
		return 0;
	if (json_array_size(c->groups) == GROUPS_MAX)
		return -E2BIG;
	json_array_append_new(c->groups, group_json(c->rc, path));
	return 0;
}

json_t *resctrl_show_json(const struct resctrl *rc, const char *only, struct error *reterr)
{
	struct collect c = {rc, only, json_array()};
	int r = resctrl_each(rc, add_group, &c);

	if (r < 0) {
		json_decref(c.groups);
		error_errno(reterr, r, "groups of %s", rc->mount);
		return NULL;
	}
	if (only && !json_array_size(c.groups)) {
		json_decref(c.groups);
		error_set(reterr, -ENOENT, "there is no such group");
		error_hint(reterr, "czctl resctrl show");
		return NULL;
	}
	return json_pack("{s:o,s:o}", "info", info_json(rc), "groups", c.groups);
}

/* "MB 0=50 1=100, L3 0=7ff 1=7ff" */
static void print_schemata(const struct cli *cli, const json_t *group)
{
	json_t *schemata = json_object_get(group, "schemata"), *line, *v;
	_cleanup_(strbuf_done) struct strbuf text = {0};
	const char *name, *id;

	json_object_foreach(schemata, name, line)
	{
		strbuf_printf(&text, "%s%s", text.len ? "; " : "", name);
		json_object_foreach(line, id, v)
		{
			if (json_is_string(v))
				strbuf_printf(&text, " %s=%s", id, json_string_value(v));
			else
				strbuf_printf(&text, " %s=%lld", id, json_integer_value(v));
		}
	}
	if (text.len)
		out_paragraph(&cli->out, 4, STYLE_PLAIN, "  %s  %s", get_text(group, "name"),
			      text.data);
}

static void print_info(const struct cli *cli, const json_t *info)
{
	json_t *a;
	const char *name;

	out_paragraph(&cli->out, 0, STYLE_PLAIN,
		      "%s: %lld control groups and %lld monitored ones at most, the default one "
		      "included%s",
		      get_text(info, "mount"), (long long)get_count(info, "control_groups_max"),
		      (long long)get_count(info, "monitored_max"),
		      get_bool(info, "cdp") ? "; code and data apart" : "");
	json_object_foreach(json_object_get(info, "resources"), name, a)
	{
		const char *unit = get_text(a, "unit");

		if (unit[0])
			out_paragraph(&cli->out, 2, STYLE_PLAIN,
				      "  %s in %s, at least %lld, steps "
				      "of %lld",
				      name, unit, (long long)get_count(a, "min"),
				      (long long)get_count(a, "step"));
		else
			out_paragraph(&cli->out, 2, STYLE_PLAIN,
				      "  %s has %lld ways, at least %lld in a group%s", name,
				      (long long)get_count(a, "ways"),
				      (long long)get_count(a, "min_ways"),
				      get_bool(a, "gaps") ? ", gaps allowed" : ", in a row");
	}
}

void resctrl_show_print(const struct cli *cli, const json_t *data)
{
	static const struct column columns[] = {
	    {"GROUP", COLUMN_NAME},	    {"MODE", COLUMN_TEXT},
	    {"TASKS", COLUMN_NUMBER},	    {"CPUS", COLUMN_TEXT},
	    {"LLC HELD", COLUMN_NUMBER},    {"MEMORY TRAFFIC", COLUMN_NUMBER},
	    {"OF IT LOCAL", COLUMN_NUMBER},
	};
	_cleanup_(table_done) struct table t = {.columns = columns,
						.nr_columns = ARRAY_SIZE(columns)};
	char buf[SHOW_MAX];
	json_t *g, *groups = json_object_get(data, "groups");
	size_t i;

	print_info(cli, json_object_get(data, "info"));
	json_array_foreach(groups, i, g)
	{
		table_add(&t, STYLE_PLAIN, "%s", get_text(g, "name"));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(g, "mode"));
		table_add(&t, STYLE_PLAIN, "%s", show_number(g, "tasks", buf));
		table_add(&t, STYLE_PLAIN, "%s", text_or_dash(g, "cpus"));
		table_add(&t, STYLE_PLAIN, "%s", show_bytes(g, "llc_occupancy_bytes", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_bytes(g, "mbm_total_bytes", buf));
		table_add(&t, STYLE_PLAIN, "%s", show_bytes(g, "mbm_local_bytes", buf));
	}
	table_print(&t, &cli->out, 0);
	out_styled(&cli->out, STYLE_TITLE, "may use, by domain (cache id)\n");
	json_array_foreach(groups, i, g) print_schemata(cli, g);
}
