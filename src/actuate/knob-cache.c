/* SPDX-License-Identifier: MIT */
/*
 * llc and membw: what a zone may fill of the last-level cache, and of the memory bandwidth, by a
 * resctrl group of its own, cz-ID (the zone's id, in hex), made with the first limit and removed
 * with the last. The state is the kernel's alone, and found again there by whoever undoes it: no
 * group, or one without this limit, is "max". Ways are taken from the top, the same in every
 * domain.
 *
 * Limits: tasks that enter the zone later from outside are not followed; those they fork are. Tasks
 * that somebody has put into a group of theirs are left alone. membw takes percent only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "actuate/knobs.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/resctrl.h"

#define TREE "/sys/fs/resctrl"

struct place {
	struct resctrl rc;
	char group[32];
	struct resctrl_schemata now, to;
};

static void place_free(struct place *p)
{
	if (!p)
		return;
	resctrl_close(&p->rc);
	free(p);
}
DEFINE_CLEANUP(struct place *, place_free)

static bool is_mounted(void)
{
	return faccessat(AT_FDCWD, TREE "/info", F_OK, 0) == 0;
}

static void group_name(uint64_t id, char *buf, size_t size)
{
	snprintf(buf, size, "cz-%llx", (unsigned long long)id);
}

static int place_open(uint64_t id, struct place **ret, struct error *reterr)
{
	_cleanup_(place_freep) struct place *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->rc.fd = -1;
	if (!is_mounted()) {
		error_set(reterr, -EOPNOTSUPP, "this host has no resctrl, or it is not mounted");
		return -EOPNOTSUPP;
	}
	group_name(id, p->group, sizeof(p->group));
	r = resctrl_open_at(AT_FDCWD, TREE, &p->rc, reterr);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

static bool is_part(const struct resctrl_info *i, enum knob_file f, enum resctrl_resource res)
{
	return i->alloc[res].present &&
	       (f == KF_MEMBW ? res == RESCTRL_MB : res >= RESCTRL_L3 && res <= RESCTRL_L3DATA);
}

/* Can this host do it, and how much is all? */
static int most_of(const struct resctrl_info *i, enum knob_file f, uint32_t *ret,
		   struct error *reterr)
{
	const struct resctrl_alloc *mb = &i->alloc[RESCTRL_MB];

	if (f == KF_LLC && !resctrl_has_llc(i))
		return error_set(reterr, -EOPNOTSUPP, "this CPU cannot divide its L3 cache");
	if (f == KF_MEMBW && (!mb->present || mb->unit != RESCTRL_PERCENT))
		return error_set(
		    reterr, -EOPNOTSUPP, "this CPU does not limit memory bandwidth in percent%s%s",
		    mb->present ? ", but in " : "", mb->present ? resctrl_unit_name(mb->unit) : "");
	*ret = f == KF_LLC ? resctrl_ways(i->alloc[resctrl_llc(i)].cbm_mask) : 100;
	return 0;
}

static uint32_t amount(enum knob_file f, uint32_t value)
{
	return f == KF_LLC ? resctrl_ways(value) : value;
}

/* The one amount in all domains; -ENODATA when they differ, as somebody else must have set them. */
static int amount_now(const struct place *p, enum knob_file f, uint32_t *ret)
{
	bool any = false;
	uint32_t v = 0;

	for (enum resctrl_resource res = 0; res < RESCTRL_NR; res++)
		for (size_t i = 0; is_part(&p->rc.info, f, res) && i < p->now.lines[res].nr; i++) {
			uint32_t here = amount(f, p->now.lines[res].domains[i].value);

			if (any && here != v)
				return -ENODATA;
			any = true;
			v = here;
		}
	if (!any)
		return -ENODATA;
	*ret = v;
	return 0;
}

