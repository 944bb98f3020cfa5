/* SPDX-License-Identifier: MIT */
/*
 * What a process does: the stacks of its threads, sampled for a moment with perf events on the task
 * clock (no PMU needed), and what they have in common. The kernel decides who may sample whom.
 * Stacks are walked by frame pointers: code built without them shows the innermost function and
 * perhaps some of its callers. Threads born meanwhile are not sampled.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "cli/symbols.h"

#define STACK_TOP	 3
#define STACK_FRAMES_MAX 32

struct stack {
	uint64_t samples;
	size_t nr;	   /* frames, innermost first */
	size_t nr_omitted; /* more frames, not kept */
	char frames[STACK_FRAMES_MAX][SYMBOL_MAX];
};

struct stacks {
	uint64_t samples; /* of all stacks, those that are not in top too */
	bool user_only;	  /* the kernel's part may not be seen */
	size_t nr;
	struct stack top[STACK_TOP]; /* the most frequent first */
};

/*
 * pid: a thread whose name is comm, escaped as czd sends it; all threads of its process are
 * sampled. -ESRCH it is gone (or the pid is another's by now), -EACCES not allowed, -ENODATA it did
 * not run, -Exxx; all with a sentence.
 */
must_check int stacks_sample(pid_t pid, const char *comm, uint64_t for_ns, struct stacks *ret,
			     struct error *reterr);
/* procfd: its directory in /proc, comm as above. Is it still the one that is meant? Names change
 * only by the process' own will. */
bool thread_is_still(int procfd, const char *comm);
