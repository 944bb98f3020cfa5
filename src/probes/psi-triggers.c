/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own word when tasks of a protected zone, or of the host, begin to stall on memory or
 * io: czd then looks at once instead of at its next tick. What it finds is the other probes'
 * affair.
 *
 * A trigger forgets its event when it is polled, and whoever waits for an epoll fd within another
 * polls: so the loop learns that one of them fired, not which, and needs no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "probes/internal.h"

#define STALL_NS       100000000ull
#define WINDOW_NS      1000000000ull
#define SLOW_STALL_NS  200000000ull /* for those who may have windows of 2 s only */
#define SLOW_WINDOW_NS 2000000000ull

static const char *const zone_files[] = {"memory.pressure", "io.pressure"};
static const char *const host_files[] = {"proc/pressure/memory", "proc/pressure/io"};
#define FILES ARRAY_SIZE(zone_files)

struct triggers {
	int fds[FILES]; /* -1: none */
};
struct psi_triggers {
	int epoll_fd;
	struct triggers host;
	struct hash zones; /* zone id -> struct triggers */
};

static void close_triggers(struct triggers *t)
{
	for (size_t i = 0; i < FILES; i++)
		close_fd(&t->fds[i]); /* and out of the epoll set */
}

static void triggers_close(void *state)
{
	struct psi_triggers *s = state;

	if (!s)
		return;
	hash_for_each(&s->zones, e) {
		close_triggers(e->value);
		free(e->value);
	}
	hash_done(&s->zones);
	close_triggers(&s->host);
	close_fd(&s->epoll_fd);
	free(s);
}
DEFINE_CLEANUP(void *, triggers_close)

/* 0, or why the first could not be had. */
static int open_triggers(struct psi_triggers *s, int dirfd, const char *const files[FILES],
			 struct triggers *t)
{
	struct epoll_event ev = {.events = EPOLLPRI};
	int first = 0;

	for (size_t i = 0; i < FILES; i++) {
		int fd = psi_trigger_open(dirfd, files[i], STALL_NS, WINDOW_NS);

		if (fd == -EINVAL || fd == -EPERM)
			fd = psi_trigger_open(dirfd, files[i], SLOW_STALL_NS, SLOW_WINDOW_NS);
		if (fd >= 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
			close_fd(&fd);
		t->fds[i] = fd < 0 ? -1 : fd;
		if (i == 0)
			first = fd < 0 ? fd : 0;
	}
	return first;
}

static int triggers_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	_cleanup_(triggers_closep) void *state = NULL;
	struct psi_triggers *s;
	int r;

	if (p->k->captured) {
		snprintf(why, size, "a captured machine does not stall");
		return -EOPNOTSUPP;
	}
	state = s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->host = (struct triggers){{-1, -1}};
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	r = open_triggers(s, p->k->root_fd, host_files, &s->host);
	if (r < 0) {
		snprintf(why, size, "the kernel allows no PSI trigger here: %s", strerror(-r));
		return -EOPNOTSUPP;
	}
	*ret_state = TAKE_PTR(state);
	return 0;
}

static int triggers_read(void *state, struct probes *p, struct probe_zone *z)
{
	_cleanup_close_ int dirfd = -1;
	struct psi_triggers *s = state;
	struct triggers *t;

	if (z->interest != PROBE_PROTECTED || !z->parent || hash_get(&s->zones, z->id) ||
	    !cgroup_has(p->fs, CG_UNIFIED))
		return 0;
	t = malloc(sizeof(*t));
	if (!t || hash_put(&s->zones, z->id, t) < 0) {
		free(t);
		return -ENOMEM;
	}
	*t = (struct triggers){{-1, -1}};
	dirfd = cgroup_open(p->fs, CG_UNIFIED, z->path, 0);
	return dirfd < 0 ? dirfd : open_triggers(s, dirfd, zone_files, t);
}

static void triggers_forget(void *state, const struct probe_zone *z)
{
	struct triggers *t = hash_remove(&((struct psi_triggers *)state)->zones, z->id);

	if (t)
		close_triggers(t);
	free(t);
}

int psi_triggers_fd(const void *state)
{
	return ((const struct psi_triggers *)state)->epoll_fd;
}

const struct probe probe_psi_triggers = {
    .name = "psi_triggers",
    .summary = "looks at once when a protected zone or the host stalls on memory or io",
    .needs = "PSI triggers: the right to write to pressure files",
    .when = WHEN_PROTECTED,
    .open = triggers_open,
    .close = triggers_close,
    .read = triggers_read,
    .forget = triggers_forget,
};
