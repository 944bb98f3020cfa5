/* SPDX-License-Identifier: MIT */
#include "cli/profile-internal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "model/zone.h"

#define PER_SECOND 499
#define PERIOD_NS  2003000 /* the same, in step with no timer */
#define DRAIN_MS   20
#define RING_PAGES 64
#define DEPTH_MAX  127
#define STACKS_MAX 65536 /* different ones */
#define COMMS_MAX  4096

static void rings_close(struct sampler *s)
{
	for (size_t i = 0; i < s->nr_rings; i++)
		perf_ring_close(&s->rings[i]);
	s->nr_rings = 0;
}

static void comms_done(struct sampler *s)
{
	hash_for_each(&s->comms, e)
		free(e->value);
	hash_done(&s->comms);
}

static void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	rings_close(s);
	for (size_t i = 0; i < s->nr_processes; i++)
		close_fd(&s->processes[i].procfd);
	hash_for_each(&s->chains, e)
		free(e->value);
	hash_done(&s->chains);
	hash_done(&s->processes_by_pid);
	hash_done(&s->is_member);
	comms_done(s);
	free(s->rings);
	cgroup_fs_close(&s->fs);
	kernel_close(&s->kernel);
	free(s);
}
DEFINE_CLEANUP(struct sampler *, sampler_free)

/* --- whose sample it is */

static bool is_below(const char *path, const char *zone)
{
	size_t n = strlen(zone);

	return !strcmp(zone, "/") || (!strncmp(path, zone, n) && (!path[n] || path[n] == '/'));
}

enum member { UNKNOWN, NO, YES }; /* UNKNOWN: NULL in the hash */

static enum member thread_asked(const struct sampler *s, pid_t tid)
{
	char path[ZONE_PATH_MAX];

	if (cgroup_path_of_pid(&s->kernel, &s->fs, CG_CPU, tid, path, sizeof(path)) < 0)
		return UNKNOWN;
	return is_below(path, s->path) ? YES : NO;
}

static enum member thread_is_member(struct sampler *s, pid_t tid)
{
	enum member m;

	if (!tid)
		return NO; /* the idle task */
	if (s->out->by_cgroup)
		return YES;
	m = (enum member)(uintptr_t)hash_get(&s->is_member, (uint64_t)tid);
	if (m != UNKNOWN)
		return m;
	m = thread_asked(s, tid);
	if (m != UNKNOWN && hash_put(&s->is_member, (uint64_t)tid, (void *)(uintptr_t)m) < 0)
		return m; /* asked again next time */
	return m;
}

/* --- samples */

/* Its place; PROCESSES_MAX: there are too many. */
static size_t process_of(struct sampler *s, pid_t pid)
{
	struct process *p = hash_get(&s->processes_by_pid, (uint64_t)pid);
	const char *comm = hash_get(&s->comms, (uint64_t)pid);
	char path[32];

	if (p)
		return (size_t)(p - s->processes);
	if (s->nr_processes == PROCESSES_MAX)
		return PROCESSES_MAX;
	p = &s->processes[s->nr_processes];
	snprintf(path, sizeof(path), "/proc/%d", pid);
	*p = (struct process){.pid = pid};
	str_copy(p->comm, sizeof(p->comm), comm ? comm : "(ended)");
	p->procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->procfd >= 0 && read_file_at(p->procfd, "comm", p->comm, sizeof(p->comm)) > 0)
		p->comm[strcspn(p->comm, "\n")] = '\0';
	if (hash_put(&s->processes_by_pid, (uint64_t)pid, p) < 0) {
		close_fd(&p->procfd);
		return PROCESSES_MAX;
	}
	return s->nr_processes++;
}

static uint64_t chain_key(pid_t pid, const uint64_t *addrs, uint32_t nr)
{
	uint64_t key = hash_u64((uint64_t)pid);

	for (uint32_t i = 0; i < nr; i++)
		key = hash_u64(key ^ addrs[i]);
	return key;
}

