/* SPDX-License-Identifier: MIT */
/*
 * Inside probes/: what a probe is, what it is given, and kept-open files. probes.c visits the
 * zones, a probe reads one of them at a time. A new probe: one file, one line in list.c.
 */
#pragma once
#include "base/hash.h"
#include "probes/probe.h"

#define NO_SLOT UINT32_MAX

struct probe_zone {
	uint64_t id;
	struct probe_zone *parent, *next, *prev;
	const char *path; /* the daemon's */
	enum probe_interest interest;
	uint32_t protected_below; /* how many zones at or below this one are protected */
	uint32_t tick;		  /* in which it was visited last */
	uint32_t active_tick;	  /* in which its CPU time last grew */
	uint32_t usage_tick;	  /* in which its CPU time was last known */
	uint32_t waiting_tick;	  /* in which it was left for the second round */
	uint64_t grown_ns;	  /* its CPU time's growth since the reading before, */
	uint64_t children_ns;	  /* what its children read since account for, */
	uint64_t unexplained_ns;  /* and what they did not before it */
	uint64_t io_ns, stat_ns;  /* its io, and memory.stat, were read last */
	uint32_t refs;		  /* children: they point here */
	uint32_t absent;	  /* bit f: it has no such file (enum cgroup_file) */
	struct zone_row row;
	uint32_t slot[CGF_NR];	    /* kept-open file, or NO_SLOT */
	uint16_t read_tick[CGF_NR]; /* low bits of the tick in which the file was read last */
};

/* When a zone is read by a probe. */
enum probe_when {
	WHEN_ALWAYS,	/* every zone, every tick */
	WHEN_ACTIVE,	/* zones that ran lately; protected ones always */
	WHEN_SLOW,	/* the same, every slow_every ticks, and once at first */
	WHEN_PROTECTED, /* protected zones and those below them */
	WHEN_HOST,	/* no zone: once a tick */
};

struct probe {
	const char *name;    /* stable: API, `czctl probes` */
	const char *summary; /* what it tells */
	const char *needs;   /* of the host */
	enum probe_when when;
	bool optional;	    /* costs others: off, and not even opened, until it is switched on */
	metric_set metrics; /* zone metrics it fills: bits of enum zone_metric */
	/* -EOPNOTSUPP: the host lacks it, why says what. NULL: always there, no state. */
	int (*open)(struct probes *p, void **ret_state, char *why, size_t size);
	void (*close)(void *state); /* accepts NULL */
	/* One unit of reading of a zone (NULL for WHEN_HOST): 0 done, 1 call again, -Exxx */
	int (*read)(void *state, struct probes *p, struct probe_zone *z);
	/* May be NULL: once a tick, before and after all zones; a zone goes away */
	void (*begin)(void *state, struct probes *p);
	void (*end)(void *state, struct probes *p);
	void (*forget)(void *state, const struct probe_zone *z);
	/* See probes_holders() */
	enum holder_kind holds;
	size_t (*holders)(const void *state, const struct probes *p, uint64_t zone_id,
			  struct holder *ret, size_t max);
};
extern const struct probe probe_cpu, probe_throttling, probe_run_delay, probe_psi, probe_memory,
    probe_reclaim, probe_io, probe_io_limits, probe_syscalls, probe_block, probe_net, probe_tasks,
    probe_switches, probe_epoll, probe_sockets, probe_reclaimers, probe_futex, probe_netns,
    probe_numa, probe_frequency, probe_host_disk, probe_host_net, probe_psi_triggers,
    probe_host_cpu, probe_host_memory, probe_host_psi, probe_counters;
extern const struct probe *const probe_list[];
extern const size_t probe_list_nr;
#define PROBES_MAX 32

struct probe_instance {
	void *state;
	bool available, on;
	uint32_t done_slow; /* tick of the last slow round */
	const char *off_why;
	char lacks[128];
};

/* By how often a file is read: each tick, in each slow round, or more rarely. */
enum { KEPT_TICK, KEPT_SLOW, KEPT_RARE, KEPT_RANKS };

