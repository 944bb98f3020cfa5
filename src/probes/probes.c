/* SPDX-License-Identifier: MIT */
/* The probes of a host and the zones they are told of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "probes/internal.h"

#define SLOW_EVERY 5

static int open_probe(struct probes *p, size_t i)
{
	struct probe_instance *in = &p->instances[i];
	int r = 0;

	if (probe_list[i]->open)
		r = probe_list[i]->open(p, &in->state, in->lacks, sizeof(in->lacks));
	in->available = r >= 0;
	return r;
}

static void close_probe(struct probes *p, size_t i)
{
	struct probe_instance *in = &p->instances[i];

	if (probe_list[i]->close)
		probe_list[i]->close(in->state);
	in->state = NULL;
	in->available = false;
}

int probes_new(const struct kernel *k, const struct cgroup_fs *fs, const struct probes_options *o,
	       struct probes **ret)
{
	struct probes *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->k = k;
	p->fs = fs;
	p->software_counters = o->software_counters;
	p->slow_every = o->slow_every ? o->slow_every : SLOW_EVERY;
	p->squeezed_tick = p->io_tick = UINT32_MAX / 2; /* long ago */
	kept_init(&p->kept, o->fd_budget);
	for (size_t i = 0; i < probe_list_nr; i++) {
		if (probe_list[i]->optional) {
			p->instances[i].off_why = "costs others; czd.yaml switches it on (probes)";
			continue;
		}
		if (open_probe(p, i) == -ENOMEM) {
			probes_free(p);
			return -ENOMEM;
		}
		p->instances[i].on = p->instances[i].available;
	}
	*ret = p;
	return 0;
}

void probes_free(struct probes *p)
{
	if (!p)
		return;
	while (p->last)
		probes_zone_remove(p, p->last->id);
	for (size_t i = 0; i < probe_list_nr; i++)
		close_probe(p, i);
	kept_done(&p->kept);
	hash_done(&p->by_id);
	free(p);
}

int probes_zone_add(struct probes *p, uint64_t id, uint64_t parent_id, const char *path)
{
	struct probe_zone *parent = parent_id ? hash_get(&p->by_id, parent_id) : NULL, *z;

	if (parent_id && !parent)
		return -ENOENT;
	if (hash_get(&p->by_id, id))
		return -EEXIST;
	z = calloc(1, sizeof(*z));
	if (!z || hash_put(&p->by_id, id, z) < 0) {
		free(z);
		return -ENOMEM;
	}
	z->id = id;
	z->path = path;
	z->parent = parent;
	if (parent)
		parent->refs++;
	z->tick = p->tick - 1;
	z->active_tick = p->tick - 2;
	kept_zone_init(p, z);
	z->prev = p->last;
	*(p->last ? &p->last->next : &p->first) = z;
	p->last = z;
	return 0;
}

static void forget(struct probes *p, const struct probe_zone *z)
{
	for (size_t i = 0; i < probe_list_nr; i++)
		if (probe_list[i]->forget && p->instances[i].available)
			probe_list[i]->forget(p->instances[i].state, z);
}

/* Removed before its children, against the rules: they must not point at nothing. */
static void orphan(struct probes *p, const struct probe_zone *gone)
{
	for (struct probe_zone *z = p->first; z; z = z->next)
		if (z->parent == gone)
			z->parent = gone->parent;
}

void probes_zone_remove(struct probes *p, uint64_t id)
{
	struct probe_zone *z = hash_get(&p->by_id, id);

	if (!z)
		return;
	probes_zone_interest(p, id, PROBE_NORMAL);
	forget(p, z);
	kept_drop_zone(p, z);
	if (p->at == z) {
		p->at = z->next;
		p->at_probe = 0;
	}
	if (z->refs)
		orphan(p, z);
	if (z->parent)
		z->parent->refs += z->refs - 1;
	*(z->prev ? &z->prev->next : &p->first) = z->next;
	*(z->next ? &z->next->prev : &p->last) = z->prev;
	hash_remove(&p->by_id, id);
	free(z->row.disks);
	free(z);
}