/* False: there is no room for it. */
static bool count_chain(struct sampler *s, pid_t pid, const uint64_t *addrs, uint32_t nr,
			uint32_t nr_kernel)
{
	uint64_t key = chain_key(pid, addrs, nr);
	struct chain *c = hash_get(&s->chains, key);
	size_t process;

	if (!c) {
		process = process_of(s, pid);
		if (process == PROCESSES_MAX || s->chains.count == STACKS_MAX)
			return false;
		c = malloc(sizeof(*c) + nr * sizeof(*addrs));
		if (!c)
			return false;
		*c = (struct chain){.process = process, .nr = nr, .nr_kernel = nr_kernel};
		memcpy(c->addrs, addrs, nr * sizeof(*addrs));
		if (hash_put(&s->chains, key, c) < 0) {
			free(c);
			return false;
		}
	}
	c->samples++;
	s->processes[c->process].samples++;
	return true;
}

/* exec() of a process, which may end before it could be looked at. */
static void take_comm(struct sampler *s, const uint64_t *words, size_t nr_words)
{
	uint32_t pid = (uint32_t)words[0], tid = (uint32_t)(words[0] >> 32);
	struct process *p = hash_get(&s->processes_by_pid, pid);
	char *comm;

	if (pid != tid)
		return;
	if (s->comms.count == COMMS_MAX)
		comms_done(s);
	comm = strndup((const char *)(words + 1), (nr_words - 1) * sizeof(*words));
	if (comm && p)
		str_copy(p->comm, sizeof(p->comm), comm);
	if (!comm || p) {
		free(comm);
		return;
	}
	free(hash_remove(&s->comms, pid));
	if (hash_put(&s->comms, pid, comm) < 0)
		free(comm);
}

static void take_record(void *arg, uint32_t type, const uint64_t *words, size_t nr_words)
{
	struct sampler *s = arg;
	uint64_t addrs[DEPTH_MAX];
	uint32_t nr, nr_kernel;
	enum member m;

	if (type == PERF_RECORD_LOST && nr_words > 1)
		s->out->lost += words[1];
	if (type == PERF_RECORD_COMM && nr_words > 1)
		take_comm(s, words, nr_words);
	if (type != PERF_RECORD_SAMPLE || nr_words < 2)
		return;
	m = thread_is_member(s, (pid_t)(words[0] >> 32));
	s->out->untold += m == UNKNOWN;
	if (m != YES)
		return;
	nr = perf_callchain(words + 1, nr_words - 1, addrs, DEPTH_MAX, &nr_kernel);
	if (count_chain(s, (pid_t)(uint32_t)words[0], addrs, nr, nr_kernel))
		s->out->samples++;
	else
		s->out->lost++;
}

static void sample_for(struct sampler *s, uint64_t for_ns)
{
	uint64_t start_ns = clock_mono_ns(), end_ns = start_ns + for_ns;

	do {
		poll(NULL, 0, DRAIN_MS);
		hash_done(&s->is_member); /* tasks move and ids come again */
		for (size_t i = 0; i < s->nr_rings; i++)
			perf_ring_drain(&s->rings[i], take_record, s);
	} while (clock_mono_ns() < end_ns);
	s->out->for_ns = clock_mono_ns() - start_ns;
}

/* --- events */

static const struct event {
	const char *name;
	uint32_t type;
	uint64_t config;
	bool by_frequency;
} events[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, true},
    {"CPU clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, false},
};

static int event_open(const struct event *e, int cgroupfd, int cpu)
{
	struct perf_event_attr attr = {
	    .size = sizeof(attr),
	    .type = e->type,
	    .config = e->config,
	    .freq = e->by_frequency,
	    .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN,
	    .comm = 1,
	    .exclude_hv = 1,
	    .exclude_idle = !e->by_frequency, /* not every PMU can */
	};
	unsigned long flags = PERF_FLAG_FD_CLOEXEC | (cgroupfd >= 0 ? PERF_FLAG_PID_CGROUP : 0);

	if (e->by_frequency)
		attr.sample_freq = PER_SECOND;
	else
		attr.sample_period = PERIOD_NS;
	return (int)syscall(SYS_perf_event_open, &attr, cgroupfd, cpu, -1, flags);
}

