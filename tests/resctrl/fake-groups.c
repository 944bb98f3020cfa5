/* SPDX-License-Identifier: MIT */
/* Groups: what can be made, removed, moved, and the small files of theirs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fake.h"

const char *const resource_names[RESOURCES] = {"L3", "L3CODE", "L3DATA", "MB"};

bool fake_resource(const struct fake *f, enum resource r)
{
	return r == MB || f->cdp == (r != L3);
}

/* Adds, as the kernel does: a failure may leave more than one line. */
void fake_status(struct fake *f, const char *fmt, ...)
{
	size_t n = strlen(f->status);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->status + n, sizeof(f->status) - n, fmt, ap);
	va_end(ap);
}

void fake_path(const struct group *g, char buf[PATH_SIZE])
{
	const struct group *p = g->parent;

	if (g->is_mon)
		snprintf(buf, PATH_SIZE, "%s%smon_groups/%s", p->name, p->name[0] ? "/" : "",
			 g->name);
	else
		snprintf(buf, PATH_SIZE, "%s", g->name);
}

struct group *fake_find(struct fake *f, const char *ctrl, const char *mon)
{
	struct group *parent = NULL;

	for (size_t i = 0; i < GROUPS_MAX && !parent; i++)
		if (f->groups[i].used && !f->groups[i].is_mon && !strcmp(f->groups[i].name, ctrl))
			parent = &f->groups[i];
	if (!mon || !parent)
		return parent;
	for (size_t i = 0; i < GROUPS_MAX; i++)
		if (f->groups[i].used && f->groups[i].is_mon && f->groups[i].parent == parent &&
		    !strcmp(f->groups[i].name, mon))
			return &f->groups[i];
	return NULL;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static unsigned int count(const struct fake *f, bool ctrl_only)
{
	unsigned int n = 0;

	for (size_t i = 0; i < GROUPS_MAX; i++)
		n += f->groups[i].used && (!ctrl_only || !f->groups[i].is_mon);
	return n;
}

uint32_t fake_free_counters(const struct fake *f, int domain)
{
	uint32_t used = 0;

	for (size_t i = 0; i < GROUPS_MAX; i++)
		for (int e = 0; e < 2; e++)
			used += f->groups[i].used && f->groups[i].assigned[e][domain];
	return used < f->counters ? f->counters - used : 0;
}

static int have_rmid(struct fake *f)
{
	uint64_t now = now_ns();
	unsigned int limbo = 0;

	for (size_t i = 0; i < GROUPS_MAX; i++)
		limbo += f->limbo_until[i] > now;
	if (count(f, false) + limbo < f->rmids)
		return 0;
	fake_status(f, "Out of RMIDs\n");
	return limbo ? -EBUSY : -ENOSPC;
}

static int init_values(struct fake *f, struct group *g)
{
	for (enum resource r = 0; r < RESOURCES; r++)
		for (int d = 0; d < f->nr_domains && fake_resource(f, r); d++) {
			g->value[r][d] = r == MB ? f->max_bw : fake_initial_mask(f, r, d);
			if (r == MB || g->value[r][d])
				continue;
			fake_status(f, "No space on %s:%d\n", resource_names[r], f->domain_id[d]);
			return -ENOSPC;
		}
	return 0;
}

static void assign_counters(struct fake *f, struct group *g)
{
	for (int e = 0; e < 2; e++)
		for (int d = 0; d < f->nr_domains; d++)
			g->assigned[e][d] = f->assign_on && fake_free_counters(f, d) > 0;
}

void fake_reset(struct fake *f)
{
	struct group *root = &f->groups[0];

	*root = (struct group){.used = true};
	f->assign_on = f->counters > 0;
	f->threshold_bytes = (uint64_t)(f->way_bytes * f->ways / f->rmids);
	root->cpus = f->nr_cpus >= 64 ? UINT64_MAX : (1ULL << f->nr_cpus) - 1;
	snprintf(root->mbps_event, sizeof(root->mbps_event), "mbm_local_bytes");
	if (init_values(f, root) < 0)
		abort(); /* nothing is exclusive yet */
	assign_counters(f, root);
}

int fake_mkdir(struct fake *f, struct group *parent, const char *name, bool mon)
{
	struct group g = {
	    .used = true, .is_mon = mon, .parent = parent, .fresh = f->machine == AMD};
	int r;

	if (strchr(name, '\n'))
		return -EINVAL;
	f->status[0] = 0;
	if (strlen(name) >= NAME_SIZE)
		return -ENAMETOOLONG;
	snprintf(g.name, sizeof(g.name), "%s", name);
	snprintf(g.mbps_event, sizeof(g.mbps_event), "mbm_local_bytes");
	if (!mon && count(f, true) >= f->closids) {
		fake_status(f, "Out of CLOSIDs\n");
		return -ENOSPC;
	}
	r = have_rmid(f);
	if (r == 0 && !mon)
		r = init_values(f, &g);
	if (r < 0)
		return r;
	for (size_t i = 0; i < GROUPS_MAX; i++)
		if (!f->groups[i].used) {
			f->groups[i] = g;
			assign_counters(f, &f->groups[i]);
			return 0;
		}
	return -ENOMEM;
}

static void release(struct fake *f, struct group *g)
{
	fake_forget_group(f, g);
	f->limbo_until[g - f->groups] = now_ns() + f->limbo_ns;
	g->used = false;
}

int fake_rmdir(struct fake *f, struct group *g)
{
	if (g == &f->groups[0])
		return -EPERM;
	if (!g->is_mon) {
		f->groups[0].cpus |= g->cpus;
		for (size_t i = 0; i < GROUPS_MAX; i++)
			if (f->groups[i].used && f->groups[i].is_mon && f->groups[i].parent == g)
				release(f, &f->groups[i]);
	}
	release(f, g);
	return 0;
}

int fake_rename(struct fake *f, struct group *g, struct group *to, const char *name)
{
	f->status[0] = 0;
	if (!g->is_mon) {
		fake_status(f, "Source must be a MON group\n");
		return -EPERM;
	}
	if (!to) {
		fake_status(f, "Destination must be a mon_groups subdirectory\n");
		return -EPERM;
	}
	if (g->cpus && to != g->parent) {
		fake_status(f, "Cannot move a MON group that monitors CPUs\n");
		return -EPERM;
	}
	if (strlen(name) >= NAME_SIZE)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < f->nr_tasks; i++)
		if (f->tasks[i].mon == g)
			f->tasks[i].ctrl = to;
	g->parent = to;
	snprintf(g->name, sizeof(g->name), "%s", name);
	return 0;
}

