/* SPDX-License-Identifier: MIT */
/*
 * What zones look like they are worth, for a person to decide: `czctl suggest`. Seen from outside,
 * in /proc and by czd; nothing is changed, and no zone is protected to be measured.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/str.h"
#include "model/zone.h"

#define SUGGEST_LOOKS_MAX 600

/* One zone over the time it was watched: the tasks of its own cgroup, not of those below. */
struct zone_seen {
	char name[ZONE_NAME_MAX * 4], path[ZONE_PATH_MAX];
	enum zone_class class;
	bool class_is_own, off_limits, is_vm;
	bool has_children;	  /* then used_ns is not of its own tasks */
	uint64_t used_ns;	  /* by czd's account; UINT64_MAX: not known */
	uint64_t run_ns;	  /* of the tasks that were seen */
	uint64_t wait_ns;	  /* they were runnable and did not run */
	uint64_t slices;	  /* they came to run so often */
	uint64_t wakes;		  /* and gave the CPU up so often by themselves */
	uint64_t modest_ns;	  /* of run_ns: with nice >= 10, SCHED_BATCH or SCHED_IDLE */
	uint64_t realtime_ns;	  /* of run_ns: SCHED_FIFO, SCHED_RR, SCHED_DEADLINE */
	uint32_t tasks;		  /* at the last look */
	uint32_t listens, serves; /* sockets: that listen, connections made to those */
	uint32_t closed;	  /* processes whose sockets may not be seen */
	uint64_t feeds;		  /* application latencies it reported */
	size_t nr_means, nr_p99s;
	uint64_t means_ns[SUGGEST_LOOKS_MAX]; /* a look: wait a slice */
	uint64_t p99s_ns[SUGGEST_LOOKS_MAX];  /* a look, or a while of history: wait p99 */
};

enum confidence { CONFIDENCE_NONE, CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };
const char *confidence_name(enum confidence c); /* "none", "low", "medium", "high" */

struct proposal {
	enum confidence confidence; /* NONE: none; why says what could not be told */
	bool is_idle;		    /* it did too little to be judged */
	enum zone_class class;
	uint64_t wait_p99_ns; /* the goal; 0: none */
	struct strbuf why;    /* evidence, separated by "; " */
};
void proposal_done(struct proposal *p);
/* watched_ns bounds the confidence; pure. p99s_ns and means_ns are sorted by it. */
void suggest_judge(struct zone_seen *z, uint64_t watched_ns, struct proposal *ret);

/* suggest-tasks.c: one look at all tasks of the host. */
struct suggest_tasks;
must_check int suggest_tasks_new(struct suggest_tasks **ret, struct error *reterr);
/* Adds what happened since the last look to the zones; the first look only begins. */
must_check int suggest_tasks_look(struct suggest_tasks *t, struct zone_seen *zones, size_t nr);
/* Counts the sockets of the processes seen at the last look. */
void suggest_tasks_sockets(struct suggest_tasks *t, struct zone_seen *zones, size_t nr);
void suggest_tasks_free(struct suggest_tasks *t);
DEFINE_CLEANUP(struct suggest_tasks *, suggest_tasks_free)

/* suggest-sockets.c: adds those of one process that are not in counted, and puts them there. False:
 * they may not be seen. */
must_check bool suggest_sockets(int procfd, struct hash *counted, uint32_t *listens,
				uint32_t *serves);
/* A line of /proc/net/tcp: local port, state, inode. -EINVAL: not one. */
must_check int suggest_tcp_line(const char *line, uint32_t *ret_port, uint32_t *ret_state,
				uint64_t *ret_inode);
/* A line of /proc/net/unix: whether it listens, inode. -EINVAL: not one. */
must_check int suggest_unix_line(const char *line, bool *ret_listens, uint64_t *ret_inode);
