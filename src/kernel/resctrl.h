/* SPDX-License-Identifier: MIT */
/*
 * resctrl: cache ways and memory bandwidth by group of tasks, as Intel RDT, AMD QoS and Arm MPAM
 * have them, through the kernel's file system (Documentation/filesystems/resctrl.rst).
 *
 * A group is named by its path below the mount point: "" is the default group, which owns all
 * that no other does; "batch" a control group; "batch/mon_groups/a" or "mon_groups/a" a monitoring
 * group. Errors of the kernel carry what it left in info/last_cmd_status. All writes are read back.
 *
 * Limit: that file is one for the whole machine. Who writes to resctrl at the same moment may put
 * another sentence there.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cpuset.h"
#include "base/error.h"
#include "kernel/kernel.h"

#define RESCTRL_NAME_MAX    64
#define RESCTRL_PATH_MAX    160
#define RESCTRL_DOMAINS_MAX 256
#define RESCTRL_STATUS_MAX  160
#define RESCTRL_TEXT_MAX    16384 /* of schemata and the smaller files */

#define RESCTRL_RESOURCES(X)                                                                       \
	X(L3, "L3", true)                                                                          \
	X(L3CODE, "L3CODE", true)                                                                  \
	X(L3DATA, "L3DATA", true)                                                                  \
	X(L2, "L2", true)                                                                          \
	X(L2CODE, "L2CODE", true)                                                                  \
	X(L2DATA, "L2DATA", true)                                                                  \
	X(MB, "MB", false)                                                                         \
	X(SMBA, "SMBA", false)
#define X(id, ...) RESCTRL_##id,
enum resctrl_resource { RESCTRL_RESOURCES(X) RESCTRL_NR };
#undef X
const char *resctrl_resource_name(enum resctrl_resource r);
bool resctrl_is_cache(enum resctrl_resource r); /* values are masks of ways, in hex */

enum resctrl_unit {
	RESCTRL_PERCENT,     /* of the most a core can move: Intel, MPAM */
	RESCTRL_MIBPS,	     /* mount option mba_MBps */
	RESCTRL_EIGHTH_GBPS, /* AMD: eighths of GB/s */
};
const char *resctrl_unit_name(enum resctrl_unit u); /* "%", "MiB/s", "1/8 GB/s" */

struct resctrl_alloc { /* info/RESOURCE */
	bool present;
	uint32_t closids; /* control groups, the default one included */
	/* caches */
	uint32_t cbm_mask, shareable_bits;
	uint32_t min_cbm_bits;
	bool sparse; /* masks with gaps; false where the kernel is too old to say */
	/* bandwidth */
	uint32_t min_bandwidth, gran;
	bool linear;
	bool per_thread; /* false: the smallest share of a core's threads holds for all of them */
	enum resctrl_unit unit;
};

struct resctrl_info {
	struct resctrl_alloc alloc[RESCTRL_NR];
	uint32_t closids; /* the smallest of all resources; 0: no allocation */
	bool mon;	  /* info/L3_MON is there */
	uint32_t rmids;	  /* groups of either kind, the default one included */
	bool llc_occupancy, mbm_total, mbm_local;
	bool mbm_configurable;			/* BMEC: what the events count can be set */
	bool mbm_assign;			/* counters are assigned (mbm_event mode is on) */
	uint64_t max_threshold_occupancy_bytes; /* UINT64_MAX: not told */
};

struct resctrl {
	int fd; /* O_PATH of the mount point, -1 closed */
	char mount[256];
	bool cdp_l3, cdp_l2, mba_mbps, debug; /* mount options */
	struct resctrl_info info;
};

/*
 * The mounted tree under k's root: as mountinfo says, else /sys/fs/resctrl. -EOPNOTSUPP with the
 * reason: no such CPU or kernel, or not mounted; then *ret is closed.
 */
must_check int resctrl_open(const struct kernel *k, struct resctrl *ret, struct error *reterr);
/* The tree at a directory; no mount options are known but those that the tree itself shows. */
must_check int resctrl_open_at(int dirfd, const char *path, struct resctrl *ret,
			       struct error *reterr);
