/* SPDX-License-Identifier: MIT */
/* Groups, native files and a run directory for the tests of actuate/: on v1, v2 and hybrid alike.
 */
#pragma once
#include "../unit/test.h"
#include "actuate/actuate.h"
#include "base/str.h"

struct env {
	struct kernel kernel;
	struct cgroup_fs fs;
	char base[64]; /* "/cz-test-NAME-PID": parent of all groups of the test */
	char run[64];  /* a fresh directory */
	int run_dirfd;
	struct actuator *act;
	uint64_t seq;
	uint64_t zone_id; /* for those who may not look it up */
};
extern struct env env;

/* 77 and a reason where nothing can be tested, else the number of failed tests. */
int env_main(const char *name, int (*tests)(void));
int env_setup(void **state); /* of each test: groups base and base/a, a fresh run directory */
int env_teardown(void **state);

void env_make(const char *path); /* "/x" below base; in every hierarchy of the knobs */
void env_remove(const char *path);
const char *env_path(const char *path); /* base + path; a static buffer, four deep */
uint64_t env_id(const char *path);
/* Native files: v1 or v2 name by what this host has. NULL-safe to compare; "" when absent. */
void env_write(const char *path, enum cgroup_controller c, const char *v1, const char *v2,
	       const char *text);
const char *env_read(const char *path, enum cgroup_controller c, const char *v1, const char *v2);
/* All knob files of the groups base, base/a and below, to the letter. Free it. */
char *env_snapshot(void);

struct action env_action(const char *path, enum knob knob, const char *to);
int env_apply(const char *path, enum knob knob, const char *to); /* env.seq is its number */
void env_open(void);						 /* actuator on env.run */
void env_close(void);
int env_undo(uint64_t seq);
bool env_v2(void); /* the cpu controller's version */
void env_set_max(const char *path, const char *quota, const char *period); /* "-1": none */

#define WEIGHT CG_CPU, "cpu.shares", "cpu.weight"
#define IDLE   CG_CPU, "cpu.idle", "cpu.idle"
#define BURST  CG_CPU, "cpu.cfs_burst_us", "cpu.max.burst"
#define CPUS   CG_CPUSET, "cpuset.cpus", "cpuset.cpus"
#define FREEZE CG_FREEZER, "freezer.self_freezing", "cgroup.freeze"
