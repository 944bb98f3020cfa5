/* SPDX-License-Identifier: MIT */
/* Two groups side by side in every tree, children that work in them, and the probes of this host.
 */
#pragma once
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "probes/probe.h"
#include "zones/zones.h"
#include "check.h"

#define TOP "cz-test-sums"
#define IN  "/" TOP "/in"
#define OUT "/" TOP "/out"

/* Shared with the children. */
struct shared {
	atomic_int ready, go, done;
	atomic_ullong a, b, c;
	pthread_mutex_t lock;
	char path[64]; /* a file to be removed at the end */
};
extern struct shared *work;
extern struct cgroup_fs fs;
extern struct probes *probes;

int probes_env_open(void); /* 0, or 77 and said why */
void probes_env_close(void);
void clean_up(void);
/* A file below TOP in the tree of CG_CPU (0), CG_MEMORY (1), CG_UNIFIED (2). */
char *in_tree(size_t tree, const char *rest, char path[PATH_MAX]);
void put(const char *path, const char *text);
void tick(void);
uint64_t id_of(const char *path);
uint64_t value(const char *path, enum zone_metric m);
void reset(void);
/* A child in a zone: runs once work->go is set, then counts in work->done and sleeps. */
pid_t start(const char *zone, void (*run)(void));
void stop(pid_t pid);
void wait_done(int n);
void switch_probe(const char *name, bool on);
