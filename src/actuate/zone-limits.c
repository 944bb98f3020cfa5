/* SPDX-License-Identifier: MIT */
#include "actuate/zone-limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#define PERIOD_US     100000
#define QUOTA_MIN_US  1000
#define SHARES_MIN    2
#define SHARES_MAX    262144
#define CPUS_TEXT_MAX 4096
#define DEPTH_MAX     8
#define V1_NO_LIMIT   "-1"

/* One file in one zone; not there counts as failure only for a limit that is wanted. */
static int put(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path,
	       const char *file, bool wanted, const char *text)
{
	_cleanup_close_ int dirfd = -1;
	int r;

	if (!cgroup_has(fs, c))
		return wanted ? -EOPNOTSUPP : 0;
	dirfd = cgroup_open(fs, c, path, 0);
	r = dirfd < 0 ? dirfd : write_file_at(dirfd, file, text);
	if (r == -ENOENT)
		r = wanted ? -EOPNOTSUPP : 0;
	return r;
}

static int set_cpu_max(const struct cgroup_fs *fs, const char *path, const struct zone_limits *l)
{
	uint64_t quota_us = l->cpu_max_ppm / (1000000 / PERIOD_US);
	bool wanted = l->cpu_max_ppm, v2 = cgroup_is_v2(fs, CG_CPU);
	const char *burst_file = v2 ? "cpu.max.burst" : "cpu.cfs_burst_us";
	uint64_t burst_us = l->cpu_burst_us < quota_us ? l->cpu_burst_us : quota_us;
	char text[64];
	int r;

	if (quota_us < QUOTA_MIN_US)
		quota_us = QUOTA_MIN_US;
	/* A burst may never exceed the quota, not even on the way. */
	r = put(fs, CG_CPU, path, burst_file, false, "0");
	if (r < 0)
		return r;
	if (v2 && wanted)
		snprintf(text, sizeof(text), "%" PRIu64 " %d", quota_us, PERIOD_US);
	else if (wanted)
		snprintf(text, sizeof(text), "%" PRIu64, quota_us);
	else
		snprintf(text, sizeof(text), "%s", v2 ? "max" : V1_NO_LIMIT);
	if (!v2 && wanted)
		r = put(fs, CG_CPU, path, "cpu.cfs_period_us", true, "100000");
	if (r >= 0)
		r = put(fs, CG_CPU, path, v2 ? "cpu.max" : "cpu.cfs_quota_us", wanted, text);
	if (r < 0 || !wanted || !burst_us)
		return r;
	snprintf(text, sizeof(text), "%" PRIu64, burst_us);
	return put(fs, CG_CPU, path, burst_file, true, text);
}

static int set_cpu_weight(const struct cgroup_fs *fs, const char *path, const struct zone_limits *l)
{
	uint64_t weight = l->cpu_weight ? l->cpu_weight : 100, shares = weight * 1024 / 100;
	bool v2 = cgroup_is_v2(fs, CG_CPU);
	char text[32];

	if (shares < SHARES_MIN)
		shares = SHARES_MIN;
	if (shares > SHARES_MAX)
		shares = SHARES_MAX;
	snprintf(text, sizeof(text), "%" PRIu64, v2 ? weight : shares);
	return put(fs, CG_CPU, path, v2 ? "cpu.weight" : "cpu.shares", l->cpu_weight, text);
}

int zone_idle_set(const struct cgroup_fs *fs, const char *path, bool idle)
{
	return put(fs, CG_CPU, path, "cpu.idle", false, idle ? "1" : "0");
}

static int set_memory(const struct cgroup_fs *fs, const char *path, const struct zone_limits *l)
{
	bool v2 = cgroup_has(fs, CG_MEMORY) && cgroup_is_v2(fs, CG_MEMORY);
	char text[32];

	if (l->memory_bytes)
		snprintf(text, sizeof(text), "%" PRIu64, l->memory_bytes);
	else
		snprintf(text, sizeof(text), "%s", v2 ? "max" : V1_NO_LIMIT);
	return put(fs, CG_MEMORY, path, v2 ? "memory.max" : "memory.limit_in_bytes",
		   l->memory_bytes, text);
}

static const char *or_max(uint64_t n, char buf[static 24])
{
	if (!n)
		return "max";
	snprintf(buf, 24, "%" PRIu64, n);
	return buf;
}