static bool parse_list(const char *s, uint64_t *ret)
{
	uint64_t set = 0;

	while (*s && *s != '\n') {
		char *end;
		unsigned long a = strtoul(s, &end, 10), b = a;

		if (end == s)
			return false;
		if (*end == '-') {
			s = end + 1;
			b = strtoul(s, &end, 10);
			if (end == s || b < a)
				return false;
		}
		for (unsigned long i = a; i <= b; i++) {
			if (i >= 64)
				return false;
			set |= 1ULL << i;
		}
		s = *end == ',' ? end + 1 : end;
		if (*end && *end != ',' && *end != '\n')
			return false;
	}
	*ret = set;
	return true;
}

static bool parse_mask(const char *s, uint64_t *ret)
{
	uint64_t set = 0;
	int digits = 0;

	for (; *s && *s != '\n'; s++) {
		char c[2] = {*s, 0};
		char *end;

		if (*s == ',')
			continue;
		set = set << 4 | strtoul(c, &end, 16);
		if (*end || ++digits > 16)
			return false;
	}
	*ret = set;
	return digits > 0;
}

static int write_mon_cpus(struct fake *f, struct group *g, uint64_t new)
{
	if (new & ~g->parent->cpus) {
		fake_status(f, "Can only add CPUs to mongroup that belong to parent\n");
		return -EINVAL;
	}
	for (size_t i = 0; i < GROUPS_MAX; i++)
		if (f->groups[i].used && f->groups[i].is_mon && f->groups[i].parent == g->parent)
			f->groups[i].cpus &= ~new;
	g->cpus = new;
	return 0;
}

