/* SPDX-License-Identifier: MIT */
/*
 * Finding the hierarchies, and directories in them. What differs between v1 and v2 is data:
 * controllers[] and cgroup_files[] here and in cgroup-files.c.
 *
 * Limit: of several mounts of one hierarchy the first is used, and it is taken to be mounted at its
 * root (a bind mount of a part would hide the rest).
 */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "kernel/mountinfo.h"
#include "kernel/text.h"

/* v2: NULL means that every v2 tree has it, without any controller. */
static const struct {
	const char *v1, *v2;
} controllers[CG_NR] = {
    [CG_CPU] = {"cpu", "cpu"},		[CG_CPUACCT] = {"cpuacct", NULL},
    [CG_CPUSET] = {"cpuset", "cpuset"}, [CG_MEMORY] = {"memory", "memory"},
    [CG_FREEZER] = {"freezer", NULL},	[CG_IO] = {"blkio", "io"},
    [CG_PIDS] = {"pids", "pids"},	[CG_UNIFIED] = {NULL, NULL},
};

int cgroup_mountinfo_parse(const char *line, size_t len, struct cgroup_mount *ret)
{
	struct mount_words w;
	struct cgroup_mount m;
	int r = mountinfo_parse(line, len, &w);

	if (r < 0)
		return r;
	m.v2 = word_is(&w.type, "cgroup2");
	if (!m.v2 && !word_is(&w.type, "cgroup"))
		return -ENOENT;
	if (!w.options.len || w.options.len >= sizeof(m.options))
		return -EINVAL;
	memcpy(m.options, w.options.start, w.options.len);
	m.options[w.options.len] = '\0';
	if (mount_path(&w.mount, m.mount, sizeof(m.mount)) < 0)
		return -EINVAL;
	*ret = m;
	return 0;
}

static int add_hierarchy(const struct kernel *k, struct cgroup_fs *fs, const struct cgroup_mount *m)
{
	struct cgroup_hierarchy *h = &fs->hierarchies[fs->nr];
	bool wanted = m->v2 && fs->of[CG_UNIFIED] < 0;
	const char *rel = m->mount + strspn(m->mount, "/");

	for (int c = 0; c < CG_NR && !m->v2; c++)
		wanted = wanted || (controllers[c].v1 && fs->of[c] < 0 &&
				    list_has(m->options, ",", controllers[c].v1));
	if (!wanted || fs->nr == (int)ARRAY_SIZE(fs->hierarchies))
		return 0;
	h->fd = kio_openat(k->root_fd, *rel ? rel : ".", O_PATH | O_DIRECTORY);
	if (h->fd == -ENOENT || h->fd == -EACCES)
		return 0; /* mounted over, or not part of the captured tree */
	if (h->fd < 0)
		return h->fd;
	h->v2 = m->v2;
	str_copy(h->mount, sizeof(h->mount), m->mount);
	for (int c = 0; c < CG_NR && !m->v2; c++)
		if (controllers[c].v1 && fs->of[c] < 0 &&
		    list_has(m->options, ",", controllers[c].v1))
			fs->of[c] = fs->nr;
	if (m->v2)
		fs->of[CG_UNIFIED] = fs->nr;
	fs->nr++;
	return 0;
}

/* What v1 does not hold, v2 may: its own list says so. */
static int join_unified(struct cgroup_fs *fs)
{
	int u = fs->of[CG_UNIFIED];
	char list[512];
	bool v1 = false;
	ssize_t n;

	for (int c = 0; c < CG_UNIFIED; c++)
		v1 = v1 || fs->of[c] >= 0;
	fs->layout = u < 0 ? "v1" : v1 ? "hybrid" : "v2";
	if (u < 0)
		return 0;
	n = kio_read_text_at(fs->hierarchies[u].fd, "cgroup.controllers", list, sizeof(list));
	if (n < 0)
		return (int)n;
	for (int c = 0; c < CG_UNIFIED; c++)
		if (fs->of[c] < 0 &&
		    (!controllers[c].v2 || list_has(list, " \n", controllers[c].v2)))
			fs->of[c] = u;
	return 0;
}

struct finder {
	const struct kernel *k;
	struct cgroup_fs *fs;
};

static int find_hierarchy(const char *line, size_t len, void *arg)
{
	struct finder *f = arg;
	struct cgroup_mount m;
	int r = cgroup_mountinfo_parse(line, len, &m);

	if (r == 0)
		r = add_hierarchy(f->k, f->fs, &m);
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}

