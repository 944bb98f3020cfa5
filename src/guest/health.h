/* SPDX-License-Identifier: MIT */
/* An app's health command, run every so often; one that takes too long has failed. */
#pragma once
#include "guest/apps.h"

#define HEALTH_TIMEOUT_NS 10000000000ULL /* or the period, if that is less */

void health_start(struct app *a); /* the first check is a period from now */
void health_stop(struct app *a);
bool health_reaped(struct app *a, pid_t pid, int exit);
