/* SPDX-License-Identifier: MIT */
/* An app's description turned into a process: its user, environment, place, or its OCI bundle. */
#pragma once
#include "guest/apps.h"

/* The pid. */
must_check int launch_app(struct app *a, const int stdio[3], struct error *reterr);
/* What is left of the app on a file system when it is no more. */
void launch_forget(const struct app *a);
#define BESIDE_WORDS_MAX 256
enum launch_for { FOR_HEALTH, FOR_PIPES, FOR_TERMINAL };
/* Another program in the app's place: its cgroup, user and environment; of a bundle that runs, its
 * container. */
must_check int launch_beside(struct app *a, char *const *argv, const int stdio[3],
			     enum launch_for what, struct error *reterr);
/* What was started so for health, and all of its process group. */
void launch_kill_health(const struct app *a, pid_t pid);