static int read_now(struct place *p, enum knob_file f, char *buf, size_t size)
{
	uint32_t most, v;
	int r = most_of(&p->rc.info, f, &most, NULL);

	if (r < 0)
		return r;
	r = resctrl_get(&p->rc, p->group, &p->now, NULL);
	if (r == -ENOENT)
		return str_printf(buf, size, "max");
	if (r < 0)
		return r;
	if (amount_now(p, f, &v) < 0)
		return str_printf(buf, size, "mixed");
	return v == most ? str_printf(buf, size, "max") : str_printf(buf, size, "%u", v);
}

int cache_read(int dirfd, enum knob_file f, char *buf, size_t size)
{
	_cleanup_(place_freep) struct place *p = NULL;
	uint64_t id;
	int r = is_mounted() ? cgroup_id_at(dirfd, &id) : -EOPNOTSUPP;

	if (r >= 0)
		r = place_open(id, &p, NULL);
	return r < 0 ? r : read_now(p, f, buf, size);
}

/* p->to becomes so much in every domain, as the hardware has it. */
static int stage(struct place *p, enum knob_file f, uint32_t v, struct error *reterr)
{
	const struct resctrl_info *i = &p->rc.info;
	int r = resctrl_get(&p->rc, "", &p->now, reterr);

	if (r < 0)
		return r;
	memset(&p->to, 0, sizeof(p->to));
	for (enum resctrl_resource res = 0; res < RESCTRL_NR; res++) {
		uint32_t value = v;

		if (!is_part(i, f, res))
			continue;
		if (f == KF_LLC && resctrl_ways_mask(&i->alloc[res], v, true, &value) < 0)
			return error_set(
			    reterr, -EINVAL, "llc: %u is not between %u and %u ways", v,
			    i->alloc[res].min_cbm_bits ? i->alloc[res].min_cbm_bits : 1,
			    resctrl_ways(i->alloc[res].cbm_mask));
		p->to.lines[res] = p->now.lines[res];
		for (size_t d = 0; d < p->to.lines[res].nr; d++)
			p->to.lines[res].domains[d].value = value;
	}
	return resctrl_schemata_check(i, &p->now, &p->to, reterr);
}

static bool other_is_free(struct place *p, enum knob_file f)
{
	char other[KNOB_TEXT_MAX];
	int r = read_now(p, f == KF_LLC ? KF_MEMBW : KF_LLC, other, sizeof(other));

	return r == -EOPNOTSUPP || (r >= 0 && !strcmp(other, "max"));
}

static int lift(struct place *p, enum knob_file f)
{
	uint32_t most;
	int r = most_of(&p->rc.info, f, &most, NULL);

	if (r < 0)
		return r;
	if (other_is_free(p, f)) {
		r = resctrl_remove(&p->rc, p->group, NULL);
		return r == -ENOENT ? 0 : r;
	}
	r = stage(p, f, most, NULL);
	return r < 0 ? r : resctrl_set(&p->rc, p->group, &p->to, NULL);
}

static int limit(struct place *p, enum knob_file f, uint32_t v, const struct resctrl_tasks *tasks)
{
	uint64_t moved;
	int made = resctrl_create(&p->rc, p->group, NULL);
	int r = made == -EEXIST ? 0 : made;

	if (r >= 0)
		r = stage(p, f, v, NULL);
	if (r >= 0)
		r = resctrl_set(&p->rc, p->group, &p->to, NULL);
	if (r >= 0)
		r = resctrl_assign(&p->rc, p->group, tasks, &moved, NULL);
	if (r < 0 && made == 0 && resctrl_remove(&p->rc, p->group, NULL) < 0)
		return r; /* the undo of this part tries again */
	return r;
}

int cache_write(int dirfd, enum knob_file f, bool v2, const char *text)
{
	_cleanup_(place_freep) struct place *p = NULL;
	struct resctrl_tasks tasks = resctrl_tasks_of_cgroup(dirfd, v2);
	uint64_t id;
	uint32_t v;
	int r = cgroup_id_at(dirfd, &id);

	if (r >= 0)
		r = place_open(id, &p, NULL);
	if (r < 0)
		return r;
	if (!strcmp(text, "max"))
		return lift(p, f);
	r = parse_u32(text, &v);
	return r < 0 ? r : limit(p, f, v, &tasks);
}

