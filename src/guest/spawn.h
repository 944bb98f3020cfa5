/* SPDX-License-Identifier: MIT */
/* Starts a program in a cgroup, as a user, with its own session and nothing of ours open. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "guest/user.h"

struct spawn {
	char *const *argv; /* argv[0] is looked up in PATH unless it has a slash */
	char *const *env; /* "NAME=VALUE", NULL-terminated; before the user's own HOME, USER, ... */
	const struct user *user; /* NULL: stays root */
	const char *workdir;	 /* NULL: / */
	int cgroup_fd;		 /* -1: ours */
	int stdio[3];		 /* -1: /dev/null */
	int exec_fd;		 /* the program itself, argv[0] is but its name; -1: argv[0] */
	bool terminal;		 /* stdio[0] becomes the controlling terminal */
	bool ext;		 /* of the class SCHED_EXT where the kernel has it */
};
/* Returns the pid. What cannot be started is told here; what fails after all was well with it (no
 * such format, say) ends with 127. */
must_check int spawn(const struct spawn *s, struct error *reterr);
