/* SPDX-License-Identifier: MIT */
/* Which files there are, what they say, and who takes what is written. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

void text_add(struct text *t, const char *fmt, ...)
{
	char *grown;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	grown = realloc(t->data, t->len + (size_t)n + 1);
	if (!grown)
		abort();
	t->data = grown;
	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->data + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
}

static const char *const events[] = {"llc_occupancy", "mbm_total_bytes", "mbm_local_bytes"};

static int nr_events(const struct fake *f)
{
	return f->machine == MPAM ? 1 : 3;
}

/* groups ------------------------------------------------------------------------------------- */

static void show_cpus(struct fake *f, const struct node *n, struct text *t)
{
	uint64_t set = n->group->cpus;
	bool any = false;

	if (!strcmp(n->file, "cpus")) {
		if (f->nr_cpus > 32)
			text_add(t, "%0*x,%08x\n", (f->nr_cpus - 29) / 4, (uint32_t)(set >> 32),
				 (uint32_t)set);
		else
			text_add(t, "%0*x\n", (f->nr_cpus + 3) / 4, (uint32_t)set);
		return;
	}
	for (int a = 0; a < 64; a++) {
		int b = a;

		if (!(set >> a & 1))
			continue;
		while (b < 63 && set >> (b + 1) & 1)
			b++;
		text_add(t, b > a ? "%s%d-%d" : "%s%d", any ? "," : "", a, b);
		any = true;
		a = b;
	}
	text_add(t, "\n");
}

static int write_cpus(struct fake *f, const struct node *n, char *text, size_t len)
{
	return fake_write_cpus(f, n->group, text, !strcmp(n->file, "cpus_list"));
}

static void show_tasks(struct fake *f, const struct node *n, struct text *t)
{
	fake_show_tasks(f, n->group, t);
}

static int write_tasks(struct fake *f, const struct node *n, char *text, size_t len)
{
	return fake_write_tasks(f, n->group, text);
}

static void show_schemata(struct fake *f, const struct node *n, struct text *t)
{
	fake_show_schemata(f, n->group, t, !strcmp(n->file, "size"));
}

static int write_schemata(struct fake *f, const struct node *n, char *text, size_t len)
{
	return fake_write_schemata(f, n->group, text, len);
}

static void show_mode(struct fake *f, const struct node *n, struct text *t)
{
	text_add(t, "%s\n", n->group->mode == EXCLUSIVE ? "exclusive" : "shareable");
}

static int write_mode(struct fake *f, const struct node *n, char *text, size_t len)
{
	return fake_write_mode(f, n->group, text);
}

static void show_event(struct fake *f, const struct node *n, struct text *t)
{
	text_add(t, "%s\n", n->group->mbps_event);
}

static int write_event(struct fake *f, const struct node *n, char *text, size_t len)
{
	return fake_write_event(f, n->group, text);
}

static void show_assignments(struct fake *f, const struct node *n, struct text *t)
{
	for (int e = 0; e < 2; e++) {
		text_add(t, "%s:", events[e + 1]);
		for (int d = 0; d < f->nr_domains; d++)
			text_add(t, "%s%d=%c", d ? ";" : "", f->domain_id[d],
				 n->group->assigned[e][d] ? 'e' : '_');
		text_add(t, "\n");
	}
}

static int write_assignments(struct fake *f, const struct node *n, char *text, size_t len)
{
	return fake_write_assignments(f, n->group, text);
}

/* info --------------------------------------------------------------------------------------- */

static void show_status(struct fake *f, const struct node *n, struct text *t)
{
	text_add(t, "%s", f->status[0] ? f->status : "ok\n");
}

/* Files that are one figure, or one line for all domains. */
static void show_figure(struct fake *f, const struct node *n, struct text *t)
{
	const struct {
		const char *file;
		uint64_t value;
		bool hex;
	} figures[] = {{"num_closids", f->closids, false},
		       {"cbm_mask", (1UL << f->ways) - 1, true},
		       {"min_cbm_bits", f->min_cbm_bits, false},
		       {"shareable_bits", f->shareable, true},
		       {"sparse_masks", f->sparse, false},
		       {"min_bandwidth", f->min_bw, false},
		       {"bandwidth_gran", f->gran, false},
		       {"delay_linear", f->machine != AMD, false},
		       {"num_rmids", f->rmids, false},
		       {"max_threshold_occupancy", f->threshold_bytes, false}};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (!strcmp(figures[i].file, n->file))
			text_add(t, figures[i].hex ? "%lx\n" : "%lu\n", figures[i].value);
}