static int set_io_of(const struct cgroup_fs *fs, const char *path, const struct zone_io_limit *io,
		     const char *device)
{
	static const char *const files[] = {
	    "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
	    "blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"};
	bool wanted = io->bytes_per_s || io->ops_per_s;
	char text[160], bps[24], iops[24];
	int r = 0;

	if (cgroup_is_v2(fs, CG_IO)) {
		or_max(io->bytes_per_s, bps);
		snprintf(text, sizeof(text), "%s rbps=%s wbps=%s riops=%s wiops=%s", device,
			 or_max(io->bytes_per_s, bps), or_max(io->bytes_per_s, bps),
			 or_max(io->ops_per_s, iops), or_max(io->ops_per_s, iops));
		return put(fs, CG_IO, path, "io.max", wanted, text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files) && r >= 0; i++) {
		snprintf(text, sizeof(text), "%s %" PRIu64, device,
			 i < 2 ? io->bytes_per_s : io->ops_per_s);
		r = put(fs, CG_IO, path, files[i], wanted, text);
	}
	return r;
}

/* What does not lie on a device of its own passes through one that does, and would count twice. */
static bool is_disk(const char *name)
{
	static const char *const not_disks[] = {".", "loop", "ram", "zram", "dm-", "md", "sr"};

	for (size_t i = 0; i < ARRAY_SIZE(not_disks); i++)
		if (!strncmp(name, not_disks[i], strlen(not_disks[i])))
			return false;
	return true;
}

static int set_io(const struct cgroup_fs *fs, const char *path, const struct zone_limits *l)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	bool wanted = l->io.bytes_per_s || l->io.ops_per_s;
	int r = 0;

	if (!cgroup_has(fs, CG_IO) || !dir)
		return wanted ? -EOPNOTSUPP : 0;
	for (struct dirent *d; r >= 0 && (d = readdir(dir));) {
		char file[300], device[32];

		if (!is_disk(d->d_name))
			continue;
		snprintf(file, sizeof(file), "%s/dev", d->d_name);
		if (read_file_at(dirfd(dir), file, device, sizeof(device)) <= 0)
			continue;
		device[strcspn(device, "\n")] = 0;
		r = set_io_of(fs, path, &l->io, device);
		if (r < 0 && !wanted)
			r = 0; /* a device without a request queue has nothing to clear */
	}
	return r;
}

int zone_limits_set(const struct cgroup_fs *fs, const char *path, const struct zone_limits *l,
		    struct error *reterr)
{
	static const struct {
		const char *what;
		int (*set)(const struct cgroup_fs *fs, const char *path,
			   const struct zone_limits *l);
	} steps[] = {{"CPU limit", set_cpu_max},
		     {"CPU weight", set_cpu_weight},
		     {"memory limit", set_memory},
		     {"io limit", set_io}};
	int first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r = steps[i].set(fs, path, l);

		if (r < 0 && first == 0)
			first = error_errno(reterr, r, "%s of %s", steps[i].what, path);
	}
	return first;
}

static int read_cpus(int dirfd, struct cpuset *ret)
{
	char text[CPUS_TEXT_MAX];
	ssize_t n = read_file_at(dirfd, "cpuset.cpus", text, sizeof(text));

	return n < 0 ? (int)n : cpuset_parse(text, ret);
}

static int write_cpus(int dirfd, const struct cpuset *cpus)
{
	char text[CPUS_TEXT_MAX];
	int r = cpuset_format(cpus, text, sizeof(text));

	/* An empty write does not reach the kernel. */
	return r < 0 ? r : write_file_at(dirfd, "cpuset.cpus", text[0] ? text : "\n");
}

static bool is_group(const struct dirent *d)
{
	return d->d_type == DT_DIR && d->d_name[0] != '.';
}

/* v1: the groups below, from the leaves up, keep what lies inside `cpus`, or get them all. */
static int fit_children(int dirfd, const struct cpuset *cpus, const struct cpuset *old, int depth)
{
	int again = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *dir = again < 0 ? NULL : fdopendir(again);

	if (!dir)
		return -errno;
	for (struct dirent *d; r >= 0 && (d = readdir(dir));) {
		_cleanup_close_ int fd = -1;
		struct cpuset has, outside, both;

		if (!is_group(d) || depth == DEPTH_MAX)
			continue;
		fd = openat(dirfd, d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || read_cpus(fd, &has) < 0)
			continue;
		cpuset_andnot(&outside, &has, cpus);
		if (!cpuset_count(&outside) && !cpuset_equal(&has, old))
			continue;
		cpuset_or(&both, &has, cpus);
		r = write_cpus(fd, &both);
		if (r >= 0)
			r = fit_children(fd, cpus, old, depth + 1);
		if (r >= 0)
			r = write_cpus(fd, cpus);
	}
	return r;
}

