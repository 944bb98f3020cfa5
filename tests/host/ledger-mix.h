/* SPDX-License-Identifier: MIT */
/*
 * Load mixes in cgroups of their own, run under the wait ledger and under the audit at once. The
 * tests and the bench of the ledger share them. Works on v1 and v2.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "probes/ledger.h"
#include "ledger-audit.h"

enum mix_group { GROUP_VICTIM, GROUP_VICTIM_2, GROUP_HOG_A, GROUP_HOG_B, GROUP_NR };

struct mix {
	const char *name;
	int seconds;
	uint32_t max_records; /* of the audit's log */
	const char *program;  /* what must be installed, NULL: nothing */
	int quota_percent;    /* of the victim; 0: none */
	int hog_shares[2];    /* 0: as it is */
	bool two_victims;
	const char *victim; /* a load, see loads[] in ledger-mix.c, and how many */
	int nr_victims;
	int nr_hogs;					 /* groups with one hog each */
	void (*disturb)(void *env, uint64_t elapsed_ns); /* called each millisecond */
};
extern const struct mix mixes[];
extern const size_t nr_mixes;
const struct mix *mix_find(const char *name);

struct mix_result {
	uint64_t run_delay_ns, ledger_ns;
	uint64_t uncounted_ns; /* waits that run_delay leaves out: see audit_replay() */
	uint64_t cause_ns[CAUSE_NR];
	uint64_t waits;
	uint64_t replay_ns, replay_waits; /* 0 where not compared */
	uint32_t sum_error_ppm;
	uint32_t share_error_ppm; /* worst zone with a share of 5 % or more; 0 where not compared */
	bool has_shares;
	uint32_t throttled_error_ppm; /* against cpu.stat.local, of the time waited */
	bool has_throttled;
	uint32_t hog_share_ppm[2]; /* of all neighbours: by the ledger */
	uint32_t leaked_waiters;   /* still counted after all tasks were gone */
	struct ledger_health health;
};

/* 0 or the reason why no mix can run here (root, BPF, cgroups): -EOPNOTSUPP, -EPERM. */
must_check int mix_open(struct error *reterr);
void mix_close(void);
/* -ENOENT: a program is missing; -EOVERFLOW: the log was too small. */
must_check int mix_run(const struct mix *mix, int seconds, struct mix_result *ret,
		       struct error *reterr);

/* For tests of their own: groups below the test's own, by name; made on first use. */
uint64_t mix_group_id(const char *name);
int mix_group_write(const char *name, const char *file, const char *text);
/* A load in a group, on a CPU (-1: any). It waits for mix_go(). Returns its pid. */
int mix_spawn(const char *name, const char *load, int cpu);
void mix_go(void);
/* Kills what mix_spawn() started and waits for it. */
void mix_kill_all(void);
void mix_join(int pid, const char *name); /* move a process into a group */