static void show_bits(struct fake *f, const struct node *n, struct text *t)
{
	fake_show_bit_usage(f, n->resource, t);
}

static void show_throttle(struct fake *f, const struct node *n, struct text *t)
{
	text_add(t, "max\n");
}

static void show_features(struct fake *f, const struct node *n, struct text *t)
{
	for (int e = 0; e < nr_events(f); e++)
		text_add(t, "%s\n", events[e]);
}

static int write_threshold(struct fake *f, const struct node *n, char *text, size_t len)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 0);

	if (end == text || (*end && *end != '\n') || (double)v > f->way_bytes * f->ways)
		return -EINVAL;
	f->threshold_bytes = v;
	return 0;
}

static void show_assign_mode(struct fake *f, const struct node *n, struct text *t)
{
	text_add(t, f->assign_on ? "[mbm_event]\ndefault\n" : "mbm_event\n[default]\n");
}

static int write_assign_mode(struct fake *f, const struct node *n, char *text, size_t len)
{
	text[strcspn(text, "\n")] = 0;
	f->status[0] = 0;
	if (strcmp(text, "mbm_event") && strcmp(text, "default")) {
		fake_status(f, "Unknown mode\n");
		return -EINVAL;
	}
	f->assign_on = !strcmp(text, "mbm_event");
	return 0;
}

static void show_counters(struct fake *f, const struct node *n, struct text *t)
{
	for (int d = 0; d < f->nr_domains; d++)
		text_add(t, "%s%d=%u", d ? ";" : "", f->domain_id[d],
			 n->file[0] == 'n' ? f->counters : fake_free_counters(f, d));
	text_add(t, "\n");
}

/* mon_data ----------------------------------------------------------------------------------- */

static void show_count(struct fake *f, const struct node *n, struct text *t)
{
	struct group *g = n->group;
	int e = n->file[0] == 'l' ? 0 : !strcmp(n->file, events[1]) ? 1 : 2, d = n->domain;
	bool assigned = !f->assign_on || e == 0;
	double v = 0;

	if (g->fresh && e) {
		g->fresh = false;
		text_add(t, "Unavailable\n");
		return;
	}
	for (size_t i = 0; i < GROUPS_MAX; i++) {
		const struct group *o = &f->groups[i];

		if (o != g && !(o->used && o->is_mon && o->parent == g && !g->is_mon))
			continue;
		v += e == 0 ? o->occupancy[d] : e == 1 ? o->total[d] : o->local[d];
		assigned |= e && o->assigned[e - 1][d];
	}
	if (n->at == AT_NODE)
		v /= f->snc;
	if (!assigned)
		text_add(t, "Unassigned\n");
	else
		text_add(t, "%.0f\n", v);
}

/* the tables --------------------------------------------------------------------------------- */

struct file {
	const char *name;
	void (*show)(struct fake *f, const struct node *n, struct text *t);
	int (*write)(struct fake *f, const struct node *n, char *text, size_t len);
	/* where it is absent */
	bool ctrl_only, cache_only, bandwidth_only, needs_mbps, needs_counters, intel_only,
	    needs_mbm;
};

static const struct file group_files[] = {
    {.name = "tasks", .show = show_tasks, .write = write_tasks},
    {.name = "cpus", .show = show_cpus, .write = write_cpus},
    {.name = "cpus_list", .show = show_cpus, .write = write_cpus},
    {.name = "schemata", .show = show_schemata, .write = write_schemata, .ctrl_only = true},
    {.name = "size", .show = show_schemata, .ctrl_only = true},
    {.name = "mode", .show = show_mode, .write = write_mode, .ctrl_only = true},
    {.name = "mba_MBps_event",
     .show = show_event,
     .write = write_event,
     .ctrl_only = true,
     .needs_mbps = true},
    {.name = "mbm_L3_assignments",
     .show = show_assignments,
     .write = write_assignments,
     .needs_counters = true},
    {.name = NULL}};
