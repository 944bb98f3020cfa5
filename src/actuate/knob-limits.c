/* SPDX-License-Identifier: MIT */
/*
 * memory.high and io.max.
 *
 * memory.high on v2 is the kernel's: beyond it a group is throttled and its own pages are taken.
 * Written without blocking where the kernel knows how (6.16), so that the culprit reclaims, not
 * czd; elsewhere, and on v1, by a child that is killed when reclaim takes long, since czd has other
 * work. By then v2 has the limit; v1 never sets it once a signal is pending. v1 has only a hard
 * limit, at which it would kill: so first its OOM killer is told to let tasks wait instead
 * (oom_control), then comes the limit: first at what the group holds, then lower in steps, so that
 * the group helps to take back its own pages instead of filling up again what is taken. The kernel
 * refuses a limit below what it cannot take back at once (EBUSY): anonymous memory without swap
 * stays, until it is freed. So that is tried for a while: programs that allocate and free are
 * below it now and then.
 *
 * io.max limits bytes a second, reads and writes each, on every disk that the group has used. A
 * stricter limit that somebody else set stays as it is.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "actuate/knob-lines.h"
#include "actuate/knobs.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"

#define UNLIMITED_V1 (1ull << 62) /* and above */
#define DEVICES_MAX  4
#define STAT_MAX     16384
#define RECLAIM_MS   1000 /* v2 */
#define STEP_MS	     350  /* v1, each */
#define RETRY_NS     2000000
#define STEPS_V1     4
#define MIB	     (1ull << 20)
#define KILLED_MS    50

bool limit_valid(const char *to)
{
	uint64_t bytes;

	return parse_u64(to, &bytes) >= 0 && bytes >= 4096;
}

static uint64_t limit_of(const char *text)
{
	uint64_t v;

	return !strcmp(text, "max") || parse_u64(text, &v) < 0 || v >= UNLIMITED_V1 ? UINT64_MAX
										    : v;
}

int memory_high_get(const struct knob_target *t, char *buf, size_t size)
{
	int r = knob_file_read(t->dirfd, t->v2 ? KF_MEM_HIGH : KF_MEM_LIMIT, t->v2, buf, size);

	if (r >= 0 && limit_of(buf) == UINT64_MAX)
		return str_copy(buf, size, "max") ? 0 : -ENAMETOOLONG;
	return r;
}

