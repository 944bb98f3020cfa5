/* SPDX-License-Identifier: MIT */
/* Groups and children, between ledger-load.c and ledger-mix.c. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_MS    1000000ull
#define NS_PER_SEC   1000000000ull
#define CHILDREN_MAX 64
#define GROUPS_MAX   16

struct mix_env {
	bool v1;
	int nr_cpus;
	char base[128]; /* "/sys/fs/cgroup/cpu/cz-test-ledger-PID" */
	char groups[GROUPS_MAX][32];
	int nr_groups;
	int go[2], ready[2];
	pid_t children[CHILDREN_MAX];
	int nr_children;
};
extern struct mix_env mix_env;

void mix_sleep_ns(uint64_t ns);
void mix_group_path(char *buf, size_t size, const char *name);
void mix_children_settle(void); /* all of them are in their groups, blocked until mix_go() */
