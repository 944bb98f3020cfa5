/* SPDX-License-Identifier: MIT */
/* What the tests of zones/ on real cgroups share. Own cgroups only: cz-test-zones-*. */
#pragma once
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/kio.h"
#include "zones/zones.h"

#define TOP "cz-test-zones"

struct seen {
	unsigned int added, removed, renamed, classed;
	uint64_t last_added, last_removed;
	char old_path[256];
};
extern struct kernel kernel;
extern struct cgroup_fs fs;
extern struct config config;
extern char top[600]; /* where our cgroups are made */
extern struct seen seen;
extern const struct zones_events events;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #x);            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Until nothing waits any more; sliced: in steps of three units of work. */
void settle(struct zones *zs);
void settle_sliced(struct zones *zs);
struct zones *start(void);
void make(const char *name);
void drop(const char *name);
const struct zone *get(struct zones *zs, const char *name);
void check_order(struct zones *zs);

struct zones_test {
	const char *name;
	void (*run)(void);
};
/* main() of a test: all of them in a child, and nothing of ours stays behind. */
int run_tests(const struct zones_test *tests, size_t n);