static int write_here(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* What the child exited with, an errno; -ETIMEDOUT: not in time, or killed. */
static int child_wait(int pidfd, int timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	siginfo_t info = {0};

	if (poll(&p, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		return -errno;
	return info.si_code == CLD_EXITED ? -info.si_status : -ETIMEDOUT;
}

/* Until it is killed. */
static int write_again_and_again(int dirfd, const char *name, const char *text)
{
	struct timespec pause = {.tv_nsec = RETRY_NS};
	int r;

	while ((r = write_here(dirfd, name, text)) == -EBUSY)
		nanosleep(&pause, NULL);
	return r;
}

static int write_in_child(int dirfd, const char *name, bool v2, const char *text)
{
	_cleanup_close_ int pidfd = -1;
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(-(v2 ? write_here(dirfd, name, text)
			   : write_again_and_again(dirfd, name, text)));
	}
	pidfd = pidfd_open(pid, 0);
	r = pidfd < 0 ? -ETIMEDOUT : child_wait(pidfd, v2 ? RECLAIM_MS : STEP_MS);
	if (r != -ETIMEDOUT)
		return r;
	kill(pid, SIGKILL);
	/* Even then it may take its time to end: better a zombie than a czd that stands still. */
	if (pidfd >= 0)
		(void)child_wait(pidfd, KILLED_MS);
	return v2 ? 0 : -EBUSY; /* v2: reading back tells */
}

int memory_limit_write(int dirfd, const char *name, bool v2, const char *text)
{
	char now[KNOB_TEXT_MAX];

	if (read_file_at(dirfd, name, now, sizeof(now)) >= 0) {
		now[strcspn(now, "\n")] = '\0';
		if (limit_of(text) >= limit_of(now))
			return write_here(dirfd, name, text); /* nothing to reclaim */
	}
	return write_in_child(dirfd, name, v2, text);
}

/* On v2 this group may lack what others have: that says nothing about the host. */
static int missing(const struct knob_target *t, enum knob_file f, struct error *reterr)
{
	int r = knob_explain_missing(t, f, reterr);

	return t->v2 ? -ENODATA : r;
}

static int read_here(const struct knob_target *t, enum knob_file f, char *buf, size_t size,
		     struct error *reterr)
{
	int r = knob_file_read(t->dirfd, f, t->v2, buf, size);

	return r == -EOPNOTSUPP ? missing(t, f, reterr) : r;
}

/* v1: from old to `to` by way of what it holds now. */
static int add_steps(const struct knob_target *t, const char *old, const char *to, struct entry *e)
{
	char from[KNOB_TEXT_MAX], text[KNOB_TEXT_MAX];
	uint64_t holds, goal = limit_of(to), at;
	int r = str_copy(from, sizeof(from), old) ? 0 : -ENAMETOOLONG;

	if (r < 0 || read_file_at(t->dirfd, "memory.usage_in_bytes", text, sizeof(text)) < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	holds = limit_of(text);
	for (unsigned int i = 0; r >= 0 && i < STEPS_V1 && holds > goal; i++) {
		at = (goal + (holds - goal) / STEPS_V1 * (STEPS_V1 - i) + MIB) / MIB * MIB;
		if (at >= limit_of(from))
			continue;
		r = str_printf(text, sizeof(text), "%llu", (unsigned long long)at);
		if (r >= 0)
			r = entry_add(e, KF_MEM_LIMIT, t->id, t->path, from, text);
		memcpy(from, text, sizeof(from));
	}
	return r < 0 ? r : entry_add(e, KF_MEM_LIMIT, t->id, t->path, from, to);
}

int memory_high_plan(const struct knob_target *t, const char *to, struct entry *e,
		     struct error *reterr)
{
	enum knob_file f = t->v2 ? KF_MEM_HIGH : KF_MEM_LIMIT;
	char old[KNOB_TEXT_MAX], pause[KNOB_TEXT_MAX];
	int r = read_here(t, f, old, sizeof(old), reterr);

	if (r >= 0)
		r = memory_high_get(t, e->from, sizeof(e->from));
	if (r < 0 || limit_of(old) <= limit_of(to))
		return r;
	if (!t->v2) {
		r = read_here(t, KF_OOM_PAUSE, pause, sizeof(pause), reterr);
		if (r >= 0)
			r = entry_add(e, KF_OOM_PAUSE, t->id, t->path, pause, "1");
	}
	if (r < 0)
		return r;
	return t->v2 ? entry_add(e, f, t->id, t->path, old, to) : add_steps(t, old, to, e);
}

/* "254:0 rbytes=1 wbytes=0 ..." or "254:0 Total 1": the device, if it was used. */
static bool used_device(const char *line, bool v2, char *dev, size_t size)
{
	unsigned long long a = 0, b = 0;
	char name[32];

	if (v2 ? sscanf(line, "%31s rbytes=%llu wbytes=%llu", name, &a, &b) < 2
	       : sscanf(line, "%31s Total %llu", name, &a) < 2)
		return false;
	return a + b && strchr(name, ':') && str_copy(dev, size, name);
}

struct devices {
	size_t nr;
	char names[DEVICES_MAX][32];
};

static int devices_read(const struct knob_target *t, struct devices *ret, struct error *reterr)
{
	const char *file = t->v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive";
	char text[STAT_MAX], *rest = text, *line;
	ssize_t n = read_file_at(t->dirfd, file, text, sizeof(text));

	if (n < 0)
		return error_errno(reterr, (int)n, "read %s of %s", file, t->path);
	ret->nr = 0;
	while ((line = strsep(&rest, "\n")) && ret->nr < DEVICES_MAX)
		if (used_device(line, t->v2, ret->names[ret->nr], sizeof(ret->names[0])))
			ret->nr++;
	if (!ret->nr)
		return error_set(reterr, -ENODATA, "%s has used no disk", t->path);
	return 0;
}

int io_max_get(const struct knob_target *t, char *buf, size_t size)
{
	int r = knob_file_read(t->dirfd, t->v2 ? KF_IO_MAX : KF_IO_READ, t->v2, buf, size);

	if (r >= 0 && !buf[0] && !t->v2)
		r = knob_file_read(t->dirfd, KF_IO_WRITE, t->v2, buf, size);
	return r >= 0 && !buf[0] ? (str_copy(buf, size, "max") ? 0 : -ENAMETOOLONG) : r;
}

static void smaller(char *limit, size_t size, const char *to)
{
	if (limit_of(to) < limit_of(limit))
		str_copy(limit, size, to);
}

/* The line of dev with the limit put in, where it is the stricter one. */
static int limit_line(const char *old, const char *dev, bool v2, const char *to, char *buf,
		      size_t size)
{
	char r[32] = "max", w[32] = "max", ri[32] = "max", wi[32] = "max";

	if (!v2) {
		if (old)
			sscanf(old, "%*s %31s", r);
		smaller(r, sizeof(r), to);
		return str_printf(buf, size, "%s %s", dev, r);
	}
	if (old)
		sscanf(old, "%*s rbps=%31s wbps=%31s riops=%31s wiops=%31s", r, w, ri, wi);
	smaller(r, sizeof(r), to);
	smaller(w, sizeof(w), to);
	return str_printf(buf, size, "%s rbps=%s wbps=%s riops=%s wiops=%s", dev, r, w, ri, wi);
}

static int plan_lines(const struct knob_target *t, enum knob_file f, const struct devices *devs,
		      const char *to, struct entry *e, struct error *reterr)
{
	char old[KNOB_TEXT_MAX], new[KNOB_TEXT_MAX], line[128], was[128];
	int r = read_here(t, f, old, sizeof(old), reterr);

	if (r >= 0)
		r = str_copy(new, sizeof(new), old) ? 0 : -ENAMETOOLONG;
	for (size_t i = 0; i < devs->nr && r >= 0; i++) {
		bool had = lines_get(old, devs->names[i], was, sizeof(was));

		r = limit_line(had ? was : NULL, devs->names[i], t->v2, to, line, sizeof(line));
		if (r >= 0)
			r = lines_set(new, sizeof(new), devs->names[i], line);
	}
	if (r == -ENAMETOOLONG)
		return error_set(reterr, -E2BIG, "%s has too many limits on disks of its own",
				 t->path);
	return r < 0 ? r : entry_add(e, f, t->id, t->path, old, new);
}

int io_max_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr)
{
	struct devices devs;
	int r = io_max_get(t, e->from, sizeof(e->from));

	if (r == -EOPNOTSUPP)
		return missing(t, t->v2 ? KF_IO_MAX : KF_IO_READ, reterr);
	if (r >= 0)
		r = devices_read(t, &devs, reterr);
	if (r < 0)
		return r;
	if (t->v2)
		return plan_lines(t, KF_IO_MAX, &devs, to, e, reterr);
	r = plan_lines(t, KF_IO_READ, &devs, to, e, reterr);
	return r < 0 ? r : plan_lines(t, KF_IO_WRITE, &devs, to, e, reterr);
}