static int write_ctrl_cpus(struct fake *f, struct group *g, uint64_t new)
{
	uint64_t dropped = g->cpus & ~new;

	if (dropped && g == &f->groups[0]) {
		fake_status(f, "Can't drop CPUs from default group\n");
		return -EINVAL;
	}
	for (size_t i = 0; i < GROUPS_MAX; i++) {
		struct group *o = &f->groups[i];

		if (o->used && o != g)
			o->cpus &= ~new;
		if (o->used && o->is_mon && o->parent == g)
			o->cpus = 0;
	}
	f->groups[0].cpus |= dropped;
	g->cpus = new;
	return 0;
}

int fake_write_cpus(struct fake *f, struct group *g, const char *text, bool list)
{
	uint64_t new;

	f->status[0] = 0;
	if (!(list ? parse_list(text, &new) : parse_mask(text, &new))) {
		fake_status(f, "Bad CPU list/mask\n");
		return -EINVAL;
	}
	if (f->nr_cpus < 64 && new >> f->nr_cpus) {
		fake_status(f, "Can only assign online CPUs\n");
		return -EINVAL;
	}
	return g->is_mon ? write_mon_cpus(f, g, new) : write_ctrl_cpus(f, g, new);
}

int fake_write_mode(struct fake *f, struct group *g, char *text)
{
	size_t n = strlen(text);

	if (!n || text[n - 1] != '\n')
		return -EINVAL;
	text[n - 1] = 0;
	f->status[0] = 0;
	if (!strcmp(text, "shareable")) {
		g->mode = SHAREABLE;
		return 0;
	}
	if (!strcmp(text, "pseudo-locksetup")) {
		fake_status(f, "Pseudo-locking not supported\n");
		return -EINVAL;
	}
	if (strcmp(text, "exclusive") != 0) {
		fake_status(f, "Unknown or unsupported mode\n");
		return -EINVAL;
	}
	for (enum resource r = 0; r < MB; r++)
		for (int d = 0; d < f->nr_domains && fake_resource(f, r); d++)
			if (fake_overlaps(f, g, r, d, g->value[r][d], false)) {
				fake_status(f, "Schemata overlaps\n");
				return -EINVAL;
			}
	g->mode = EXCLUSIVE;
	return 0;
}

int fake_write_event(struct fake *f, struct group *g, char *text)
{
	size_t n = strlen(text);

	if (!n || text[n - 1] != '\n')
		return -EINVAL;
	text[n - 1] = 0;
	f->status[0] = 0;
	if (strcmp(text, "mbm_local_bytes") && strcmp(text, "mbm_total_bytes")) {
		fake_status(f, "Unsupported event id '%s'\n", text);
		return -EINVAL;
	}
	snprintf(g->mbps_event, sizeof(g->mbps_event), "%s", text);
	return 0;
}

/* "mbm_total_bytes:0=e;1=_" ; "*" is every domain */
int fake_write_assignments(struct fake *f, struct group *g, char *text)
{
	char *event = strsep(&text, ":"), *dom;
	int e = !strcmp(event, "mbm_total_bytes") ? 0 : !strcmp(event, "mbm_local_bytes") ? 1 : -1;

	f->status[0] = 0;
	if (!f->assign_on) {
		fake_status(f, "mbm_event mode is not enabled\n");
		return -EINVAL;
	}
	if (e < 0 || !text) {
		fake_status(f, "Invalid event\n");
		return -EINVAL;
	}
	text[strcspn(text, "\n")] = 0;
	while ((dom = strsep(&text, ";"))) {
		char *id = strsep(&dom, "=");

		if (!dom || (strcmp(dom, "e") && strcmp(dom, "_"))) {
			fake_status(f, "Invalid assign state\n");
			return -EINVAL;
		}
		for (int d = 0; d < f->nr_domains; d++) {
			if (strcmp(id, "*") && atoi(id) != f->domain_id[d])
				continue;
			if (*dom == 'e' && !g->assigned[e][d] && !fake_free_counters(f, d)) {
				fake_status(f, "Failed to allocate counter for %s in domain %d\n",
					    event, f->domain_id[d]);
				return -ENOSPC;
			}
			g->assigned[e][d] = *dom == 'e';
		}
	}
	return 0;
}