struct kept_file {
	struct probe_zone *zone;
	int fd;
	uint32_t prev, next;
	uint8_t file, rank;
};
struct kept_lru {
	uint32_t head, tail; /* least recently used last */
};
struct kept_files {
	struct kept_file *slots;
	uint32_t cap, used, free_head; /* free slots are chained by next */
	struct kept_lru lru[KEPT_RANKS];
	uint32_t budget;
};

struct probes {
	const struct kernel *k;
	const struct cgroup_fs *fs;
	uint32_t slow_every;
	bool software_counters;

	struct hash by_id;
	struct probe_zone *first, *last;
	uint32_t nr_protected;

	struct probe_instance instances[PROBES_MAX];
	struct kept_files kept;
	struct host_row host;
	struct disk_view disks[DISKS_MAX];
	size_t nr_disks; /* that were ever used */
	struct probes_stats stats;
	size_t active_now;

	uint64_t now_ns, previous_ns;
	uint32_t tick;
	uint32_t squeezed_tick, io_tick; /* in which tasks of the host last stalled on memory, io */
	bool running;
	struct probe_zone *at; /* next zone to visit */
	size_t at_probe;
	bool wrapped, from_first, second_round;
};

static inline void row_set(struct zone_row *row, enum zone_metric m, uint64_t value)
{
	row->version += row->value[m] != value;
	row->value[m] = value;
	row->valid |= METRIC_BIT(m);
}
static inline void host_set(struct host_row *row, enum host_metric m, uint64_t value)
{
	row->value[m] = value;
	row->valid |= METRIC_BIT(m);
}
static inline void row_unset(struct zone_row *row, enum zone_metric m)
{
	row->version += (row->valid & METRIC_BIT(m)) != 0;
	row->valid &= ~METRIC_BIT(m);
}
/* One that is not known leaves the metric as it is. */
static inline void row_set_known(struct zone_row *row, enum zone_metric m, uint64_t value)
{
	if (value != UINT64_MAX)
		row_set(row, m, value);
}
/* A counter that is kept here: from 0 on. */
static inline void row_add(struct zone_row *row, enum zone_metric m, uint64_t more)
{
	row_set(row, m, (row->valid & METRIC_BIT(m) ? row->value[m] : 0) + more);
}
/* How long what is read now has grown; *last_ns: when it was read before, and is from now on. */
static inline uint64_t probe_span(const struct probes *p, uint64_t *last_ns)
{
	uint64_t span_ns = *last_ns ? p->now_ns - *last_ns : 0;

	*last_ns = p->now_ns;
	return span_ns;
}
/* Did tasks of the host stall on it in one of the last ticks? */
static inline bool probe_stalled(const struct probes *p, uint32_t in_tick)
{
	return p->tick - in_tick < 10;
}
/* Is it a zone's turn in readings made every so many ticks? */
static inline bool probe_turn(const struct probes *p, const struct probe_zone *z, uint32_t every)
{
	return (p->tick + (uint32_t)z->id) % every == 0;
}
/* tick.c: of the zone's CPU time up to its latest reading, what its children do not account for; 0
 * once they were all read because of it. */
uint64_t probe_unexplained_ns(const struct probes *p, const struct probe_zone *z);
int psi_triggers_fd(const void *state);
/* The protected zone whose waiting includes this one's, or NULL. */
struct probe_zone *probe_zone_owner(const struct probes *p, struct probe_zone *z);

/*
 * files.c. Read a file of a zone through its kept fd, or open it and keep it if the budget allows.
 * -ENOENT: this zone has none (remembered for a while), or it is gone.
 */
void kept_init(struct kept_files *k, uint32_t budget);
void kept_done(struct kept_files *k);
void kept_zone_init(const struct probes *p, struct probe_zone *z);
must_check ssize_t kept_read(struct probes *p, struct probe_zone *z, enum cgroup_file f, char *buf,
			     size_t size);
/* An fd to read on one's own; the caller closes it. Makes room if there are no fds. */
must_check int kept_open_once(struct probes *p, struct probe_zone *z, enum cgroup_file f);
void kept_drop_zone(struct probes *p, struct probe_zone *z);
