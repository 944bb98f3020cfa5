/* SPDX-License-Identifier: MIT */
/*
 * Classes of single threads, by their app's rules on names (apps.threads of the spec): on the bus
 * for policies that know classes, and as the side of a policy in partial mode that they are on. An
 * app gives its threads their names, so looking is all there is to it: once a second, and at most
 * THREADS_LOOK_MAX threads of the zone; those beyond have their app's class.
 */
#pragma once
#include "guest/guest.h"

#define THREADS_LOOK_MAX 2048

must_check int threads_init(struct guest *g);
/* Looks at the threads of all apps that have rules. */
void threads_look(struct guest *g);