static int set_cpus_v1(int dirfd, const struct cpuset *cpus)
{
	struct cpuset old, both;
	int r = read_cpus(dirfd, &old);

	if (r < 0)
		return r;
	cpuset_or(&both, &old, cpus);
	r = write_cpus(dirfd, &both);
	if (r >= 0)
		r = fit_children(dirfd, cpus, &old, 0);
	return r < 0 ? r : write_cpus(dirfd, cpus);
}

int zone_cpus_set(const struct cgroup_fs *fs, const char *path, const struct cpuset *cpus,
		  struct error *reterr)
{
	_cleanup_close_ int dirfd = -1, parent = -1;
	struct cpuset wanted = *cpus;
	bool empty = !cpuset_count(cpus);
	int r = 0;

	if (!cgroup_has(fs, CG_CPUSET))
		return empty ? 0
			     : error_set(reterr, -EOPNOTSUPP, "this host has no cpuset controller");
	dirfd = cgroup_open(fs, CG_CPUSET, path, 0);
	if (dirfd < 0)
		return error_errno(reterr, dirfd, "the cpuset of %s", path);
	if (cgroup_is_v2(fs, CG_CPUSET)) {
		r = write_cpus(dirfd, &wanted);
	} else {
		if (empty) {
			parent = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			r = parent < 0 ? -errno : read_cpus(parent, &wanted);
		}
		if (r >= 0)
			r = set_cpus_v1(dirfd, &wanted);
	}
	if (r == -ENOENT && empty)
		r = 0; /* v2: the controller is not on here, and need not be */
	return r < 0 ? error_errno(reterr, r, "the CPUs of %s", path) : 0;
}

int zone_attach_tid(const struct cgroup_fs *fs, const char *path, pid_t tid)
{
	static const enum cgroup_controller of[] = {CG_CPU, CG_CPUACCT, CG_CPUSET};
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)tid);
	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		_cleanup_close_ int dirfd = -1;
		bool v2;
		int r;

		if (!cgroup_has(fs, of[i]) || (i && fs->of[of[i]] == fs->of[of[i - 1]]))
			continue;
		v2 = cgroup_is_v2(fs, of[i]);
		dirfd = cgroup_open(fs, of[i], path, 0);
		r = dirfd < 0 ? dirfd : write_file_at(dirfd, v2 ? "cgroup.threads" : "tasks", text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int kill_one(pid_t pid, void *arg)
{
	if (pid > 1 && kill(pid, SIGKILL) == 0)
		(*(int *)arg)++;
	return 0;
}

/* Calls fn for the path of each group right below, in any hierarchy: once for each it is found in.
 */
static int each_child(const struct cgroup_fs *fs, const char *path,
		      int (*fn)(const struct cgroup_fs *fs, const char *path, void *arg), void *arg)
{
	int r = 0;

	for (enum cgroup_controller c = 0; c < CG_NR && r >= 0; c++) {
		_cleanup_closedir_ DIR *dir = NULL;
		int fd = cgroup_has(fs, c) ? cgroup_open(fs, c, path, 0) : -1;

		dir = fd < 0 ? NULL : fdopendir(fd);
		if (!dir) {
			close_fd(&fd);
			continue;
		}
		for (struct dirent *d; r >= 0 && (d = readdir(dir));) {
			char child[ZONE_PATH_MAX];

			if (is_group(d) &&
			    str_printf(child, sizeof(child), "%s/%s", path, d->d_name) == 0)
				r = fn(fs, child, arg);
		}
	}
	return r;
}

static int kill_below(const struct cgroup_fs *fs, const char *path, void *arg)
{
	*(int *)arg += zone_kill(fs, path);
	return 0;
}

int zone_kill(const struct cgroup_fs *fs, const char *path)
{
	_cleanup_close_ int dirfd = cgroup_open(fs, CG_CPU, path, 0);
	int killed = 0;

	if (dirfd >= 0 && cgroup_each_pid(dirfd, kill_one, &killed) < 0 &&
	    cgroup_is_v2(fs, CG_CPU)) /* threaded groups: the processes are the domain's */
		write_file_at(dirfd, "cgroup.kill", "1") == 0 ? killed++ : 0;
	each_child(fs, path, kill_below, &killed);
	return killed;
}

static int remove_below(const struct cgroup_fs *fs, const char *path, void *arg)
{
	int r = zone_remove_tree(fs, path);

	return r == -ENOENT ? 0 : r;
}

int zone_remove_tree(const struct cgroup_fs *fs, const char *path)
{
	int r = each_child(fs, path, remove_below, NULL);

	return r < 0 ? r : zone_remove(fs, path);
}