static const struct file info_files[] = {{.name = "last_cmd_status", .show = show_status},
					 {.name = NULL}};
static const struct file resource_files[] = {
    {.name = "num_closids", .show = show_figure},
    {.name = "cbm_mask", .show = show_figure, .cache_only = true},
    {.name = "min_cbm_bits", .show = show_figure, .cache_only = true},
    {.name = "shareable_bits", .show = show_figure, .cache_only = true},
    {.name = "sparse_masks", .show = show_figure, .cache_only = true},
    {.name = "bit_usage", .show = show_bits, .cache_only = true},
    {.name = "min_bandwidth", .show = show_figure, .bandwidth_only = true},
    {.name = "bandwidth_gran", .show = show_figure, .bandwidth_only = true},
    {.name = "delay_linear", .show = show_figure, .bandwidth_only = true},
    {.name = "thread_throttle_mode",
     .show = show_throttle,
     .bandwidth_only = true,
     .intel_only = true},
    {.name = NULL}};
static const struct file mon_files[] = {
    {.name = "num_rmids", .show = show_figure},
    {.name = "mon_features", .show = show_features},
    {.name = "max_threshold_occupancy", .show = show_figure, .write = write_threshold},
    {.name = "mbm_assign_mode",
     .show = show_assign_mode,
     .write = write_assign_mode,
     .needs_counters = true},
    {.name = "num_mbm_cntrs", .show = show_counters, .needs_counters = true},
    {.name = "available_mbm_cntrs", .show = show_counters, .needs_counters = true},
    {.name = NULL}};
static const struct file count_files[] = {
    {.name = "llc_occupancy", .show = show_count},
    {.name = "mbm_total_bytes", .show = show_count, .needs_mbm = true},
    {.name = "mbm_local_bytes", .show = show_count, .needs_mbm = true},
    {.name = NULL}};
static const struct file no_files[] = {{.name = NULL}};

static const struct file *files_at(int at)
{
	switch (at) {
	case AT_GROUP:
		return group_files;
	case AT_INFO:
		return info_files;
	case AT_RESOURCE:
		return resource_files;
	case AT_L3_MON:
		return mon_files;
	case AT_DOMAIN:
	case AT_NODE:
		return count_files;
	default:
		return no_files;
	}
}

static bool present(const struct fake *f, const struct node *n, const struct file *file)
{
	return !(file->ctrl_only && n->group && n->group->is_mon) &&
	       !(file->cache_only && n->resource == MB) &&
	       !(file->bandwidth_only && n->resource != MB) && !(file->needs_mbps && !f->mbps) &&
	       !(file->needs_counters && !f->counters) &&
	       !(file->intel_only && f->machine != INTEL) &&
	       !(file->needs_mbm && f->machine == MPAM);
}

static const struct file *find_file(const struct fake *f, const struct node *n, const char *name)
{
	for (const struct file *file = files_at(n->at); file->name; file++)
		if (!strcmp(file->name, name) && present(f, n, file))
			return file;
	return NULL;
}

/* One step down from a directory. */
static struct node step(struct fake *f, struct node n, const char *name)
{
	struct node out = n;
	int id;

