/* SPDX-License-Identifier: MIT */
/*
 * Tasks of resctrl groups. A child gets its parent's group at fork; but one that is being forked
 * while its parent is moved may be left behind, and a cgroup's list is read block by block while
 * its tasks come and go. So: look who is outside, move them, and look again until none is.
 */
#include "kernel/resctrl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kio.h"
#include "kernel/resctrl-private.h"
#include "kernel/text.h"

#define DEPTH_MAX 32

int resctrl_add_task(const struct resctrl *rc, const char *path, pid_t tid, struct error *reterr)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", tid);
	return resctrl_write(rc, path, "tasks", text, reterr);
}

/* Calls cb for each number of an open file. */
static int each_number(int fd, int (*cb)(pid_t tid, void *arg), void *arg)
{
	struct text_numbers w = {.fd = fd};
	uint64_t tid;
	int r;

	while ((r = text_numbers_next(&w, &tid)) > 0) {
		r = tid > 0 && tid <= INT32_MAX ? cb((pid_t)tid, arg) : 0;
		if (r < 0)
			return r;
	}
	return r;
}

static int each_in_file(int dirfd, const char *file, int (*cb)(pid_t tid, void *arg), void *arg)
{
	_cleanup_close_ int fd = kio_openat(dirfd, file, O_RDONLY);

	return fd < 0 ? fd : each_number(fd, cb, arg);
}

static int each_in_tree(int dirfd, const char *file, unsigned int depth,
			int (*cb)(pid_t tid, void *arg), void *arg)
{
	int r = each_in_file(dirfd, file, cb, arg);
	_cleanup_closedir_ DIR *d = NULL;

	if (r < 0 && r != -EOPNOTSUPP) /* v2: a domain with threaded children has no list */
		return r;
	r = 0;
	d = kio_opendir_at(dirfd, ".", &r);
	if (!d)
		return r;
	for (struct dirent *e; r >= 0 && (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (depth == DEPTH_MAX)
			return -ELOOP;
		_cleanup_close_ int fd = kio_openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY);

		r = fd < 0 ? fd : each_in_tree(fd, file, depth + 1, cb, arg);
		if (r == -ENOENT || r == -ENODEV)
			r = 0; /* removed meanwhile: its tasks are gone or elsewhere */
	}
	return r;
}

static int cgroup_each(const struct resctrl_tasks *t, int (*cb)(pid_t tid, void *arg), void *arg)
{
	return each_in_tree(t->dirfd, t->file, 0, cb, arg);
}

struct resctrl_tasks resctrl_tasks_of_cgroup(int dirfd, bool v2)
{
	return (struct resctrl_tasks){
	    .each = cgroup_each, .dirfd = dirfd, .file = v2 ? "cgroup.threads" : "tasks"};
}

static int process_each(const struct resctrl_tasks *t, int (*cb)(pid_t tid, void *arg), void *arg)
{
	char path[64];
	int r = 0;
	_cleanup_closedir_ DIR *d = NULL;

	snprintf(path, sizeof(path), "proc/%d/task", t->pid);
	d = kio_opendir_at(t->kernel->root_fd, path, &r);
	if (!d)
		return r == -ENOENT ? -ESRCH : r;
	for (struct dirent *e; r >= 0 && (e = readdir(d));)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			r = cb((pid_t)strtol(e->d_name, NULL, 10), arg);
	return r;
}

struct resctrl_tasks resctrl_tasks_of_process(const struct kernel *k, pid_t pid)
{
	return (struct resctrl_tasks){.each = process_each, .kernel = k, .pid = pid};
}

/* Who is in the group, sorted. */
struct members {
	pid_t *tids;
	size_t nr, cap;
};

static void members_done(struct members *m)
{
	free(m->tids);
}

static int member_add(pid_t tid, void *arg)
{
	struct members *m = arg;
	pid_t *grown;

	if (m->nr == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		grown = realloc(m->tids, m->cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		m->tids = grown;
	}
	m->tids[m->nr++] = tid;
	return 0;
}

static int by_tid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static int read_members(const struct resctrl *rc, const char *path, struct members *m)
{
	char file[RESCTRL_PATH_MAX];
	int r = resctrl_file(file, sizeof(file), path, "tasks");

	m->nr = 0;
	if (r >= 0)
		r = each_in_file(rc->fd, file, member_add, m);
	if (r >= 0 && m->nr)
		qsort(m->tids, m->nr, sizeof(m->tids[0]), by_tid);
	return r;
}

struct round {
	const struct resctrl *rc;
	const char *path;
	struct members inside;
	uint64_t outside, moved;
	struct error *reterr;
};

static int move_if_outside(pid_t tid, void *arg)
{
	struct round *round = arg;
	int r;

	if (round->inside.nr &&
	    bsearch(&tid, round->inside.tids, round->inside.nr, sizeof(tid), by_tid))
		return 0;
	round->outside++;
	r = resctrl_add_task(round->rc, round->path, tid, round->reterr);
	if (r == -ESRCH)
		return 0; /* it ended; whom it forked before, the next round sees */
	round->moved += r >= 0;
	return r;
}

int resctrl_assign(const struct resctrl *rc, const char *path, const struct resctrl_tasks *t,
		   uint64_t *ret_moved, struct error *reterr)
{
	struct error e = {0};
	struct round round = {.rc = rc, .path = path, .reterr = &e};
	int r = 0;

	for (unsigned int i = 0; i < RESCTRL_ROUNDS; i++) {
		round.outside = 0;
		r = read_members(rc, path, &round.inside);
		if (r >= 0)
			r = t->each(t, move_if_outside, &round);
		if (r < 0 || !round.outside)
			break;
	}
	members_done(&round.inside);
	if (r < 0)
		return e.code == r ? error_set(reterr, r, "%s", e.msg)
				   : error_errno(reterr, r, "tasks of %s", resctrl_shown(path));
	if (round.outside)
		return error_set(reterr, -EAGAIN,
				 "new tasks came faster than they could be put into %s: %llu were "
				 "moved, the last round still found %llu",
				 resctrl_shown(path), (unsigned long long)round.moved,
				 (unsigned long long)round.outside);
	*ret_moved = round.moved;
	return 0;
}

static int look_inside(pid_t tid, void *arg)
{
	const struct members *m = arg;

	return m->nr && bsearch(&tid, m->tids, m->nr, sizeof(tid), by_tid) ? -EEXIST : 0;
}

int resctrl_holds_any(const struct resctrl *rc, const char *path, const struct resctrl_tasks *t,
		      bool *ret)
{
	struct members m = {0};
	int r = read_members(rc, path, &m);

	if (r >= 0 && m.nr)
		r = t->each(t, look_inside, &m);
	members_done(&m);
	if (r < 0 && r != -EEXIST)
		return r;
	*ret = r == -EEXIST;
	return 0;
}

static int count_one(pid_t tid, void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

int resctrl_count_tasks(const struct resctrl *rc, const char *path, uint64_t *ret)
{
	char file[RESCTRL_PATH_MAX];
	uint64_t nr = 0;
	int r = resctrl_file(file, sizeof(file), path, "tasks");

	if (r >= 0)
		r = each_in_file(rc->fd, file, count_one, &nr);
	if (r >= 0)
		*ret = nr;
	return r;
}
