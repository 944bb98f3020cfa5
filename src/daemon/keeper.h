/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a tiny parent that outlives the worker. When the worker dies it undoes the journal
 * and starts a new one, at most KEEPER_RESTARTS_MAX times in KEEPER_WINDOW_NS; it does nothing
 * else, so that there is nothing in it to crash. If the keeper is killed, the worker gets SIGTERM
 * from the kernel and undoes by itself; if both are killed, the next start (or `czd --undo`) does.
 */
#pragma once
#include <stdint.h>

#define KEEPER_RESTARTS_MAX 3
#define KEEPER_WINDOW_NS    (60ull * 1000000000)

/* Worker exit codes the keeper does not answer with a restart. */
#define EXIT_USAGE	2
#define EXIT_CANNOT_RUN 3

/* worker(arg) runs in the child, undo(arg) in another one. Returns the exit code of the whole. */
int keeper_run(int (*worker)(void *arg), int (*undo)(void *arg), void *arg);
