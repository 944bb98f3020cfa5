/* SPDX-License-Identifier: MIT */
/*
 * Apply and undo. Both work file by file; what makes a crash at any instant harmless is that undo
 * looks at what is there, not at what should have happened: a file is put back if it holds a text
 * this action wrote, left alone if it holds the text from before, and otherwise belongs to
 * somebody else. So an undo that was itself cut short is finished by the next one, without marks.
 *
 * An older action may be undone while a younger one holds the same file (weight under idle, burst
 * under max, a child's cpuset under its parent's): then nothing is written, and the younger one
 * inherits the text to go back to.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "actuate/actuate.h"
#include "actuate/journal.h"
#include "actuate/knobs.h"
#include "actuate/open-dir.h"
#include "actuate/original.h"
#include "base/cleanup.h"
#include "kernel/procfs.h"

DEFINE_CLEANUP(struct entry *, entry_free)

struct actuator {
	const struct cgroup_fs *fs;
	bool captured;
	struct journal journal;
};

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

static int part_open(const struct actuator *act, const struct entry *e, const struct part *p)
{
	return open_dir_by_id(act->fs, knob_file_controller(p->file), part_path(e, p), p->id);
}

static bool same_file(const struct part *a, const struct part *b)
{
	return a->file == b->file && a->id == b->id;
}

/* A text this entry has found or left in p's file on its way. */
static bool passed_through(const struct entry *e, const struct part *p, const char *text)
{
	for (size_t i = 0; i < e->nr; i++) {
		const struct part *q = &e->parts[i];

		if (same_file(p, q) &&
		    (!strcmp(q->old, text) || (!q->side && !strcmp(q->new, text))))
			return true;
	}
	return false;
}

static int write_checked(int dirfd, enum knob_file f, bool v2, const char *text)
{
	char now[KNOB_TEXT_MAX];
	int r = knob_file_write(dirfd, f, v2, text);

	if (r >= 0)
		r = knob_file_read(dirfd, f, v2, now, sizeof(now));
	if (r < 0)
		return r;
	return strcmp(now, text) ? -EIO : 0;
}

enum whose { OURS, AS_BEFORE, FOREIGN };

static enum whose whose_text(const struct entry *e, const struct part *p, bool v2, const char *now)
{
	if (!strcmp(now, p->old))
		return AS_BEFORE;
	if (p->side)
		return strcmp(now, knob_file_reset_text(p->file, v2)) ? FOREIGN : OURS;
	if (!strcmp(now, p->new))
		return OURS;
	return passed_through(e, p, now) ? AS_BEFORE : FOREIGN;
}

/* 0 restored or as before; -ENOENT gone; -ECANCELED foreign. force: just written by us, whatever
 * the kernel made of it. */
static int part_undo(const struct actuator *act, const struct entry *e, const struct part *p,
		     bool force)
{
	_cleanup_close_ int dirfd = part_open(act, e, p);
	bool v2 = cgroup_is_v2(act->fs, knob_file_controller(p->file));
	char now[KNOB_TEXT_MAX];
	int r;

	if (dirfd < 0)
		return dirfd == -ESTALE ? -ENOENT : dirfd;
	r = knob_file_read(dirfd, p->file, v2, now, sizeof(now));
	if (r < 0)
		return r;
	switch (whose_text(e, p, v2, now)) {
	case AS_BEFORE:
		return 0;
	case FOREIGN:
		if (!force)
			return -ECANCELED;
		break;
	case OURS:
		break;
	}
	return write_checked(dirfd, p->file, v2, p->old);
}

/* The first part on p's file of the next younger open action, or NULL. */
static struct part *part_above(const struct actuator *act, const struct entry *e,
			       const struct part *p, struct rebase *ret)
{
	const struct journal *j = &act->journal;
	size_t i = 0;

	while (i < j->nr && j->open[i] != e)
		i++;
	for (i++; i < j->nr; i++)
		for (size_t n = 0; n < j->open[i]->nr; n++)
			if (same_file(p, &j->open[i]->parts[n])) {
				*ret = (struct rebase){j->open[i], n};
				return &j->open[i]->parts[n];
			}
	return NULL;
}

struct undoing {
	struct rebase rebases[PARTS_MAX];
	size_t nr_rebases;
	uint32_t done, gone, foreign;
	int err;	      /* the first real failure */
	enum knob_file where; /* of it, or of the foreign value */
};

static void note_result(struct undoing *u, const struct part *p, int r)
{
	if (r >= 0) {
		u->done++;
	} else if (r == -ENOENT) {
		u->gone++;
	} else if (r == -ECANCELED) {
		u->foreign++;
		u->where = u->err ? u->where : p->file;
	} else if (!u->err) {
		u->err = r;
		u->where = p->file;
	}
}

