/* SPDX-License-Identifier: MIT */
/*
 * cz-run: holds the apps of one zone of runtime cgroup, as cz-vm holds a virtual machine. Started
 * by czd in the zone's group `cz-run`, outlives it, and speaks the same link
 * (docs/zone-protocol.md). Each app runs in a group of its own, which czd has made.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <jansson.h>
#include "kernel/cgroup.h"
#include "model/zone-spec.h"

enum app_state { APP_WAITING, APP_RUNNING, APP_EXITED, APP_FAILED };

struct run;
struct app {
	struct run *run;
	const struct zone_app *spec; /* in run->spec; NULL: no longer wanted, goes when it ends */
	char name[ZONE_SPEC_NAME_MAX + 1];
	enum app_state state;
	pid_t pid; /* 0: not running */
	sd_event_source *child, *output, *timer, *health_child, *health_timer;
	pid_t health_pid;
	bool healthy, held; /* held: stopped by request, not restarted */
	bool again;	    /* but begun anew once it has ended */
	int exit_code;
	struct cgroup_mem_events oom_begin; /* when it began */
	/* Whose memory was short when it ended: "limit", "machine", "unknown"; NULL: none. */
	const char *oom;
	uint32_t restarts;
	uint64_t started_ns, backoff_ns;
	int log_fd;
	uint64_t log_bytes;
};

struct run {
	sd_event *loop;
	struct cgroup_fs fs;
	char name[ZONE_SPEC_NAME_MAX + 1];
	int log_dirfd;
	struct zone_spec spec;
	struct app *apps[2 * ZONE_APPS_MAX]; /* those that are to end included */
	size_t nr_apps;
	bool stopping;
	uint64_t kill_ns; /* while stopping */
	/* link.c */
	int listen_fd, client_fd;
	sd_event_source *client, *tick;
	char in[65536];
	size_t in_len;
	uint32_t dropped;
};

/* app.c */
/* The same process serves both: limits, restart and health are no reason to start it anew. */
bool app_same(const struct zone_app *a, const struct zone_app *b);
int run_apps_sync(struct run *run); /* starts and stops by difference to run->spec */
void app_stop(struct app *a);	    /* SIGTERM; SIGKILL to its whole group 5 s later */
void app_start(struct app *a);
void app_restart(struct app *a); /* started too where it did not run */
void run_apps_kill(struct run *run);
bool run_apps_ended(const struct run *run);
json_t *app_shape(const struct app *a);
const char *app_state_name(enum app_state s);

/* link.c */
int link_listen(struct run *run, const char *run_dir);
void link_notice(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void link_state(struct run *run);
int run_take_spec(struct run *run, const json_t *json);
