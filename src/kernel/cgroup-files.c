/* SPDX-License-Identifier: MIT */
/* The files of a cgroup, v1 and v2 spellings behind one name, and what is in them. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/cgroup.h"
#include "kernel/kio.h"
#include "kernel/text.h"

static const struct {
	enum cgroup_controller controller;
	const char *v1, *v2; /* "": that version has none */
} files[CGF_NR] = {
    [CGF_USAGE] = {CG_CPUACCT, "cpuacct.usage", "cpu.stat"},
    [CGF_CPU_STAT] = {CG_CPU, "cpu.stat", "cpu.stat"},
    [CGF_QUOTA] = {CG_CPU, "cpu.cfs_quota_us", "cpu.max"},
    [CGF_MEMORY] = {CG_MEMORY, "memory.usage_in_bytes", "memory.current"},
    [CGF_TASKS] = {CG_PIDS, "pids.current", "pids.current"},
    [CGF_TIDS] = {CG_CPU, "tasks", "cgroup.threads"},
    [CGF_PSI_CPU] = {CG_UNIFIED, "", "cpu.pressure"},
    [CGF_PSI_MEMORY] = {CG_UNIFIED, "", "memory.pressure"},
    [CGF_PSI_IO] = {CG_UNIFIED, "", "io.pressure"},
    [CGF_MEM_STAT] = {CG_MEMORY, "memory.stat", "memory.stat"},
    [CGF_MEM_EVENTS] = {CG_MEMORY, "memory.oom_control", "memory.events"},
    [CGF_MEM_FAILED] = {CG_MEMORY, "memory.failcnt", ""},
    [CGF_MEM_SWAP] = {CG_MEMORY, "", "memory.swap.current"},
    [CGF_MEM_MAX] = {CG_MEMORY, "memory.limit_in_bytes", "memory.max"},
    [CGF_MEM_HIGH] = {CG_MEMORY, "memory.soft_limit_in_bytes", "memory.high"},
    [CGF_IO_BYTES] = {CG_IO, "blkio.throttle.io_service_bytes_recursive", "io.stat"},
    [CGF_IO_OPS] = {CG_IO, "blkio.throttle.io_serviced_recursive", ""},
    [CGF_IO_MAX] = {CG_IO, "", "io.max"},
    [CGF_IO_READ_BPS] = {CG_IO, "blkio.throttle.read_bps_device", ""},
    [CGF_IO_WRITE_BPS] = {CG_IO, "blkio.throttle.write_bps_device", ""},
    [CGF_IO_READ_IOPS] = {CG_IO, "blkio.throttle.read_iops_device", ""},
    [CGF_IO_WRITE_IOPS] = {CG_IO, "blkio.throttle.write_iops_device", ""},
    [CGF_NUMA] = {CG_MEMORY, "memory.numa_stat", "memory.numa_stat"},
    [CGF_CPUS] = {CG_CPUSET, "cpuset.effective_cpus", "cpuset.cpus.effective"},
};

bool cgroup_file_v2(const struct cgroup_fs *fs, enum cgroup_file f)
{
	return cgroup_is_v2(fs, files[f].controller);
}

static const char *file_name(const struct cgroup_fs *fs, enum cgroup_file f)
{
	if (!cgroup_has(fs, files[f].controller))
		return "";
	return cgroup_file_v2(fs, f) ? files[f].v2 : files[f].v1;
}

bool cgroup_file_exists(const struct cgroup_fs *fs, enum cgroup_file f)
{
	return *file_name(fs, f) != '\0';
}

int cgroup_open_file(const struct cgroup_fs *fs, enum cgroup_file f, const char *path)
{
	const char *name = file_name(fs, f);
	char full[PATH_MAX];
	int r;

	if (!*name)
		return -EOPNOTSUPP;
	if (*path != '/')
		return -EINVAL;
	r = str_printf(full, sizeof(full), "%s%s%s", path + 1, path[1] ? "/" : "", name);
	if (r < 0)
		return r;
	return kio_openat(fs->hierarchies[fs->of[files[f].controller]].fd, full, O_RDONLY);
}

int cgroup_open_usage(const struct cgroup_fs *fs, const char *path)
{
	return cgroup_open_file(fs, CGF_USAGE, path);
}

int cgroup_cpu_stat_parse(bool v2, const char *text, struct cgroup_cpu_stat *ret)
{
	struct cgroup_cpu_stat s = {.usage_ns = UINT64_MAX};
	uint64_t usage_us = UINT64_MAX, throttled = 0;
	const struct text_key keys[] = {
	    {"nr_periods", &s.nr_periods},
	    {"nr_throttled", &s.nr_throttled},
	    {v2 ? "throttled_usec" : "throttled_time", &throttled},
	    {"usage_usec", &usage_us},
	};
	int r = text_read_keys(text, keys, ARRAY_SIZE(keys));

	if (r < 0)
		return r;
	if (r == 0)
		return -EINVAL;
	s.throttled_ns = v2 ? saturating_mul(throttled, 1000) : throttled;
	if (v2 && usage_us != UINT64_MAX)
		s.usage_ns = saturating_mul(usage_us, 1000);
	*ret = s;
	return 0;
}

int cgroup_usage_parse(bool v2, const char *text, uint64_t *ret_ns)
{
	uint64_t us;

	if (!v2)
		return text_u64(text, ret_ns);
	/* the first line of cpu.stat, always */
	if (strncmp(text, "usage_usec ", 11) != 0 || !strchr(text, '\n'))
		return -EINVAL;
	text += 11;
	if (scan_u64(&text, strchr(text, '\n'), &us) < 0 || *text != '\n')
		return -EINVAL;
	*ret_ns = saturating_mul(us, 1000);
	return 0;
}

int cgroup_quota_parse(bool v2, const char *text, bool *ret)
{
	const char *end = strchr(text, '\n'), *p = text;
	const char *none = v2 ? "max " : "-1\n";
	uint64_t us;

	if (!end)
		return -EINVAL;
	if (!strncmp(text, none, strlen(none))) {
		*ret = false;
		return 0;
	}
	if (scan_u64(&p, end, &us) < 0)
		return -EINVAL;
	*ret = true;
	return 0;
}

int cgroup_has_quota(const struct cgroup_fs *fs, int cpu_dirfd, bool *ret)
{
	char text[64];
	ssize_t n = kio_read_text_at(cpu_dirfd, file_name(fs, CGF_QUOTA), text, sizeof(text));

	if (n == -ENOENT) {
		*ret =
		    false; /* the root of v2 has no quota; nor has a host without CFS bandwidth */
		return 0;
	}
	return n < 0 ? (int)n : cgroup_quota_parse(cgroup_file_v2(fs, CGF_QUOTA), text, ret);
}
