/* SPDX-License-Identifier: MIT */
/*
 * The cpu hierarchy, by which zones are known, comes last when a zone is made and last when it is
 * removed: whoever sees it there finds it complete.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "actuate/controllers.h"
#include "actuate/entry.h"
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "base/io.h"
#include "base/str.h"

#define OWN_PREFIX   "/cz-"
#define NAME_LEN_MAX 64
#define NAME_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:-"

/* One hierarchy each, the cpu controller's last. */
struct places {
	int nr;
	enum cgroup_controller c[CG_NR];
};

static struct places find_places(const struct cgroup_fs *fs)
{
	struct places p = {0};

	for (enum cgroup_controller c = 0; c < CG_NR; c++) {
		bool seen = fs->of[c] < 0 || fs->of[c] == fs->of[CG_CPU];

		for (int i = 0; i < p.nr; i++)
			seen = seen || fs->of[p.c[i]] == fs->of[c];
		if (!seen)
			p.c[p.nr++] = c;
	}
	p.c[p.nr++] = CG_CPU;
	return p;
}

static bool name_valid(const char *s, size_t n)
{
	return n && n <= NAME_LEN_MAX && s[0] != '.' && strspn(s, NAME_CHARS) >= n;
}

bool zone_name_valid(const char *name)
{
	return name_valid(name, strlen(name));
}

static int check_path(const char *path, struct error *reterr)
{
	if (!zone_path_valid(path))
		return error_set(reterr, -EINVAL, "'%s' is not the path of a zone", path);
	if (strncmp(path, OWN_PREFIX, strlen(OWN_PREFIX)) || !path[strlen(OWN_PREFIX)])
		return error_set(reterr, -EPERM, "only zones below %sNAME are made here",
				 OWN_PREFIX);
	for (const char *p = path + 1; *p; p += *p == '/') {
		size_t n = strcspn(p, "/");

		if (!name_valid(p, n))
			return error_set(reterr, -EINVAL,
					 "zone names are 1 to %d of letters, digits and ._@:-, and "
					 "don't begin with a dot",
					 NAME_LEN_MAX - (int)strlen(OWN_PREFIX) + 1);
		p += n;
	}
	return 0;
}

/* Directory of the parent; *ret_name: the last component. */
static int open_parent(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path,
		       const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char parent[ZONE_PATH_MAX];
	int r;

	r = str_printf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path),
		       path);
	if (r < 0)
		return r;
	*ret_name = slash + 1;
	return cgroup_open(fs, c, parent, 0);
}

static int copy_from_parent(int parent, int dirfd, const char *file)
{
	char text[4096];
	ssize_t n = read_file_at(parent, file, text, sizeof(text));

	return n < 0 ? (int)n : write_file_at(dirfd, file, text);
}

static int set_up_cpuset(int parent, int dirfd, bool v2, const char *cpus, struct error *reterr)
{
	int r = 0;

	if (!v2) {
		r = copy_from_parent(parent, dirfd, "cpuset.mems");
		if (r >= 0)
			r = copy_from_parent(parent, dirfd, "cpuset.cpus");
	}
	if (r < 0)
		return error_errno(reterr, r, "set up the cpuset");
	r = cpus ? write_file_at(dirfd, "cpuset.cpus", cpus) : 0;
	if (r == -ERANGE || r == -EINVAL || r == -EACCES)
		return error_set(reterr, -EINVAL, "not all of the CPUs %s are there for this zone",
				 cpus);
	return r < 0 ? error_errno(reterr, r, "CPUs \"%s\"", cpus) : 0;
}

/* An empty directory there is what an interrupted removal left. */
static int make_dir(int parent, const char *name, bool may_be_left)
{
	if (!mkdirat(parent, name, 0755))
		return 0;
	if (errno != EEXIST || !may_be_left || unlinkat(parent, name, AT_REMOVEDIR) < 0)
		return -errno;
	return mkdirat(parent, name, 0755) < 0 ? -errno : 0;
}

static int make_in(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path,
		   const struct zone_make_options *o, struct error *reterr)
{
	const char *name;
	_cleanup_close_ int parent = open_parent(fs, c, path, &name), dirfd = -1;
	bool v2 = cgroup_is_v2(fs, c), cpuset = fs->of[CG_CPUSET] == fs->of[c];
	bool threaded = o->threaded && v2 && c == CG_CPU; /* where threads are told apart */
	int r;

	if (parent < 0)
		return error_errno(reterr, parent, "the parent of %s", path);
	if (v2) {
		r = controllers_enable(fs, fs->of[c], parent, name == path + 1, threaded, reterr);
		if (r < 0)
			return r;
	}
	r = make_dir(parent, name, c != CG_CPU);
	if (r == -EEXIST || r == -EBUSY)
		return error_set(reterr, -EEXIST, "zone %s exists already", path);
	if (r < 0)
		return error_errno(reterr, r, "make %s in %s", path,
				   fs->hierarchies[fs->of[c]].mount);
	if (!cpuset && !threaded)
		return 0;
	dirfd = cgroup_open(fs, c, path, 0);
	r = dirfd < 0 ? error_errno(reterr, dirfd, "open %s", path) : 0;
	if (r == 0 && threaded) {
		r = write_file_at(dirfd, "cgroup.type", "threaded");
		if (r < 0)
			error_errno(reterr, r, "make %s a group of threads", path);
	}
	if (r == 0 && cpuset)
		r = set_up_cpuset(parent, dirfd, v2, o->cpus, reterr);
	if (r < 0)
		unlinkat(parent, name, AT_REMOVEDIR);
	return r;
}