	if (n.kind != NODE_DIR)
		return (struct node){0};
	if (find_file(f, &n, name)) {
		out.kind = NODE_FILE;
		snprintf(out.file, sizeof(out.file), "%s", name);
		return out;
	}
	if (n.at == AT_GROUP) {
		bool root = n.group == &f->groups[0];

		if (root && !strcmp(name, "info"))
			return (struct node){.kind = NODE_DIR, .at = AT_INFO};
		out.at = AT_MON_DATA;
		if (!strcmp(name, "mon_data"))
			return out;
		out.at = AT_MON_GROUPS;
		if (!strcmp(name, "mon_groups") && !n.group->is_mon)
			return out;
		out.at = AT_GROUP;
		out.group = root && name[0] ? fake_find(f, name, NULL) : NULL;
		return out.group ? out : (struct node){0};
	}
	if (n.at == AT_MON_GROUPS) {
		out.at = AT_GROUP;
		out.group = fake_find(f, n.group->name, name);
		return out.group ? out : (struct node){0};
	}
	if (n.at == AT_INFO) {
		if (!strcmp(name, "L3_MON"))
			return (struct node){.kind = NODE_DIR, .at = AT_L3_MON};
		out.at = AT_RESOURCE;
		for (out.resource = 0; out.resource < RESOURCES; out.resource++)
			if (fake_resource(f, out.resource) &&
			    !strcmp(name, resource_names[out.resource]))
				return out;
	}
	if (n.at == AT_MON_DATA && sscanf(name, "mon_L3_%d", &id) == 1) {
		out.at = AT_DOMAIN;
		for (out.domain = 0; out.domain < f->nr_domains; out.domain++)
			if (f->domain_id[out.domain] == id)
				return out;
	}
	if (n.at == AT_DOMAIN && f->snc > 1 && sscanf(name, "mon_sub_L3_%d", &id) == 1) {
		out.at = AT_NODE;
		out.snc_node = id;
		if (id / f->snc == n.domain)
			return out;
	}
	return (struct node){0};
}

struct node fake_lookup(struct fake *f, const char *path)
{
	struct node n = {.kind = NODE_DIR, .at = AT_GROUP, .group = &f->groups[0]};
	char copy[512], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/")))
		if (*name)
			n = step(f, n, name);
	return n;
}

void fake_list(struct fake *f, const struct node *n, void (*add)(void *arg, const char *name),
	       void *arg)
{
	char name[64];

	for (const struct file *file = files_at(n->at); file->name; file++)
		if (present(f, n, file))
			add(arg, file->name);
	if (n->at == AT_GROUP) {
		add(arg, "mon_data");
		if (!n->group->is_mon)
			add(arg, "mon_groups");
		if (n->group == &f->groups[0])
			add(arg, "info");
	}
	for (size_t i = 0; i < GROUPS_MAX; i++) {
		const struct group *g = &f->groups[i];

		if (g->used && g->is_mon && n->at == AT_MON_GROUPS && g->parent == n->group)
			add(arg, g->name);
		if (i && g->used && !g->is_mon && n->at == AT_GROUP && n->group == &f->groups[0])
			add(arg, g->name);
	}
	for (enum resource r = 0; n->at == AT_INFO && r < RESOURCES; r++)
		if (fake_resource(f, r))
			add(arg, resource_names[r]);
	if (n->at == AT_INFO)
		add(arg, "L3_MON");
	for (int d = 0; n->at == AT_MON_DATA && d < f->nr_domains; d++) {
		snprintf(name, sizeof(name), "mon_L3_%02d", f->domain_id[d]);
		add(arg, name);
	}
	for (int s = 0; n->at == AT_DOMAIN && f->snc > 1 && s < f->snc; s++) {
		snprintf(name, sizeof(name), "mon_sub_L3_%02d", n->domain * f->snc + s);
		add(arg, name);
	}
}

bool fake_writable(const struct node *n)
{
	for (const struct file *file = files_at(n->at); file->name; file++)
		if (!strcmp(file->name, n->file))
			return file->write;
	return false;
}

int fake_read(struct fake *f, const struct node *n, struct text *t)
{
	const struct file *file = find_file(f, n, n->file);

	if (!file)
		return -ENOENT;
	if (n->at == AT_DOMAIN || n->at == AT_NODE)
		fake_advance(f);
	else if (n->at == AT_GROUP && !strcmp(n->file, "tasks"))
		fake_scan_tasks(f);
	text_add(t, "%s", "");
	file->show(f, n, t);
	return 0;
}

int fake_write(struct fake *f, const struct node *n, const char *data, size_t len)
{
	const struct file *file = find_file(f, n, n->file);
	char *copy;
	int r;

	if (!file)
		return -ENOENT;
	if (!file->write)
		return -EPERM;
	copy = calloc(1, len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	fake_advance(f); /* what was until now, by the old rules */
	r = file->write(f, n, copy, len);
	free(copy);
	return r;
}
