/* SPDX-License-Identifier: MIT */
#include "daemon/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

static pid_t spawn(int (*fn)(void *), void *arg, const sigset_t *mask)
{
	pid_t keeper = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != keeper) /* it died before the line above */
		_exit(EXIT_FAILURE);
	sigprocmask(SIG_SETMASK, mask, NULL);
	exit(fn(arg));
}

/* Waits for pid while passing signals on to it; after a stop request it has 10 s. Returns its
 * status. */
static int attend(pid_t pid, const sigset_t *set, bool *stopping)
{
	uint64_t deadline_ns = UINT64_MAX;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		struct timespec second = {.tv_sec = 1};
		int sig = sigtimedwait(set, NULL, &second);

		if (sig == SIGTERM || sig == SIGINT) {
			if (!*stopping)
				deadline_ns = clock_mono_ns() + 10ull * 1000000000;
			*stopping = true;
			kill(pid, SIGTERM);
		} else if (sig == SIGHUP) {
			kill(pid, SIGHUP);
		}
		if (clock_mono_ns() > deadline_ns) {
			kill(pid, SIGKILL);
			deadline_ns = UINT64_MAX;
		}
	}
	return status;
}

static int exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool restart_allowed(uint64_t starts[KEEPER_RESTARTS_MAX], uint64_t now_ns)
{
	if (starts[0] && now_ns - starts[0] < KEEPER_WINDOW_NS)
		return false;
	memmove(starts, starts + 1, (KEEPER_RESTARTS_MAX - 1) * sizeof(starts[0]));
	starts[KEEPER_RESTARTS_MAX - 1] = now_ns;
	return true;
}

int keeper_run(int (*worker)(void *arg), int (*undo)(void *arg), void *arg)
{
	uint64_t starts[KEEPER_RESTARTS_MAX] = {0};
	bool stopping = false;
	sigset_t set, old;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, &old);

	for (;;) {
		pid_t pid = spawn(worker, arg, &old);
		int status, code;

		if (pid < 0) {
			log_error("keeper: cannot start the worker: %s", strerror(errno));
			return EXIT_FAILURE;
		}
		status = attend(pid, &set, &stopping);
		code = exit_code(status);
		if (code == 0 || code == EXIT_USAGE || code == EXIT_CANNOT_RUN)
			return code;
		log_error("worker %d died (%s %d): undoing what it had changed", pid,
			  WIFSIGNALED(status) ? "signal" : "exit code",
			  WIFSIGNALED(status) ? WTERMSIG(status) : code);
		/* Stopping is no reason to leave an undo half done: its signals stay blocked. */
		pid = spawn(undo, arg, &set);
		if (pid > 0)
			attend(pid, &set, &stopping);
		if (stopping)
			return code;
		if (!restart_allowed(starts, clock_mono_ns())) {
			log_error("worker died more than %d times in a minute: giving up; the host "
				  "is as it was found",
				  KEEPER_RESTARTS_MAX);
			return EXIT_FAILURE;
		}
	}
}
