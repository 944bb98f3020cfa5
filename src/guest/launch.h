/* SPDX-License-Identifier: MIT */
/* An app's description turned into a process: its user, environment, place, or its OCI bundle. */
#pragma once
#include "guest/apps.h"

/* The pid. */
must_check int launch_app(struct app *a, const int stdio[3], struct error *reterr);
/* What is left of the app on a file system when it is no more. */
void launch_forget(const struct app *a);
/* Another program in the app's place: its cgroup, user and environment. */
must_check int launch_beside(struct app *a, char *const *argv, const int stdio[3], bool terminal,
			     struct error *reterr);
