/* SPDX-License-Identifier: MIT */
/*
 * cgroups on v1, v2 and hybrid hosts behind one face. A hierarchy is a mounted tree; a controller
 * lives in one of them. The cpu controller's hierarchy is the key: a zone's id is the kernfs id of
 * its directory there (its inode number). Others are joined by path.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "kernel/kernel.h"

enum cgroup_controller {
	CG_CPU,
	CG_CPUACCT,
	CG_CPUSET,
	CG_MEMORY,
	CG_FREEZER,
	CG_IO,
	CG_PIDS,
	CG_UNIFIED,
	CG_NR
};

struct cgroup_hierarchy {
	int fd; /* O_PATH|O_DIRECTORY of the mount point; -1 absent */
	bool v2;
	char mount[256]; /* absolute path, for messages */
};

struct cgroup_fs {
	struct cgroup_hierarchy hierarchies[16];
	int nr;
	int of[CG_NR]; /* controller -> index in hierarchies, -1 when absent. CG_UNIFIED: the v2
			  tree */
	const char *layout; /* "v1", "v2", "hybrid" */
};

/* Reads /proc/self/mountinfo under the root. -EOPNOTSUPP: no cpu controller anywhere. */
must_check int cgroup_fs_open(const struct kernel *k, struct cgroup_fs *ret, struct error *reterr);
void cgroup_fs_close(struct cgroup_fs *fs);
static inline bool cgroup_has(const struct cgroup_fs *fs, enum cgroup_controller c)
{
	return fs->of[c] >= 0;
}
bool cgroup_is_v2(const struct cgroup_fs *fs, enum cgroup_controller c);

/*
 * Directory fd (O_RDONLY|O_DIRECTORY) of `path` ("/a/b"; "/" the root) in the controller's
 * hierarchy. -ENOENT: not there. With id != 0 the directory's kernfs id must equal id, else -ESTALE
 * (recreated under the same name). Use id only for the hierarchy it came from.
 */
must_check int cgroup_open(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path,
			   uint64_t id);
must_check int cgroup_id_at(int dirfd, uint64_t *ret_id); /* kernfs id of an open directory */
must_check int cgroup_path_of_pid(const struct kernel *k, const struct cgroup_fs *fs,
				  enum cgroup_controller c, pid_t pid, char *buf, size_t size);

/* Readings, normalised to ns. Files differ between v1 and v2; -EOPNOTSUPP when the host lacks one.
 */
struct cgroup_cpu_stat {
	uint64_t usage_ns; /* UINT64_MAX unknown (v1: from cpuacct, not here) */
	uint64_t nr_periods, nr_throttled, throttled_ns; /* 0 without quota */
};
must_check int cgroup_cpu_stat_parse(bool v2, const char *text, struct cgroup_cpu_stat *ret);
/*
 * What can be read of a cgroup, under one name for v1 and v2: which hierarchy and which file, ""
 * where a version has none. -EOPNOTSUPP: this host has no such file anywhere; -ENOENT: this cgroup
 * has not.
 */
enum cgroup_file {
	CGF_USAGE,    /* cpuacct.usage or cpu.stat */
	CGF_CPU_STAT, /* periods and throttling */
	CGF_QUOTA,    /* cpu.cfs_quota_us or cpu.max */
	CGF_MEMORY,   /* memory.usage_in_bytes or memory.current */
	CGF_TASKS,    /* pids.current: tasks, children's included; the root has none */
	CGF_TIDS,     /* tasks or cgroup.threads: thread ids of this very cgroup */
	CGF_PSI_CPU,
	CGF_PSI_MEMORY,
	CGF_PSI_IO, /* v2 only */
	CGF_MEM_STAT,
	CGF_MEM_EVENTS, /* memory.events, or on v1 memory.oom_control */
	CGF_MEM_FAILED, /* v1 only: memory.failcnt */
	CGF_MEM_SWAP,	/* v2 only: on v1 it is in CGF_MEM_STAT */
	CGF_MEM_MAX,	/* the hard limit */
	CGF_MEM_HIGH,	/* memory.high, or on v1 the soft limit */
	CGF_IO_BYTES,	/* io.stat, or on v1 blkio.throttle.io_service_bytes_recursive */
	CGF_IO_OPS,	/* v1 only: on v2 it is in CGF_IO_BYTES */
	CGF_IO_MAX,	/* v2 only; v1 has a file for each of its limits: */
	CGF_IO_READ_BPS,
	CGF_IO_WRITE_BPS,
	CGF_IO_READ_IOPS,
	CGF_IO_WRITE_IOPS,
	CGF_NUMA, /* memory.numa_stat */
	CGF_CPUS, /* the CPUs that its tasks may use in effect */
	CGF_NR
};
bool cgroup_file_v2(const struct cgroup_fs *fs, enum cgroup_file f);
bool cgroup_file_exists(const struct cgroup_fs *fs, enum cgroup_file f); /* on this host, at all */
must_check int cgroup_open_file(const struct cgroup_fs *fs, enum cgroup_file f, const char *path);