void cache_forget(enum knob_file f, uint64_t id)
{
	_cleanup_(place_freep) struct place *p = NULL;

	if ((f == KF_LLC || f == KF_MEMBW) && place_open(id, &p, NULL) == 0 &&
	    resctrl_remove(&p->rc, p->group, NULL) < 0)
		return; /* it was not there */
}

bool cache_valid(const char *to)
{
	uint32_t v;

	return !strcmp(to, "max") || (parse_u32(to, &v) >= 0 && v >= 1 && v <= 100);
}

struct others {
	const struct place *p;
	const struct resctrl_tasks *tasks;
	uint32_t groups; /* control groups */
	char holder[RESCTRL_PATH_MAX];
};

static int look_at_group(const char *path, void *arg)
{
	struct others *o = arg;
	bool holds = false;

	if (strstr(path, "mon_groups/"))
		return 0;
	o->groups++;
	if (!path[0] || !strcmp(path, o->p->group) || o->holder[0])
		return 0;
	if (resctrl_holds_any(&o->p->rc, path, o->tasks, &holds) == 0 && holds)
		str_copy(o->holder, sizeof(o->holder), path);
	return 0;
}

/* Whether there is a group to be had, and the tasks are nobody else's. */
static int check_others(const struct knob_target *t, struct place *p, struct error *reterr)
{
	struct resctrl_tasks tasks = resctrl_tasks_of_cgroup(t->dirfd, t->v2);
	struct others o = {.p = p, .tasks = &tasks};
	int r = resctrl_each(&p->rc, look_at_group, &o);

	if (r < 0)
		return error_errno(reterr, r, "resctrl groups");
	if (o.holder[0])
		return error_set(reterr, -EBUSY, "tasks of %s are in resctrl group %s already",
				 t->path, o.holder);
	if (resctrl_get(&p->rc, p->group, &p->now, NULL) == -ENOENT &&
	    o.groups >= p->rc.info.closids)
		return error_set(reterr, -ENOSPC,
				 "all %u resctrl groups (CLOSIDs) of this CPU are in use",
				 p->rc.info.closids);
	return 0;
}

static int plan(const struct knob_target *t, enum knob_file f, const char *to, struct entry *e,
		struct error *reterr)
{
	_cleanup_(place_freep) struct place *p = NULL;
	char new[KNOB_TEXT_MAX] = "max";
	uint32_t v, most;
	int r = place_open(t->id, &p, reterr);

	if (r >= 0)
		r = most_of(&p->rc.info, f, &most, reterr);
	if (r >= 0)
		r = read_now(p, f, e->from, sizeof(e->from));
	if (r >= 0 && strcmp(to, "max") != 0) {
		r = parse_u32(to, &v);
		if (r >= 0)
			r = check_others(t, p, reterr);
		if (r >= 0)
			r = stage(p, f, v, reterr);
		if (r >= 0) {
			enum resctrl_resource res =
			    f == KF_LLC ? resctrl_llc(&p->rc.info) : RESCTRL_MB;

			v = amount(f, p->to.lines[res].domains[0].value);
			if (v != most)
				snprintf(new, sizeof(new), "%u", v);
		}
	}
	return r < 0 ? r : entry_add(e, f, t->id, t->path, e->from, new);
}

int llc_get(const struct knob_target *t, char *buf, size_t size)
{
	return cache_read(t->dirfd, KF_LLC, buf, size);
}

int llc_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr)
{
	return plan(t, KF_LLC, to, e, reterr);
}

int membw_get(const struct knob_target *t, char *buf, size_t size)
{
	return cache_read(t->dirfd, KF_MEMBW, buf, size);
}

int membw_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr)
{
	return plan(t, KF_MEMBW, to, e, reterr);
}