void probes_zone_rename(struct probes *p, uint64_t id, const char *path)
{
	struct probe_zone *z = hash_get(&p->by_id, id);

	if (!z)
		return;
	z->path = path;
	z->absent = 0;
}

void probes_zone_interest(struct probes *p, uint64_t id, enum probe_interest interest)
{
	struct probe_zone *z = hash_get(&p->by_id, id);
	bool before, after = interest == PROBE_PROTECTED;

	if (!z)
		return;
	before = z->interest == PROBE_PROTECTED;
	z->interest = interest;
	if (before == after)
		return;
	forget(p, z);
	p->nr_protected += after ? 1 : -1u;
	for (struct probe_zone *up = z; up; up = up->parent)
		up->protected_below += after ? 1 : -1u;
}

struct probe_zone *probe_zone_owner(const struct probes *p, struct probe_zone *z)
{
	if (!p->nr_protected)
		return NULL;
	while (z && z->interest != PROBE_PROTECTED)
		z = z->parent;
	return z;
}

int probes_switch(struct probes *p, const char *name, bool on, const char *why)
{
	for (size_t i = 0; i < probe_list_nr; i++) {
		struct probe_instance *in = &p->instances[i];

		if (strcmp(probe_list[i]->name, name) != 0)
			continue;
		if (on && probe_list[i]->optional && !in->available)
			(void)open_probe(p, i); /* lacks says why not */
		in->off_why = on ? NULL : why;
		if (on && !in->available)
			return -EOPNOTSUPP;
		if (in->on && !on)
			for (struct probe_zone *z = p->first; z; z = z->next)
				z->row.valid &= ~probe_list[i]->metrics;
		in->on = on;
		if (!on && probe_list[i]->optional && in->available)
			close_probe(p, i);
		return 0;
	}
	return -ENOENT;
}

int probes_wake_fd(const struct probes *p)
{
	for (size_t i = 0; i < probe_list_nr; i++)
		if (probe_list[i] == &probe_psi_triggers && p->instances[i].on)
			return psi_triggers_fd(p->instances[i].state);
	return -1;
}

const struct zone_row *probes_row(const struct probes *p, uint64_t id)
{
	const struct probe_zone *z = hash_get(&p->by_id, id);

	return z ? &z->row : NULL;
}

const struct host_row *probes_host(const struct probes *p)
{
	return &p->host;
}

size_t probes_disks(const struct probes *p, const struct disk_view **ret)
{
	*ret = p->disks;
	return p->nr_disks > 1 ? p->nr_disks : 0;
}

static size_t index_of_kind(enum holder_kind kind)
{
	size_t i = 0;

	while (i < probe_list_nr && probe_list[i]->holds != kind)
		i++;
	return i;
}

size_t probes_holders(const struct probes *p, enum holder_kind kind, uint64_t zone_id,
		      struct holder *ret, size_t max)
{
	size_t i = index_of_kind(kind);

	if (i == probe_list_nr || !p->instances[i].on)
		return 0;
	return probe_list[i]->holders(p->instances[i].state, p, zone_id, ret, max);
}

static const char *why_off(const struct probe_instance *in)
{
	return in->on ? "" : in->off_why ? in->off_why : in->lacks;
}

const char *probes_holders_off(const struct probes *p, enum holder_kind kind, const char **ret_why)
{
	size_t i = index_of_kind(kind);

	if (i == probe_list_nr || p->instances[i].on)
		return NULL;
	*ret_why = why_off(&p->instances[i]);
	return probe_list[i]->name;
}

size_t probes_status(const struct probes *p, struct probe_status *ret, size_t max)
{
	for (size_t i = 0; i < probe_list_nr && i < max; i++) {
		const struct probe_instance *in = &p->instances[i];

		ret[i] = (struct probe_status){probe_list[i]->name, probe_list[i]->summary,
					       probe_list[i]->needs, in->on, ""};
		str_copy(ret[i].why, sizeof(ret[i].why), why_off(in));
	}
	return probe_list_nr;
}

void probes_stats(const struct probes *p, struct probes_stats *ret)
{
	*ret = p->stats;
	ret->zones = p->by_id.count;
	ret->fds_kept = p->kept.used;
	ret->fd_budget = p->kept.budget;
}