static int remove_in(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path)
{
	const char *name;
	_cleanup_close_ int parent = open_parent(fs, c, path, &name);

	if (parent < 0)
		return parent;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int zone_make(const struct cgroup_fs *fs, const char *path, const struct zone_make_options *o,
	      uint64_t *ret_id, struct error *reterr)
{
	struct places p = find_places(fs);
	_cleanup_close_ int dirfd = -1;
	struct cpuset set;
	int made = 0, r = check_path(path, reterr);

	if (r < 0)
		return r;
	if (o->cpus && (cpuset_parse(o->cpus, &set) < 0 || !cpuset_count(&set)))
		return error_set(reterr, -EINVAL, "'%s' is not a list of CPUs", o->cpus);
	if (o->cpus && !cgroup_has(fs, CG_CPUSET))
		return error_set(reterr, -EOPNOTSUPP, "no cgroup hierarchy here has cpuset");
	/* Seen first of all, so that a zone in use loses nothing. */
	dirfd = cgroup_open(fs, CG_CPU, path, 0);
	if (dirfd >= 0)
		return error_set(reterr, -EEXIST, "zone %s exists already", path);
	while (r >= 0 && made < p.nr) {
		r = make_in(fs, p.c[made], path, o, reterr);
		made += r >= 0;
	}
	if (r >= 0) {
		dirfd = cgroup_open(fs, CG_CPU, path, 0);
		r = dirfd < 0 ? dirfd : cgroup_id_at(dirfd, ret_id);
		if (r < 0)
			error_errno(reterr, r, "open %s", path);
	}
	while (r < 0 && made > 0)
		if (remove_in(fs, p.c[--made], path) < 0)
			error_hint(reterr, "%s could not be removed again everywhere", path);
	return r;
}

static int attach_in(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path,
		     pid_t pid)
{
	_cleanup_close_ int dirfd = cgroup_open(fs, c, path, 0);
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return dirfd < 0 ? dirfd : write_file_at(dirfd, "cgroup.procs", text);
}

int zone_attach_pid(const struct cgroup_fs *fs, const char *path, pid_t pid, struct error *reterr)
{
	_cleanup_(kernel_close) struct kernel k = {.root_fd = -1};
	struct places p = find_places(fs);
	_cleanup_free_ char *before = malloc((size_t)p.nr * ZONE_PATH_MAX);
	int moved = 0, r = check_path(path, reterr);

	if (r < 0)
		return r;
	if (pid <= 1) /* 0 would be this process itself; a peer of another pid namespace has it */
		return error_set(reterr, -EINVAL, "process %d cannot be moved", (int)pid);
	if (!before)
		return -ENOMEM;
	r = kernel_open("/", &k, reterr);
	for (int i = 0; i < p.nr && r >= 0; i++) {
		r = cgroup_path_of_pid(&k, fs, p.c[i], pid, before + i * ZONE_PATH_MAX,
				       ZONE_PATH_MAX);
		if (r < 0)
			error_errno(reterr, r, "the groups of process %d", (int)pid);
	}
	for (; moved < p.nr && r >= 0; moved += r >= 0) {
		r = attach_in(fs, p.c[moved], path, pid);
		if (r < 0)
			error_errno(reterr, r, "move process %d to %s in %s", (int)pid, path,
				    fs->hierarchies[fs->of[p.c[moved]]].mount);
	}
	while (r < 0 && moved-- > 0)
		if (attach_in(fs, p.c[moved], before + moved * ZONE_PATH_MAX, pid) < 0)
			error_hint(reterr, "it could not be moved back everywhere");
	return r;
}

/* Processes in it, or groups below it. */
static bool in_use(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = cgroup_open(fs, c, path, 0);

	if (fd < 0)
		return false;
	if (group_has_processes(fd)) {
		close(fd);
		return true;
	}
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return true;
	}
	for (struct dirent *d; (d = readdir(dir));)
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			return true;
	return false;
}

int zone_remove(const struct cgroup_fs *fs, const char *path)
{
	struct places p = find_places(fs);
	int removed = 0, r = check_path(path, NULL);

	if (r < 0)
		return r;
	/* The cpu hierarchy first: there a busy zone is seen at once. */
	for (int i = p.nr; i-- > 0;)
		if (in_use(fs, p.c[i], path))
			return -EBUSY;
	for (int i = 0; i < p.nr; i++) {
		r = remove_in(fs, p.c[i], path);
		if (r < 0 && r != -ENOENT)
			return r;
		removed += r >= 0;
	}
	return removed ? 0 : -ENOENT;
}
