/* SPDX-License-Identifier: MIT */
/* One scx-NAME process: its words and its lines. */
#pragma once
#include <jansson.h>
#include <sys/types.h>
#include "guest/guest.h"

#define POLICY_NAME_MAX	   32
#define POLICY_OPTIONS_MAX 512
#define POLICY_WORDS_MAX   64
#define POLICY_LINE_MAX	   16384

struct policy_choice { /* "" in name: the kernel's own */
	char name[POLICY_NAME_MAX + 1];
	char options[POLICY_OPTIONS_MAX + 1];
	bool full;
};
bool policy_choice_equal(const struct policy_choice *a, const struct policy_choice *b);
/* NULL and "none": the kernel's own. -EINVAL with a sentence. */
must_check int policy_choose(const char *policy, const char *options, bool full,
			     struct policy_choice *ret, struct error *reterr);
/* The same of {"policy", "options", "full"}, each of which may be missing or null. */
must_check int policy_choose_json(const json_t *o, struct policy_choice *ret, struct error *reterr);
/* Cuts `text` at blanks. Returns how many, at most max - 1; words[n] is NULL. -E2BIG. */
must_check int policy_words(char *text, char **words, size_t max);

enum proc_state { PROC_LOADING, PROC_READY, PROC_ATTACHING, PROC_ATTACHED, PROC_DETACHING };

struct policy_proc {
	struct guest *guest;
	struct policy_choice choice;
	enum proc_state state;
	pid_t pid;
	int in, out; /* its standard input and output */
	struct source source;
	struct timer deadline; /* of what it was told to do */
	uint64_t used_ns;
	bool only_be;	/* in partial mode: apps of other classes stay in the kernel's fair class */
	char why[512];	/* what it said last about an end or an error */
	char said[512]; /* the last line that is no event: what a program says that fails early */
	/* an event it printed; not "error" and "exit", which go to `why` */
	void (*event)(struct policy_proc *p, const char *event, const json_t *line);
	/* what it was told to do it could not do: it is READY again */
	void (*refused)(struct policy_proc *p);
	size_t len;
	char line[POLICY_LINE_MAX];
};
must_check int policy_proc_start(struct policy_proc *p, struct error *reterr);
/* attach, detach, stats */
void policy_proc_tell(struct policy_proc *p, const char *word, enum proc_state state);
/* Reads what it still had to say; the process is gone. */
void policy_proc_done(struct policy_proc *p);
