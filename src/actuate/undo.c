/* SPDX-License-Identifier: MIT */
/*
 * Undo. It works file by file; what makes a crash at any instant harmless is that undo
 * looks at what is there, not at what should have happened: a file is put back if it holds a text
 * this action wrote, left alone if it holds the text from before, and otherwise belongs to
 * somebody else. So an undo that was itself cut short is finished by the next one, without marks.
 *
 * An older action may be undone while a younger one holds the same file (weight under idle, burst
 * under max, a child's cpuset under its parent's): then nothing is written to that file, and the
 * younger one inherits the text to go back to.
 */
#include <string.h>
#include "actuate/actuator.h"
#include "actuate/knobs.h"
#include "actuate/open-dir.h"
#include "actuate/original.h"
#include "base/cleanup.h"

int part_open(const struct actuator *act, const struct entry *e, const struct part *p)
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

int write_checked(int dirfd, enum knob_file f, bool v2, const char *text)
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

	if (dirfd == -ENOENT || dirfd == -ESTALE)
		cache_forget(p->file, p->id);
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
		note_result(u, p, part_undo(act, e, p, force && i == nr - 1));
	}
}

int undo_entry(struct actuator *act, struct entry *e, struct error *reterr)
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

int roll_back(struct actuator *act, struct entry *e, size_t nr, int why, struct error *reterr)
{
	struct undoing u = {0};

	walk_back(act, e, nr, true, &u);
	if (u.err)
		return error_wrap(reterr, why,
				  "could not be rolled back (%s), still in the journal",
				  strerror(-u.err));
	journal_end(&act->journal, e, "rolled back", u.rebases, u.nr_rebases);
	return why;
}

int actuator_undo(struct actuator *act, uint64_t action_seq, struct error *reterr)
{
	struct entry *e = journal_find(&act->journal, action_seq);

	if (!e)
		return error_set(reterr, -ENOENT, "no open action #%llu",
				 (unsigned long long)action_seq);
	return undo_entry(act, e, reterr);
}

static bool is_foreign(const struct actuator *act, const struct entry *e, const struct part *p)
{
	_cleanup_close_ int dirfd = -1;
	char now[KNOB_TEXT_MAX];
	struct rebase above;

	if (p->side || !strcmp(p->old, p->new) || part_above(act, e, p, &above))
		return false;
	dirfd = part_open(act, e, p);
	return dirfd >= 0 &&
	       knob_file_read(dirfd, p->file, cgroup_is_v2(act->fs, knob_file_controller(p->file)),
			      now, sizeof(now)) >= 0 &&
	       strcmp(now, p->new);
}

int actuator_check(const struct actuator *act, uint64_t action_seq)
{
	const struct entry *e = journal_find(&act->journal, action_seq);

	for (size_t i = e ? e->nr : 0; i-- > 0;) {
		size_t later = i + 1;

		/* A file that is written twice on the way: the last text counts. */
		while (later < e->nr && !same_file(&e->parts[i], &e->parts[later]))
			later++;
		if (later == e->nr && is_foreign(act, e, &e->parts[i]))
			return -ECANCELED;
	}
	return 0;
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

/* The oldest open entry that touches the file, and its part. */
static const struct entry *holder(const struct actuator *act, enum knob_file f, uint64_t dir_id,
				  const struct part **ret)
{
	struct part key = {.file = f, .id = dir_id};

	for (size_t i = 0; act && i < act->journal.nr; i++)
		for (size_t n = 0; n < act->journal.open[i]->nr; n++)
			if (same_file(&key, &act->journal.open[i]->parts[n])) {
				*ret = &act->journal.open[i]->parts[n];
				return act->journal.open[i];
			}
	return NULL;
}

uint64_t actuator_holder(const struct actuator *act, enum knob_file f, uint64_t dir_id)
{
	const struct part *p;
	const struct entry *e = holder(act, f, dir_id, &p);

	return e ? e->seq : 0;
}

const char *actuator_original(const struct actuator *act, enum knob_file f, uint64_t dir_id)
{
	const struct part *p;

	return holder(act, f, dir_id, &p) ? p->old : NULL;
}
