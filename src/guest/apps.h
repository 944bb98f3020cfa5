/* SPDX-License-Identifier: MIT */
/*
 * The apps of the zone: started, watched, started again, stopped. Each lives in a cgroup of its
 * own; when its main process has ended, what is left in there is killed.
 */
#pragma once
#include <sys/types.h>
#include "guest/guest.h"
#include "guest/log-stream.h"
#include "kernel/cgroup.h"

enum app_state { APP_WAITING, APP_RUNNING, APP_STOPPING, APP_EXITED, APP_FAILED };
enum app_after { AFTER_STAY, AFTER_START, AFTER_REMOVE }; /* what a stop is for */

struct app {
	struct guest *guest;
	unsigned int slot; /* the stream on the log port, and its place in the table */
	struct zone_app spec;
	struct zone_app next; /* what it becomes when it has stopped; name NULL: nothing new */
	enum app_state state;
	enum app_after after;
	int cgroup_fd;
	uint64_t cgroup_id;
	pid_t pid; /* 0: none */
	int exit;  /* code, or 128 + signal; meaningful once it has ended */
	struct cgroup_mem_events oom_begin; /* when it began */
	const char *oom; /* whose memory was short when it ended: "limit", "machine"; NULL: none */
	uint32_t restarts;
	uint64_t started_ns, backoff_ns;
	struct timer timer; /* next start, or the end of patience with a stop */
	struct log_stream log;

	pid_t health_pid;
	struct timer health_timer;
	bool health_known, healthy;

	bool is_protected; /* in the ledger */
};

must_check int apps_init(struct guest *g);
/* Every app, by difference: `wanted` is emptied, its apps are ours now. */
void apps_apply(struct guest *g, struct zone_spec *wanted);
must_check int app_operate(struct guest *g, const char *name, const char *op, struct error *reterr);
struct app *app_find(struct guest *g, const char *name);
struct app *app_at(struct guest *g, unsigned int slot); /* NULL: none there */
const char *app_state_name(const struct app *a);
/* Was it one of ours? */
bool apps_reaped(struct guest *g, pid_t pid, int exit);
void apps_stop_all(struct guest *g, uint64_t grace_ns);
bool apps_alive(const struct guest *g);
#define apps_each(g, a)                                                                            \
	for (unsigned int _i = 0; _i < ZONE_APPS_MAX; _i++)                                        \
		for (struct app *a = app_at(g, _i); a; a = NULL)
