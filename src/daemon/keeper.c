/* SPDX-License-Identifier: MIT */
#include "daemon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

/* The keeper's own sleep is no silence of the worker: a frozen host has stopped both. */
#define SILENCE_STEP_NS 2000000000ull

/* The signs of life of one worker. */
struct watch {
	int fd; /* where they come from; -1: nobody watches */
	uint64_t limit_ns, start_limit_ns;
	uint64_t tick_ns; /* as it says; 0: no sign yet */
	uint64_t silent_ns, looked_ns;
};

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

void keeper_beat(int fd, uint64_t tick_ns)
{
	/* With a full pipe the keeper has signs enough. */
	if (fd >= 0 && write(fd, &tick_ns, sizeof(tick_ns)) < 0 && errno != EAGAIN)
		log_debug("the keeper does not listen: %m");
}

static bool is_silent(struct watch *w, uint64_t now_ns)
{
	uint64_t beats[64], gone_ns = now_ns - w->looked_ns, limit_ns = w->start_limit_ns;
	ssize_t n;

	if (w->fd < 0)
		return false;
	w->looked_ns = now_ns;
	w->silent_ns += gone_ns < SILENCE_STEP_NS ? gone_ns : SILENCE_STEP_NS;
	while ((n = read(w->fd, beats, sizeof(beats))) >= (ssize_t)sizeof(beats[0])) {
		w->tick_ns = beats[n / (ssize_t)sizeof(beats[0]) - 1];
		w->silent_ns = 0;
	}
	if (w->tick_ns)
		limit_ns = w->limit_ns > KEEPER_TICKS * w->tick_ns ? w->limit_ns
								   : KEEPER_TICKS * w->tick_ns;
	return w->silent_ns > limit_ns;
}

/* Waits for pid while passing signals on to it; after a stop request it has 10 s. Returns its
 * status. */
static int attend(pid_t pid, const sigset_t *set, bool *stopping, struct watch *w)
{
	uint64_t deadline_ns = UINT64_MAX;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		struct timespec second = {.tv_sec = 1};
		int sig = sigtimedwait(set, NULL, &second);

		sd_notify(0, "WATCHDOG=1"); /* the service's main process is this one */
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
		if (!*stopping && is_silent(w, clock_mono_ns())) {
			log_error("worker %d has given no sign of life for %llu s: killing it", pid,
				  (unsigned long long)(w->silent_ns / 1000000000));
			kill(pid, SIGKILL);
			close_fd(&w->fd);
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

/* Starts a worker and sees it to its end: its wait status, or -Exxx. */
static int run_worker(const struct keeper_options *o, const sigset_t *set, const sigset_t *mask,
		      bool *stopping)
{
	struct watch w = {.fd = -1, .looked_ns = clock_mono_ns(), .limit_ns = o->watchdog_ns};
	int ends[2] = {-1, -1}, status = -EAGAIN;
	pid_t pid;

	w.start_limit_ns = w.limit_ns > KEEPER_START_NS ? w.limit_ns : KEEPER_START_NS;
	if (o->watchdog_ns && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		log_warn("keeper: a worker that hangs will not be noticed: %m");
	*o->ret_beat_fd = ends[1];
	pid = spawn(o->worker, o->arg, mask);
	if (pid < 0)
		status = -errno;
	close_fd(&ends[1]);
	*o->ret_beat_fd = -1;
	w.fd = ends[0];
	if (pid > 0)
		status = attend(pid, set, stopping, &w);
	close_fd(&w.fd);
	return status;
}

int keeper_run(const struct keeper_options *o)
{
	uint64_t starts[KEEPER_RESTARTS_MAX] = {0};
	bool stopping = false;
	sigset_t set, old;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, &old);

	for (;;) {
		struct watch nobody = {.fd = -1};
		int status = run_worker(o, &set, &old, &stopping), code;
		pid_t pid;

		if (status < 0) {
			log_error("keeper: cannot start the worker: %s", strerror(-status));
			return EXIT_FAILURE;
		}
		code = exit_code(status);
		if (code == 0 || code == EXIT_USAGE || code == EXIT_CANNOT_RUN)
			return code;
		log_error("the worker died (%s %d): undoing what it had changed",
			  WIFSIGNALED(status) ? "signal" : "exit code",
			  WIFSIGNALED(status) ? WTERMSIG(status) : code);
		/* Stopping is no reason to leave an undo half done: its signals stay blocked. */
		pid = spawn(o->undo, o->arg, &set);
		if (pid > 0)
			attend(pid, &set, &stopping, &nobody);
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