void resctrl_close(struct resctrl *rc);
/* One line of mountinfo. 0; -ENOENT: another file system; -EINVAL. *ret gets mount and options. */
must_check int resctrl_mountinfo_parse(const char *line, size_t len, struct resctrl *ret);
/* What info/L3_MON/mon_features and mbm_assign_mode say. Unknown lines are skipped. */
must_check int resctrl_features_parse(const char *text, struct resctrl_info *ret);
must_check int resctrl_assign_mode_parse(const char *text, bool *ret_assigned);

/* schemata ---------------------------------------------------------------------------------- */

struct resctrl_domain {
	uint32_t id;	/* of the cache; there may be gaps */
	uint32_t value; /* mask of ways, or bandwidth in the resource's unit */
};
struct resctrl_schemata {
	struct {
		size_t nr; /* 0: the line is not there */
		struct resctrl_domain domains[RESCTRL_DOMAINS_MAX];
	} lines[RESCTRL_NR];
};
/*
 * Lines of resources that are not known here are skipped. -EINVAL: not schemata, a domain twice or
 * a resource twice; -ERANGE: a number beyond 32 bits; -E2BIG: too many domains.
 */
must_check int resctrl_schemata_parse(const char *text, struct resctrl_schemata *ret);
/* As the kernel takes it, every line ended by a newline. -ENAMETOOLONG. */
must_check int resctrl_schemata_format(const struct resctrl_schemata *s, char *buf, size_t size);
/*
 * May the kernel accept the lines that are there? Bandwidth is rounded up to what the hardware has,
 * as the kernel does. known: what the default group has, for the domains; NULL: any.
 */
must_check int resctrl_schemata_check(const struct resctrl_info *info,
				      const struct resctrl_schemata *known,
				      struct resctrl_schemata *s, struct error *reterr);
/* A mask of so many ways, from the top (BE) or the bottom of the cache. -ERANGE: no such mask. */
must_check int resctrl_ways_mask(const struct resctrl_alloc *a, uint32_t ways, bool from_top,
				 uint32_t *ret_mask);
uint32_t resctrl_ways(uint32_t mask);
/* Is there a place for L3 masks (L3, or L3CODE and L3DATA under CDP)? */
static inline bool resctrl_has_llc(const struct resctrl_info *i)
{
	return i->alloc[RESCTRL_L3].present || i->alloc[RESCTRL_L3DATA].present;
}
/* The resource whose figures hold for the last-level cache. Only where there is one. */
static inline enum resctrl_resource resctrl_llc(const struct resctrl_info *i)
{
	return i->alloc[RESCTRL_L3].present ? RESCTRL_L3 : RESCTRL_L3DATA;
}

/* groups ------------------------------------------------------------------------------------ */

/* -EINVAL: such a name cannot be a group's. */
must_check int resctrl_name_check(const char *name, struct error *reterr);
/* ctrl "" and mon NULL: the default group. */
must_check int resctrl_path(char *buf, size_t size, const char *ctrl, const char *mon,
			    struct error *reterr);
/* -ENOSPC: no CLOSID or no RMID is left, and the message says which; -EBUSY: RMIDs are left, but
 * still tag lines in the cache; -EEXIST. */
must_check int resctrl_create(const struct resctrl *rc, const char *path, struct error *reterr);
/* Its tasks and CPUs go to the group above. -ENOENT: there is none. */
must_check int resctrl_remove(const struct resctrl *rc, const char *path, struct error *reterr);
/* Monitoring groups only, also from one control group to another. */
must_check int resctrl_rename(const struct resctrl *rc, const char *from, const char *to,
			      struct error *reterr);
/* Calls cb for every group's path, the default one first. Stops on nonzero, and returns that. */
must_check int resctrl_each(const struct resctrl *rc, int (*cb)(const char *path, void *arg),
			    void *arg);
must_check int resctrl_get(const struct resctrl *rc, const char *path, struct resctrl_schemata *ret,
			   struct error *reterr);
/* Checks, writes the lines that s has, and reads back. -EIO: the kernel made something else of it.
 */
must_check int resctrl_set(const struct resctrl *rc, const char *path,
			   const struct resctrl_schemata *s, struct error *reterr);
/* "shareable", "exclusive", "pseudo-locksetup", "pseudo-locked". */
must_check int resctrl_get_mode(const struct resctrl *rc, const char *path, char *buf, size_t size);
must_check int resctrl_set_mode(const struct resctrl *rc, const char *path, const char *mode,
				struct error *reterr);