/* One CPU's; a CPU that is off has none. */
static int ring_open(struct sampler *s, const struct event *e, int cgroupfd, int cpu)
{
	int fd = event_open(e, cgroupfd, cpu), r;

	if (fd < 0)
		return errno == ENODEV ? 0 : -errno;
	r = perf_ring_open(&s->rings[s->nr_rings], fd, RING_PAGES);
	s->nr_rings += r == 0;
	return r;
}

static int open_on_all_cpus(struct sampler *s, const struct event *e, int cgroupfd, long cpus)
{
	int r = 0;

	rings_close(s);
	s->out->event = e->name;
	for (int cpu = 0; cpu < cpus && r == 0; cpu++)
		r = ring_open(s, e, cgroupfd, cpu);
	return r;
}

static int refused(int code, struct error *reterr)
{
	if (code != -EACCES && code != -EPERM)
		return error_errno(reterr, code, "sample");
	error_set(reterr, code,
		  "sampling a zone takes CAP_PERFMON, or root: its tasks run on any CPU");
	error_hint(reterr, "Try: sudo czctl flame ZONE");
	return code;
}

static int rings_open(struct sampler *s, int cgroupfd, struct error *reterr)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int r;

	s->rings = calloc((size_t)cpus, sizeof(*s->rings));
	if (!s->rings)
		return error_errno(reterr, -ENOMEM, "sample");
	r = open_on_all_cpus(s, &events[0], cgroupfd, cpus);
	if (r == -ENOENT || r == -EOPNOTSUPP || r == -ENODEV) /* no PMU */
		r = open_on_all_cpus(s, &events[1], cgroupfd, cpus);
	return r < 0 ? refused(r, reterr) : 0;
}

/* --- the cgroup */

static int count_pid(pid_t pid, void *arg)
{
	++*(size_t *)arg;
	return 0;
}

/* The v2 cgroup of the zone, if its tasks are in there; else -1. On a hybrid host the same path may
 * be there without them. */
static int v2_cgroup(const struct sampler *s, int cpufd)
{
	_cleanup_close_ int fd = -1;
	size_t here = 0, there = 0;

	if (!cgroup_has(&s->fs, CG_UNIFIED))
		return -1;
	fd = cgroup_open(&s->fs, CG_UNIFIED, s->path, 0);
	if (fd < 0)
		return -1;
	if (!cgroup_is_v2(&s->fs, CG_CPU) &&
	    (cgroup_each_pid(cpufd, count_pid, &here) < 0 ||
	     cgroup_each_pid(fd, count_pid, &there) < 0 || !here || here != there))
		return -1;
	return TAKE_FD(fd);
}

static int cgroup_events(struct sampler *s, struct error *reterr)
{
	_cleanup_close_ int cpufd = cgroup_open(&s->fs, CG_CPU, s->path, 0), fd = -1;

	if (cpufd < 0)
		return error_errno(reterr, cpufd, "cgroup %s", s->path);
	fd = v2_cgroup(s, cpufd);
	s->out->by_cgroup = fd >= 0;
	return rings_open(s, fd, reterr);
}

int profile_zone(const char *path, uint64_t for_ns, struct profile *ret, struct error *reterr)
{
	_cleanup_(sampler_freep) struct sampler *s = calloc(1, sizeof(*s));
	int r;

	*ret = (struct profile){.per_second = PER_SECOND};
	if (!s)
		return error_errno(reterr, -ENOMEM, "sample");
	s->path = path;
	s->out = ret;
	s->kernel.root_fd = -1;
	r = kernel_open("/", &s->kernel, reterr);
	if (r == 0)
		r = cgroup_fs_open(&s->kernel, &s->fs, reterr);
	if (r == 0)
		r = cgroup_events(s, reterr);
	if (r < 0)
		return r;
	sample_for(s, for_ns);
	rings_close(s);
	r = profile_fold(s);
	return r < 0 ? error_errno(reterr, r, "name the samples") : 0;
}

void profile_done(struct profile *p)
{
	folded_done(&p->stacks);
}