int cgroup_fs_open(const struct kernel *k, struct cgroup_fs *ret, struct error *reterr)
{
	_cleanup_(cgroup_fs_close) struct cgroup_fs fs = {.layout = "none"};
	int r;

	for (int c = 0; c < CG_NR; c++)
		fs.of[c] = -1;
	r = mountinfo_each(k, find_hierarchy, &(struct finder){k, &fs});
	if (r < 0)
		return error_errno(reterr, r, "read /proc/self/mountinfo");
	r = join_unified(&fs);
	if (r < 0)
		return error_errno(reterr, r, "read cgroup.controllers");
	if (fs.of[CG_CPU] < 0) {
		error_set(reterr, -EOPNOTSUPP,
			  "no cgroup hierarchy with the cpu controller is mounted");
		error_hint(reterr, "mount one: mount -t cgroup2 none /sys/fs/cgroup");
		return -EOPNOTSUPP;
	}
	*ret = fs;
	fs.nr = 0;
	return 0;
}

void cgroup_fs_close(struct cgroup_fs *fs)
{
	for (int i = 0; i < fs->nr; i++)
		close_fd(&fs->hierarchies[i].fd);
	fs->nr = 0;
}

bool cgroup_is_v2(const struct cgroup_fs *fs, enum cgroup_controller c)
{
	return fs->of[c] >= 0 && fs->hierarchies[fs->of[c]].v2;
}

/* Paths come from the kernel, but also from people and journals: they never leave the tree. */
static bool path_is_safe(const char *path)
{
	if (*path != '/')
		return false;
	return !list_has(path, "/", "..");
}

int cgroup_open(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path, uint64_t id)
{
	_cleanup_close_ int fd = -1;
	uint64_t now_id;
	int r;

	if (fs->of[c] < 0)
		return -EOPNOTSUPP;
	if (!path_is_safe(path))
		return -EINVAL;
	fd = kio_openat(fs->hierarchies[fs->of[c]].fd, path[1] ? path + 1 : ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return fd == -ENOTDIR ? -ENOENT : fd;
	if (id) {
		r = cgroup_id_at(fd, &now_id);
		if (r < 0)
			return r;
		if (now_id != id)
			return -ESTALE;
	}
	return TAKE_FD(fd);
}

int cgroup_id_at(int dirfd, uint64_t *ret_id)
{
	struct stat st;
	int r = kio_fstatat(dirfd, "", &st);

	if (r < 0)
		return r;
	*ret_id = st.st_ino;
	return 0;
}

int cgroup_pid_path_parse(const char *text, const char *controller, char *buf, size_t size)
{
	struct text_line l;
	int r;

	/* "ID:CONTROLLERS:PATH"; v2 is "0::PATH" */
	while ((r = text_next_line(&text, &l)) > 0) {
		const char *end = l.start + l.len;
		const char *a = memchr(l.start, ':', l.len);
		const char *b = a ? memchr(a + 1, ':', (size_t)(end - a - 1)) : NULL;
		char names[256];
		size_t n;

		if (!b || (size_t)(b - a) > sizeof(names))
			return -EINVAL;
		n = (size_t)(b - a - 1);
		memcpy(names, a + 1, n);
		names[n] = '\0';
		if (controller ? !list_has(names, ",", controller) : n != 0)
			continue;
		n = (size_t)(end - b - 1);
		if (n >= 10 && !memcmp(end - 10, " (deleted)", 10))
			return -ENOENT;
		if (n == 0 || b[1] != '/')
			return -EINVAL;
		if (n >= size)
			return -ENAMETOOLONG;
		memcpy(buf, b + 1, n);
		buf[n] = '\0';
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

int cgroup_path_of_pid(const struct kernel *k, const struct cgroup_fs *fs, enum cgroup_controller c,
		       pid_t pid, char *buf, size_t size)
{
	char path[64], text[16384];
	ssize_t n;

	if (fs->of[c] < 0)
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "proc/%d/cgroup", pid);
	n = kio_read_text_at(k->root_fd, path, text, sizeof(text));
	if (n < 0)
		return n == -ESRCH ? -ENOENT : (int)n;
	return cgroup_pid_path_parse(text, cgroup_is_v2(fs, c) ? NULL : controllers[c].v1, buf,
				     size);
}

int cgroup_each_pid(int dirfd, int (*cb)(pid_t pid, void *arg), void *arg)
{
	_cleanup_close_ int fd = kio_openat(dirfd, "cgroup.procs", O_RDONLY);
	struct text_numbers walk = {.fd = fd};
	uint64_t pid;
	int r;

	if (fd < 0)
		return fd;
	while ((r = text_numbers_next(&walk, &pid)) > 0) {
		r = cb((pid_t)pid, arg);
		if (r)
			return r;
	}
	return r;
}
