/* SPDX-License-Identifier: MIT */
/*
 * Apply, and what the rest of the program may ask. The order is: look, plan all parts, journal
 * them, write and read back one by one; whatever fails is rolled back by undo.c.
 */
#include <stdlib.h>
#include <string.h>
#include "actuate/actuator.h"
#include "actuate/knobs.h"
#include "base/cleanup.h"
#include "kernel/procfs.h"

DEFINE_CLEANUP(struct entry *, entry_free)

int actuator_open(const struct kernel *k, const struct cgroup_fs *fs, int run_dirfd,
		  struct actuator **ret, struct error *reterr)
{
	_cleanup_free_ struct actuator *a = calloc(1, sizeof(*a));
	char boot[37];
	int r;

	if (!a)
		return -ENOMEM;
	r = proc_boot_id(k, boot);
	if (r < 0)
		return error_errno(reterr, r, "read the boot id");
	a->fs = fs;
	a->captured = k->captured;
	r = journal_open(&a->journal, run_dirfd, boot, reterr);
	if (r < 0) {
		journal_done(&a->journal);
		return r;
	}
	*ret = TAKE_PTR(a);
	return 0;
}

void actuator_close(struct actuator *a)
{
	if (!a)
		return;
	journal_done(&a->journal);
	free(a);
}

bool actuator_can_apply(const struct actuator *a, const char **ret_why_not)
{
	const char *why = a->captured		 ? "a captured tree is read only"
			  : !a->journal.writable ? a->journal.why.msg
						 : NULL;

	if (ret_why_not)
		*ret_why_not = why;
	return !why;
}

int actuator_retry(struct actuator *a, struct error *reterr)
{
	return journal_retry(&a->journal, reterr);
}

static int write_failed(const struct entry *e, const struct part *p, bool v2, int r,
			struct error *reterr)
{
	const char *path = part_path(e, p), *file = knob_file_name(p->file, v2);

	if (r == -ENOENT || r == -ESTALE)
		return error_set(reterr, r, "%s is gone", path);
	if (r == -EIO)
		return error_set(reterr, r, "%s of %s reads back other than \"%s\"", file, path,
				 p->new);
	return error_errno(reterr, r, "write \"%s\" to %s of %s", p->new, file, path);
}

/* A child that went away needs no moving. */
static int child_write(const struct actuator *act, const struct entry *e, const struct part *p,
		       bool v2)
{
	_cleanup_close_ int fd = part_open(act, e, p);
	int r = fd < 0 ? fd : write_checked(fd, p->file, v2, p->new);

	return r == -ENOENT || r == -ESTALE ? 0 : r;
}

static int write_parts(struct actuator *act, struct entry *e, const struct knob_target *t,
		       struct error *reterr)
{
	const struct knob_desc *d = &knob_descs[e->knob];
	int r;

	for (size_t i = 0; i < e->nr; i++) {
		const struct part *p = &e->parts[i];

		if (p->side || !strcmp(p->old, p->new))
			continue;
		r = p->path ? child_write(act, e, p, t->v2)
			    : write_checked(t->dirfd, p->file, t->v2, p->new);
		if (r < 0)
			return roll_back(act, e, i + 1, write_failed(e, p, t->v2, r, reterr),
					 reterr);
	}
	r = d->check ? d->check(t, e->to, reterr) : 0;
	return r < 0 ? roll_back(act, e, e->nr, r, reterr) : 0;
}

static bool holds(const struct actuator *act, uint64_t zone_id, enum knob knob)
{
	for (size_t i = 0; i < act->journal.nr; i++)
		if (act->journal.open[i]->zone_id == zone_id && act->journal.open[i]->knob == knob)
			return true;
	return false;
}

static int check_request(const struct actuator *act, const struct action *a, const char *path,
			 struct error *reterr)
{
	const char *why;

	if ((unsigned int)a->knob >= KNOB_NR || !a->seq)
		return error_set(reterr, -EINVAL, "no such action");
	if (!zone_path_valid(path) || a->target_id <= 1)
		return error_set(reterr, -EPERM, "%s is not a zone that may be acted on", path);
	if (!knob_descs[a->knob].valid(a->to))
		return error_set(reterr, -EINVAL, "%s takes %s, not \"%s\"", knob_name(a->knob),
				 knob_descs[a->knob].form, a->to);
	if (!actuator_can_apply(act, &why))
		return error_set(reterr, -EROFS, "nothing is changed: %s", why);
	if (holds(act, a->target_id, a->knob) || journal_find(&act->journal, a->seq))
		return error_set(reterr, -EBUSY, "%s of %s is held by an open action",
				 knob_name(a->knob), path);
	return 0;
}

static int dir_failed(const char *path, int r, struct error *reterr)
{
	if (r == -ENOENT || r == -ESTALE)
		return error_set(reterr, r, "%s is gone", path);
	return error_errno(reterr, r, "open cgroup %s", path);
}

