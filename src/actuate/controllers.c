/* SPDX-License-Identifier: MIT */
#include "actuate/controllers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "model/zone.h"

/* With more groups than these in the root, somebody manages it: it is left as it is. */
#define SIBLINGS_MAX 64

static const struct {
	enum cgroup_controller c;
	const char *name;
	bool threaded; /* can tell the threads of one process apart */
} controllers[] = {
    {CG_CPU, "cpu", true}, {CG_CPUSET, "cpuset", true}, {CG_MEMORY, "memory", false},
    {CG_IO, "io", false},  {CG_PIDS, "pids", true},
};

/* What the files of a group hold that nobody has set. */
static const struct {
	enum cgroup_controller c;
	const char *file, *text;
} defaults[] = {
    {CG_CPU, "cpu.weight", "100"},
    {CG_CPU, "cpu.idle", "0"},
    {CG_CPU, "cpu.max", "max 100000"},
    {CG_CPU, "cpu.max.burst", "0"},
    {CG_CPU, "cpu.uclamp.min", "0.00"},
    {CG_CPU, "cpu.uclamp.max", "max"},
    {CG_CPUSET, "cpuset.cpus", ""},
    {CG_CPUSET, "cpuset.mems", ""},
    {CG_CPUSET, "cpuset.cpus.partition", "member"},
    {CG_MEMORY, "memory.min", "0"},
    {CG_MEMORY, "memory.low", "0"},
    {CG_MEMORY, "memory.high", "max"},
    {CG_MEMORY, "memory.max", "max"},
    {CG_MEMORY, "memory.swap.max", "max"},
    {CG_MEMORY, "memory.oom.group", "0"},
    {CG_IO, "io.weight", "default 100"},
    {CG_IO, "io.max", ""},
    {CG_IO, "io.latency", ""},
    {CG_PIDS, "pids.max", "max"},
};

static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ' ') && strchr(" \n", p[n]))
			return true;
	return false;
}

char *controllers_format(controllers_mask m, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(controllers) && len < size; i++)
		if (m & (1u << i))
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "",
						controllers[i].name);
	return buf;
}

controllers_mask controllers_parse(const char *text)
{
	controllers_mask m = 0;

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (in_list(text, controllers[i].name))
			m |= 1u << i;
	return m;
}

bool group_has_processes(int dirfd)
{
	char some[16];
	ssize_t n = read_file_at(dirfd, "cgroup.procs", some, sizeof(some));

	if (n == -EOPNOTSUPP) /* a threaded group has threads only */
		n = read_file_at(dirfd, "cgroup.threads", some, sizeof(some));
	return n > 0 || (n < 0 && n != -ENOENT && n != -ENODEV);
}

static int find_missing(const struct cgroup_fs *fs, int hierarchy, int dirfd, controllers_mask *ret)
{
	char have[512], on[512];

	if (read_file_at(dirfd, "cgroup.controllers", have, sizeof(have)) < 0 ||
	    read_file_at(dirfd, "cgroup.subtree_control", on, sizeof(on)) < 0)
		return -EIO;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (fs->of[controllers[i].c] == hierarchy && in_list(have, controllers[i].name) &&
		    !in_list(on, controllers[i].name))
			*ret |= 1u << i;
	return 0;
}

static int turn(int dirfd, size_t i, char sign)
{
	char word[32];

	snprintf(word, sizeof(word), "%c%s", sign, controllers[i].name);
	return write_file_at(dirfd, "cgroup.subtree_control", word);
}

int controllers_enable(const struct cgroup_fs *fs, int hierarchy, int parent, bool root,
		       bool threaded, struct error *reterr)
{
	controllers_mask missing;

	if (find_missing(fs, hierarchy, parent, &missing) < 0)
		return error_set(reterr, -EIO, "the parent's controllers can't be read");
	if (missing && !root && group_has_processes(parent))
		return error_set(reterr, -EBUSY,
				 "processes run in the parent zone itself: no zones in it");
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		bool fits = !threaded || controllers[i].threaded;
		int r = fits && (missing & (1u << i)) ? turn(parent, i, '+') : 0;

		if (r < 0 && controllers[i].c == CG_CPU)
			return error_errno(reterr, r, "enable the cpu controller");
	}
	return 0;
}

controllers_mask controllers_missing(const struct cgroup_fs *fs)
{
	_cleanup_close_ int root = -1;
	controllers_mask m = 0;

	if (!cgroup_has(fs, CG_CPU) || !cgroup_is_v2(fs, CG_CPU))
		return 0;
	root = cgroup_open(fs, CG_CPU, "/", 0);
	return root < 0 || find_missing(fs, fs->of[CG_CPU], root, &m) < 0 ? 0 : m;
}

/* Which of m have a setting in that group. */
static controllers_mask settings_in(int dirfd, const char *group, controllers_mask m)
{
	char path[ZONE_PATH_MAX], text[512];
	controllers_mask set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		for (size_t f = 0; (m & (1u << i)) && f < ARRAY_SIZE(defaults); f++) {
			if (defaults[f].c != controllers[i].c ||
			    str_printf(path, sizeof(path), "%s/%s", group, defaults[f].file) < 0)
				continue;
			if (read_file_at(dirfd, path, text, sizeof(text)) < 0)
				continue;
			text[strcspn(text, "\n")] = '\0';
			if (strcmp(text, defaults[f].text))
				set |= 1u << i;
		}
	return set;
}

static controllers_mask used_in_root(int root, controllers_mask m)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), nr = 0;
	controllers_mask used = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		close_fd(&fd);
		return m;
	}
	for (struct dirent *d; (d = readdir(dir));) {
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		if (++nr > SIBLINGS_MAX)
			return m;
		used |= settings_in(root, d->d_name, m & ~used);
	}
	return used;
}

controllers_mask controllers_disable(const struct cgroup_fs *fs, controllers_mask m)
{
	_cleanup_close_ int root = -1;
	controllers_mask left;

	if (!m || !cgroup_has(fs, CG_CPU) || !cgroup_is_v2(fs, CG_CPU))
		return 0;
	root = cgroup_open(fs, CG_CPU, "/", 0);
	if (root < 0)
		return m;
	left = used_in_root(root, m);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if ((m & ~left & (1u << i)) && turn(root, i, '-') < 0)
			left |= 1u << i; /* a group passes it on: the kernel says EBUSY */
	return left;
}
