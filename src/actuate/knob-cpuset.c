/* SPDX-License-Identifier: MIT */
/*
 * cpuset. On v2 a group's list is its own affair: the kernel keeps the part its parent allows, and
 * an empty list inherits. On v1 every list must lie within the parent's at every moment: a group
 * with children is moved by widening to the union from the top down, and narrowing from the
 * bottom up. Children keep what the new set leaves them, or get the whole of it. The canonical
 * value is what is configured, not what is in effect.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include "actuate/knobs.h"
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "base/io.h"
#include "base/str.h"

#define DEPTH_MAX 16

bool cpuset_valid(const char *to)
{
	struct cpuset s;

	return cpuset_parse(to, &s) >= 0;
}

int cpuset_get(const struct knob_target *t, char *buf, size_t size)
{
	return knob_file_read(t->dirfd, KF_CPUS, t->v2, buf, size);
}

static int add(struct entry *e, const struct knob_target *t, const char *old, const char *new)
{
	return entry_add(e, KF_CPUS, t->id, t->path, old, new);
}

static int shift(const struct knob_target *t, const struct cpuset *to, struct entry *e,
		 unsigned int depth);

static int shift_child(const struct knob_target *t, const char *name, const struct cpuset *to,
		       struct entry *e, unsigned int depth)
{
	_cleanup_close_ int fd = openat(t->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[ZONE_PATH_MAX], text[KNOB_TEXT_MAX];
	struct knob_target child = {.act = t->act, .dirfd = fd, .path = path};
	struct cpuset old, new;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = str_printf(path, sizeof(path), "%s/%s", t->path, name);
	if (r >= 0)
		r = cgroup_id_at(fd, &child.id);
	if (r >= 0)
		r = cpuset_get(&child, text, sizeof(text));
	if (r == -ENOENT)
		return 0; /* removed meanwhile */
	if (r >= 0)
		r = cpuset_parse(text, &old);
	if (r < 0 || !cpuset_count(&old))
		return r; /* not set up: it holds no task and nothing below it can */
	cpuset_and(&new, &old, to);
	return shift(&child, cpuset_count(&new) ? &new : to, e, depth + 1);
}

static int shift_children(const struct knob_target *t, const struct cpuset *to, struct entry *e,
			  unsigned int depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int r = 0, fd = openat(t->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	for (struct dirent *d; r >= 0 && (d = readdir(dir));)
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			r = shift_child(t, d->d_name, to, e, depth);
	return r;
}

static int shift(const struct knob_target *t, const struct cpuset *to, struct entry *e,
		 unsigned int depth)
{
	char old_text[KNOB_TEXT_MAX], union_text[KNOB_TEXT_MAX], to_text[KNOB_TEXT_MAX];
	struct cpuset old, both;
	int r;

	if (depth > DEPTH_MAX)
		return -E2BIG;
	r = cpuset_get(t, old_text, sizeof(old_text));
	if (r >= 0)
		r = cpuset_parse(old_text, &old);
	if (r < 0)
		return r;
	if (cpuset_equal(&old, to)) {
		/* Nothing below can lie outside; but an older action may yet widen it. */
		r = knob_pin_if_held(t, KF_CPUS, e);
		return r < 0 || !t->act ? r : shift_children(t, to, e, depth);
	}
	cpuset_or(&both, &old, to);
	r = cpuset_format(to, to_text, sizeof(to_text));
	if (r >= 0 && cpuset_equal(&both, &old)) /* nothing to add: keep the text to the letter */
		r = str_printf(union_text, sizeof(union_text), "%s", old_text);
	else if (r >= 0)
		r = cpuset_format(&both, union_text, sizeof(union_text));
	if (r >= 0)
		r = add(e, t, old_text, union_text);
	if (r >= 0)
		r = shift_children(t, to, e, depth);
	return r < 0 ? r : add(e, t, union_text, to_text);
}

int cpuset_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr)
{
	char canonical[KNOB_TEXT_MAX];
	struct cpuset set;
	int r = cpuset_get(t, e->from, sizeof(e->from));

	if (r == -EOPNOTSUPP)
		return knob_explain_missing(t, KF_CPUS, reterr);
	if (r >= 0)
		r = cpuset_parse(to, &set);
	if (r >= 0)
		r = cpuset_format(&set, canonical, sizeof(canonical));
	if (r < 0)
		return error_errno(reterr, r, "cpuset of %s", t->path);
	if (t->v2)
		return add(e, t, e->from, canonical);
	if (!cpuset_count(&set))
		return error_set(reterr, -EINVAL, "the cpuset of %s may not be empty on cgroup v1",
				 t->path);
	r = shift(t, &set, e, 0);
	if (r == -E2BIG)
		return error_set(reterr, r, "%s has too many groups with cpusets of their own",
				 t->path);
	return r < 0 ? error_errno(reterr, r, "cpuset of the groups in %s", t->path) : 0;
}

/* v2 accepts any list and falls back to the parent's CPUs when it can't honour it. */
int cpuset_check(const struct knob_target *t, const char *to, struct error *reterr)
{
	char text[KNOB_TEXT_MAX];
	struct cpuset effective, wanted, outside;

	if (!t->v2)
		return 0;
	if (read_file_at(t->dirfd, "cpuset.cpus.effective", text, sizeof(text)) < 0 ||
	    cpuset_parse(text, &effective) < 0 || cpuset_parse(to, &wanted) < 0)
		return error_set(reterr, -EIO, "the CPUs in effect in %s can't be read", t->path);
	cpuset_andnot(&outside, &effective, &wanted);
	if (cpuset_count(&wanted) && cpuset_count(&outside))
		return error_set(reterr, -EIO,
				 "cpuset %s has no effect in %s: CPUs %s stay in effect", to,
				 t->path, text);
	return 0;
}