must_check int resctrl_get_cpus(const struct resctrl *rc, const char *path, struct cpuset *ret);
must_check int resctrl_set_cpus(const struct resctrl *rc, const char *path,
				const struct cpuset *cpus, struct error *reterr);
/* What the last write or mkdir left there, without the newline; "" when it cannot be read. */
void resctrl_status(const struct resctrl *rc, char *buf, size_t size);

/* tasks ------------------------------------------------------------------------------------- */

/* One task. -ESRCH: it is gone. */
must_check int resctrl_add_task(const struct resctrl *rc, const char *path, pid_t tid,
				struct error *reterr);
/* Whose tasks are meant: calls cb for each thread id; stops on a negative answer. */
struct resctrl_tasks {
	int (*each)(const struct resctrl_tasks *t, int (*cb)(pid_t tid, void *arg), void *arg);
	int dirfd;	  /* of the cgroup; what each() reads */
	const char *file; /* "cgroup.threads" or, on v1, "tasks" */
	const struct kernel *kernel;
	pid_t pid;
};
/* All threads of a cgroup and of those below it; dirfd and kernel stay the caller's. */
struct resctrl_tasks resctrl_tasks_of_cgroup(int dirfd, bool v2);
/* All threads of a process: the vCPUs of a machine among them. */
struct resctrl_tasks resctrl_tasks_of_process(const struct kernel *k, pid_t pid);
/*
 * Moves them until a look at both finds none outside: a task that was forked meanwhile, from one
 * not yet moved, is caught by the next round. *ret_moved counts the moves. -EAGAIN: after
 * RESCTRL_ROUNDS they still came faster.
 */
#define RESCTRL_ROUNDS 50
must_check int resctrl_assign(const struct resctrl *rc, const char *path,
			      const struct resctrl_tasks *t, uint64_t *ret_moved,
			      struct error *reterr);
/* Is one of them in the group now? */
must_check int resctrl_holds_any(const struct resctrl *rc, const char *path,
				 const struct resctrl_tasks *t, bool *ret);
must_check int resctrl_count_tasks(const struct resctrl *rc, const char *path, uint64_t *ret);

/* counters ---------------------------------------------------------------------------------- */

/* -ENODATA: "Unavailable", "Unassigned" or "Error", which is not 0; -EINVAL: no such text. */
must_check int resctrl_count_parse(const char *text, uint64_t *ret);
/*
 * From one reading of a byte counter to the next. The kernel itself widens the hardware's counters,
 * so one that fell was reset, and how far it came is not known: -ENODATA. With wraps_at (not 0: a
 * kernel that does not widen) it wrapped there, if the way over the top is the shorter one.
 */
must_check int resctrl_count_delta(uint64_t before, uint64_t after, uint64_t wraps_at,
				   uint64_t *ret);
#define RESCTRL_UNKNOWN UINT64_MAX
struct resctrl_counts { /* summed over domains; RESCTRL_UNKNOWN when one of them is not known */
	uint64_t llc_occupancy_bytes, mbm_total_bytes, mbm_local_bytes;
};
struct resctrl_count_row {
	uint32_t domain; /* id of the L3 cache */
	int32_t node;	 /* SNC: the node of a mon_sub_L3 directory; -1: all of the cache */
	struct resctrl_counts counts;
};
/* At most max rows, in the order of domain and node; returns their number. -E2BIG: more. */
must_check int resctrl_read_rows(const struct resctrl *rc, const char *path,
				 struct resctrl_count_row *rows, size_t max);
must_check int resctrl_read_counts(const struct resctrl *rc, const char *path,
				   struct resctrl_counts *ret);
/* Where counters are assigned (info.mbm_assign): gives the group one in every domain, or takes it.
 * -ENOSPC: none is left; -EOPNOTSUPP: counters are not assigned here. */
must_check int resctrl_assign_counter(const struct resctrl *rc, const char *path, bool local,
				      bool on, struct error *reterr);
/* Has the event's line this state in every domain? "mbm_total_bytes:0=e;1=_". */
must_check int resctrl_assignments_parse(const char *text, const char *event, bool *ret_all_on,
					 bool *ret_all_off);
/* "mon_L3_00" -> 0, "mon_sub_L3_03" -> 3 and *ret_sub. -EINVAL: another name. */
must_check int resctrl_mon_name_parse(const char *name, uint32_t *ret_id, bool *ret_sub);
