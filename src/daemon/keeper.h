/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a tiny parent that outlives the worker. When the worker dies it undoes the journal
 * and starts a new one, at most KEEPER_RESTARTS_MAX times in KEEPER_WINDOW_NS; a worker that is
 * silent for too long (hung, or stopped by a debugger: its knobs are held all the same) it kills.
 * It does nothing else, so that there is nothing in it to crash. If the keeper is killed, the
 * worker gets SIGTERM from the kernel and undoes by itself; if both are killed, the next start (or
 * `czd --undo`) does.
 */
#pragma once
#include <stdint.h>

#define KEEPER_RESTARTS_MAX 3
#define KEEPER_WINDOW_NS    (60ull * 1000000000)

/* Worker exit codes the keeper does not answer with a restart. */
#define EXIT_USAGE	2
#define EXIT_CANNOT_RUN 3

/* So long may a worker need before its first sign of life. */
#define KEEPER_START_NS (120ull * 1000000000)
/* And so many of its ticks it may be silent at least. */
#define KEEPER_TICKS 5

struct keeper_options {
	int (*worker)(void *arg); /* in a child */
	int (*undo)(void *arg);	  /* in another one */
	void *arg;
	uint64_t watchdog_ns; /* longest silence; 0: never mind */
	int *ret_beat_fd;     /* set in the worker: for keeper_beat() */
};
/* Returns the exit code of the whole. */
int keeper_run(const struct keeper_options *o);
/* The worker lives: once a tick. fd -1: there is no keeper. */
void keeper_beat(int fd, uint64_t tick_ns);