/* Walks back over the first `nr` parts; the last one is ours whatever it reads if `force`. */
static void walk_back(struct actuator *act, struct entry *e, size_t nr, bool force,
		      struct undoing *u)
{
	for (size_t i = nr; i-- > 0;) {
		struct part *p = &e->parts[i], *above;
		struct rebase r;

		above = part_above(act, e, p, &r);
		if (above) {
			/* Going backwards, the oldest text is the last to be handed on. */
			memcpy(above->old, p->old, sizeof(above->old));
			u->rebases[u->nr_rebases++] = r;
			u->done++;
			continue;
		}
		/* A weight can't come back while the idle class stays. */
		if (p->side && u->err)
			continue;
		note_result(u, p, part_undo(act, e, p, force && i == nr - 1));
	}
}

static int undo_entry(struct actuator *act, struct entry *e, struct error *reterr)
{
	struct undoing u = {0};
	const char *knob = knob_name(e->knob);
	int r = 0;

	walk_back(act, e, e->nr, false, &u);
	if (u.err) {
		return error_errno(reterr, u.err, "restore %s of %s to %s (%s)", knob, e->path,
				   e->from, knob_file_label(u.where));
	}
	if (u.foreign) {
		r = error_set(reterr, -ECANCELED,
			      "%s of %s was changed by somebody else meanwhile (%s): left as it is",
			      knob, e->path, knob_file_label(u.where));
		journal_end(&act->journal, e, "foreign", u.rebases, u.nr_rebases);
	} else if (!u.done) {
		r = error_set(reterr, -ENOENT, "%s is gone", e->path);
		journal_end(&act->journal, e, "gone", u.rebases, u.nr_rebases);
	} else {
		journal_end(&act->journal, e, "restored", u.rebases, u.nr_rebases);
	}
	return r;
}

/* Takes e off the journal if all is back; else e stays open there for a later undo. */
static int roll_back(struct actuator *act, struct entry *e, size_t nr, int why,
		     struct error *reterr)
{
	struct undoing u = {0};

	walk_back(act, e, nr, true, &u);
	if (u.err)
		return error_wrap(reterr, why, "could not be rolled back (%s), still in the journal",
				  strerror(-u.err));
	journal_end(&act->journal, e, "rolled back", u.rebases, u.nr_rebases);
	return why;
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

		if (p->side)
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
	*ret = (struct knob_target){.fs = fs, .v2 = cgroup_is_v2(fs, ctl), .path = path};
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
	int r = entry_new(a->seq, a->target_id, t->path, &e);

	if (r < 0)
		return r;
	e->knob = a->knob;
	e->at_ns = now_ns;
	memcpy(e->to, a->to, sizeof(e->to));
	r = knob_descs[a->knob].plan(t, a->to, e, reterr);
	if (r < 0)
		return r;
	if (!e->nr)
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
	r = make_entry(a, &t, now_ns, &e, reterr);
	if (r < 0)
		return r;
	memcpy(a->from, e->from, sizeof(a->from));
	r = journal_begin(&act->journal, e);
	if (r < 0)
		return error_errno(reterr, r == -ENOBUFS ? r : -EROFS,
				   "nothing is changed: the journal did not take it (%s)",
				   strerror(-r));
	return write_parts(act, TAKE_PTR(e), &t, reterr);
}

int actuator_undo(struct actuator *act, uint64_t action_seq, struct error *reterr)
{
	struct entry *e = journal_find(&act->journal, action_seq);

	if (!e)
		return error_set(reterr, -ENOENT, "no open action #%llu",
				 (unsigned long long)action_seq);
	return undo_entry(act, e, reterr);
}

int actuator_undo_all(struct actuator *act, struct undo_report *ret, struct error *reterr)
{
	struct undo_report report = {0};
	int err = 0;

	for (size_t i = act->journal.nr; i-- > 0;) {
		int r = undo_entry(act, act->journal.open[i], err ? NULL : reterr);

		if (r >= 0)
			report.restored++;
		else if (r == -ENOENT)
			report.gone++;
		else if (r == -ECANCELED)
			report.hands_off++;
		else
			report.failed++;
		if (r < 0 && r != -ENOENT && r != -ECANCELED && !err)
			err = r;
	}
	*ret = report;
	return err;
}

uint64_t actuator_last_seq(const struct actuator *act)
{
	return act->journal.last_seq;
}

size_t actuator_open_count(const struct actuator *act)
{
	return act->journal.nr;
}

int actuator_each(const struct actuator *act,
		  int (*cb)(const struct journal_entry *e, void *arg), void *arg)
{
	int r = 0;

	for (size_t i = 0; i < act->journal.nr && !r; i++) {
		const struct entry *e = act->journal.open[i];
		struct journal_entry pub = {e->seq, e->zone_id, e->knob, e->path, e->from, e->to};

		r = cb(&pub, arg);
	}
	return r;
}

const char *actuator_original(const struct actuator *act, enum knob_file f, uint64_t dir_id)
{
	struct part key = {.file = f, .id = dir_id};

	for (size_t i = 0; act && i < act->journal.nr; i++)
		for (size_t n = 0; n < act->journal.open[i]->nr; n++)
			if (same_file(&key, &act->journal.open[i]->parts[n]))
				return act->journal.open[i]->parts[n].old;
	return NULL;
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