/*
 * Directory and id in the hierarchy where the knob's files are. The zone is known by its id in the
 * cpu hierarchy; the others are joined by path.
 */
static int target_open(const struct cgroup_fs *fs, enum knob knob, const char *path,
		       uint64_t zone_id, struct knob_target *ret, struct error *reterr)
{
	enum cgroup_controller ctl = knob_descs[knob].ctl;
	_cleanup_close_ int cpu = -1, fd = -1;
	int r;

	if (!cgroup_has(fs, ctl))
		return error_set(reterr, -EOPNOTSUPP, "no cgroup hierarchy here has %s",
				 knob_name(knob));
	cpu = cgroup_open(fs, CG_CPU, path, zone_id);
	if (cpu < 0)
		return dir_failed(path, cpu, reterr);
	*ret = (struct knob_target){.v2 = cgroup_is_v2(fs, ctl), .path = path};
	if (fs->of[ctl] == fs->of[CG_CPU]) {
		ret->id = zone_id;
		fd = TAKE_FD(cpu);
	} else {
		fd = cgroup_open(fs, ctl, path, 0);
		r = fd < 0 ? fd : cgroup_id_at(fd, &ret->id);
		if (r == -ENOENT)
			return error_set(reterr, -EOPNOTSUPP,
					 "%s has no group of its own where %s lives", path,
					 knob_name(knob));
		if (r < 0)
			return dir_failed(path, r, reterr);
	}
	ret->dirfd = TAKE_FD(fd);
	return 0;
}

static int make_entry(const struct action *a, const struct knob_target *t, uint64_t now_ns,
		      struct entry **ret, struct error *reterr)
{
	_cleanup_(entry_freep) struct entry *e = NULL;
	struct error why = {0};
	int r = entry_new(a->seq, a->target_id, t->path, &e);

	if (r >= 0) {
		e->knob = a->knob;
		e->at_ns = now_ns;
		memcpy(e->to, a->to, sizeof(e->to));
		r = knob_descs[a->knob].plan(t, a->to, e, &why);
	}
	if (r < 0 && why.msg[0] && reterr)
		*reterr = why;
	else if (r < 0)
		error_errno(reterr, r, "look at %s of %s", knob_name(a->knob), t->path);
	if (r < 0)
		return r;
	if (!entry_changes(e))
		return error_set(reterr, -EALREADY, "%s of %s is %s already", knob_name(a->knob),
				 t->path, a->to);
	*ret = TAKE_PTR(e);
	return 0;
}

int actuator_apply(struct actuator *act, struct action *a, const char *path, uint64_t now_ns,
		   struct error *reterr)
{
	_cleanup_(entry_freep) struct entry *e = NULL;
	_cleanup_close_ int dirfd = -1;
	struct knob_target t;
	int r = check_request(act, a, path, reterr);

	if (r < 0)
		return r;
	r = target_open(act->fs, a->knob, path, a->target_id, &t, reterr);
	if (r < 0)
		return r;
	dirfd = t.dirfd;
	t.act = act->journal.nr ? act : NULL;
	r = make_entry(a, &t, now_ns, &e, reterr);
	if (r < 0)
		return r;
	memcpy(a->from, e->from, sizeof(a->from));
	r = journal_begin(&act->journal, e);
	if (r < 0)
		return error_set(reterr, act->journal.writable ? r : -EROFS,
				 "nothing is changed: the journal did not take it: %s",
				 strerror(-r));
	return write_parts(act, TAKE_PTR(e), &t, reterr);
}

uint32_t actuator_unread_lines(const struct actuator *act)
{
	return act->journal.bad_lines + act->journal.torn;
}

uint64_t actuator_last_seq(const struct actuator *act)
{
	return act->journal.last_seq;
}

size_t actuator_open_count(const struct actuator *act)
{
	return act->journal.nr;
}

int actuator_each(const struct actuator *act, int (*cb)(const struct journal_entry *e, void *arg),
		  void *arg)
{
	int r = 0;

	for (size_t i = 0; i < act->journal.nr && !r; i++) {
		const struct entry *e = act->journal.open[i];
		struct journal_entry pub = {e->seq, e->zone_id, e->knob, e->path, e->from, e->to};

		r = cb(&pub, arg);
	}
	return r;
}

int knob_read(const struct cgroup_fs *fs, enum knob knob, const char *path, uint64_t id, char *buf,
	      size_t size)
{
	_cleanup_close_ int dirfd = -1;
	struct knob_target t;
	int r;

	if ((unsigned int)knob >= KNOB_NR)
		return -EINVAL;
	r = target_open(fs, knob, path, id, &t, NULL);
	if (r < 0)
		return r;
	dirfd = t.dirfd;
	return knob_descs[knob].get(&t, buf, size);
}