/* Fields a version does not have are UINT64_MAX; values include the children's. */
struct cgroup_mem_stat {
	uint64_t anon_bytes, file_bytes, swap_bytes; /* swap: v1 only */
	uint64_t faults, major_faults, refault_pages;
	uint64_t scanned_pages, reclaimed_pages; /* v2 only */
};
must_check int cgroup_mem_stat_parse(bool v2, const char *text, struct cgroup_mem_stat *ret);
struct cgroup_mem_events {
	uint64_t high, max; /* v2 only */
	uint64_t oom_kills; /* processes that were killed for want of memory */
	uint64_t oom;	    /* v2 only: how often a limit was reached and nothing could be freed */
};
must_check int cgroup_mem_events_parse(const char *text, struct cgroup_mem_events *ret);
/* CGF_MEM_MAX, CGF_MEM_HIGH: UINT64_MAX for no limit. */
must_check int cgroup_mem_limit_parse(bool v2, const char *text, uint64_t *ret_bytes);
/* All devices together, and the first of them one by one. */
#define CGROUP_DISKS_MAX 64
struct cgroup_disk {
	uint32_t dev; /* major << 20 | minor */
	uint64_t bytes, ops;
};
struct cgroup_io {
	uint64_t read_bytes, write_bytes, reads, writes;
	size_t nr_disks;
	struct cgroup_disk disks[CGROUP_DISKS_MAX];
};
must_check int cgroup_io_stat_parse(const char *text, struct cgroup_io *ret);
/* v1 has bytes and operations in two files: fills in what the one given tells. */
must_check int cgroup_blkio_parse(const char *text, bool ops, struct cgroup_io *io);
/* The smallest limit of all devices: of the field "rbps=" and kin on v2 (CGF_IO_MAX), or of all of
 * a v1 file with field NULL. UINT64_MAX: none. */
uint64_t cgroup_io_limit_parse(const char *text, const char *field);

must_check int cgroup_open_usage(const struct cgroup_fs *fs,
				 const char *path); /* CGF_USAGE: keep or close it */
must_check int cgroup_usage_parse(bool v2, const char *text, uint64_t *ret_ns);
/* Is the quota of this text (CGF_QUOTA) finite? */
must_check int cgroup_quota_parse(bool v2, const char *text, bool *ret);
/* Is there a finite CPU quota on this very directory (cpu.max / cpu.cfs_quota_us)? */
must_check int cgroup_has_quota(const struct cgroup_fs *fs, int cpu_dirfd, bool *ret);
/* Processes: calls cb for each pid of cgroup.procs; stops on nonzero. */
must_check int cgroup_each_pid(int dirfd, int (*cb)(pid_t pid, void *arg), void *arg);

/* The parsers alone. mountinfo: one line; 0 a cgroup mount, -ENOENT another file system, -EINVAL.
 */
struct cgroup_mount {
	char mount[256];
	char options[256]; /* super options: names the v1 controllers */
	bool v2;
};
must_check int cgroup_mountinfo_parse(const char *line, size_t len, struct cgroup_mount *ret);
/* /proc/PID/cgroup -> the path in the hierarchy of controller (NULL: v2). -ENOENT: no such line, or
 * the cgroup is gone. */
must_check int cgroup_pid_path_parse(const char *text, const char *controller, char *buf,
				     size_t size);
