/* SPDX-License-Identifier: MIT */
#include "vm/libvirt-reap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"

/* Left to init, and another program by now: not one that libvirt waits for itself. */
static bool is_orphan(pid_t pid)
{
	char path[64], ours[32], theirs[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	return getsid(pid) != getsid(0) &&
	       read_file_at(AT_FDCWD, "/proc/self/comm", ours, sizeof(ours)) > 0 &&
	       read_file_at(AT_FDCWD, path, theirs, sizeof(theirs)) > 0 && strcmp(ours, theirs);
}

static void *run_reaper(void *arg)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (;;) {
		siginfo_t si = {0};

		if (waitid(P_ALL, 0, &si, WEXITED | WNOWAIT) == 0 && is_orphan(si.si_pid))
			waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
		else
			nanosleep(&pause, NULL);
	}
	return NULL;
}

int reap_orphans(void)
{
	pthread_t thread;

	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0
		   ? -errno
		   : -pthread_create(&thread, NULL, run_reaper, NULL);
}
