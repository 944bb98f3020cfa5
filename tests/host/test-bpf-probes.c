/* SPDX-License-Identifier: MIT */
/*
 * Probes that are BPF programs, against what the work itself knows: system calls of 64 threads that
 * move between CPUs, counted exactly and timed within 1 %. Own cgroups only: cz-test-bpf-*.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "probes/probe.h"
#include "zones/zones.h"

#define TOP	   "cz-test-bpf"
#define NR_THREADS 64
#define NR_ROUNDS  100
#define SLEEP_NS   2000000

static struct kernel kernel;
static struct cgroup_fs fs;
static struct config config;
static struct probes *probes;
static struct zones *zones;
static char group[PATH_MAX], inner[PATH_MAX + 8];

/* Shared with the child that works. */
struct work {
	atomic_int ready, go, done;
	atomic_ullong calls, ns, cpus;
};
static struct work *work;

static void clean_up(void)
{
	for (int tries = 0; tries < 100 && rmdir(inner) < 0 && errno == EBUSY; tries++)
		usleep(10000);
	rmdir(group);
}

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #x);            \
			clean_up();                                                                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void on_add(const struct zone *z, void *arg)
{
	CHECK(probes_zone_add(probes, z->id, z->parent ? z->parent->id : 0, z->path) == 0);
}

static void on_remove(const struct zone *z, void *arg)
{
	probes_zone_remove(probes, z->id);
}

static void tick(void)
{
	while (zones_process(zones, clock_mono_ns(), NULL))
		;
	probes_tick_begin(probes, clock_mono_ns());
	while (probes_tick_step(probes, NULL))
		;
}

static uint64_t known(const char *path, enum zone_metric m)
{
	const struct zone *z = zones_by_path(zones, path);
	const struct zone_row *row;

	CHECK(z);
	row = probes_row(probes, z->id);
	CHECK(row && row->valid & METRIC_BIT(m));
	return row->value[m];
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* no system call: vdso */
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* One timed call; the time until the next is somebody else's. */
static long timed(long nr, void *a, void *b, void *c, uint64_t *ns)
{
	uint64_t start_ns = now_ns();
	long r = syscall(nr, a, b, c);

	*ns += now_ns() - start_ns;
	return r;
}

/* Waiting without a system call, until told, and for ever after. */
static void *thread(void *arg)
{
	uint64_t ns = 0, calls = 0, seen = 0;
	long nr_cpus = (long)(intptr_t)arg;

	atomic_fetch_add(&work->ready, 1);
	while (!atomic_load(&work->go))
		;
	for (int i = 0; i < NR_ROUNDS; i++) {
		struct timespec nap = {0, SLEEP_NS};
		cpu_set_t cpu;

		CPU_ZERO(&cpu);
		CPU_SET(i % nr_cpus, &cpu);
		timed(SYS_sched_setaffinity, NULL, (void *)sizeof(cpu), &cpu, &ns);
		timed(SYS_nanosleep, &nap, NULL, NULL, &ns);
		calls += 2;
		seen |= 1ull << (sched_getcpu() % 64);
	}
	atomic_fetch_add(&work->ns, ns);
	atomic_fetch_add(&work->calls, calls);
	atomic_fetch_or(&work->cpus, seen);
	atomic_fetch_add(&work->done, 1);
	while (atomic_load(&work->go) == 1)
		;
	return NULL;
}

static void run_threads(void)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < NR_THREADS; i++)
		if (pthread_create(&t, NULL, thread, (void *)(intptr_t)nr_cpus))
			_exit(1);
	while (atomic_load(&work->go) != 2)
		;
	_exit(0);
}

static void join_group(pid_t pid)
{
	char file[PATH_MAX + 32];
	FILE *f;

	snprintf(file, sizeof(file), "%s/cgroup.procs", inner);
	f = fopen(file, "we");
	CHECK(f);
	CHECK(fprintf(f, "%d", pid) > 0 && fclose(f) == 0);
}

static void wait_for(atomic_int *what, int n)
{
	for (int i = 0; i < 6000 && atomic_load(what) < n; i++)
		usleep(10000);
	CHECK(atomic_load(what) == n);
}

static void test_syscalls(void)
{
	uint64_t calls, ns, truth;
	pid_t pid = fork();

	if (pid == 0)
		run_threads();
	CHECK(pid > 0);
	join_group(pid);
	wait_for(&work->ready, NR_THREADS);
	tick();
	/* read whether it seems to run or not: our tasks are in the cpu controller's group only */
	probes_zone_interest(probes, zones_by_path(zones, "/" TOP "/in")->id, PROBE_PROTECTED);
	tick();
	calls = known("/" TOP, ZM_SYSCALLS);
	ns = known("/" TOP, ZM_SYSCALL_NS);
	atomic_store(&work->go, 1);
	wait_for(&work->done, NR_THREADS);
	tick();
	calls = known("/" TOP, ZM_SYSCALLS) - calls;
	ns = known("/" TOP, ZM_SYSCALL_NS) - ns;
	truth = atomic_load(&work->ns);
	printf("%llu calls, the probe says %llu; %llu us, the probe says %llu us; on CPUs %llx\n",
	       atomic_load(&work->calls), (unsigned long long)calls,
	       (unsigned long long)truth / 1000, (unsigned long long)ns / 1000,
	       atomic_load(&work->cpus));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(calls == atomic_load(&work->calls) && calls == 2 * NR_THREADS * NR_ROUNDS);
	CHECK(ns <= truth && ns >= truth - truth / 100);
	/* the calls of a zone are in those of the zones above it */
	CHECK(known("/" TOP "/in", ZM_SYSCALLS) >= calls);
}

int main(void)
{
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove};
	struct probes_options o;
	struct error err = {0};
	int r;

	config_defaults(&config);
	o = (struct probes_options){.fd_budget = config.fd_budget};
	if (geteuid() != 0) {
		puts("skip: needs root");
		return 77;
	}
	CHECK(kernel_open("/", &kernel, &err) == 0 && cgroup_fs_open(&kernel, &fs, &err) == 0);
	work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(work != MAP_FAILED);
	snprintf(group, sizeof(group), "%s/" TOP, fs.hierarchies[fs.of[CG_CPU]].mount);
	snprintf(inner, sizeof(inner), "%s/in", group);
	clean_up();
	CHECK(mkdir(group, 0755) == 0);
	if (cgroup_is_v2(&fs, CG_CPU)) {
		char file[PATH_MAX + 32];
		int fd;

		/* where the controller is not enabled below, tasks count for the group that has it
		 */
		snprintf(file, sizeof(file), "%s/cgroup.subtree_control", group);
		fd = open(file, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0 && write(fd, "+cpu", 4) == 4);
		close(fd);
	}
	CHECK(mkdir(inner, 0755) == 0);
	CHECK(probes_new(&kernel, &fs, &o, &probes) == 0);
	CHECK(zones_new(&kernel, &fs, &config, &ev, &zones, NULL) == 0);
	r = probes_switch(probes, "syscalls", true, NULL);
	if (r == -EOPNOTSUPP) {
		puts("skip: BPF is not allowed here");
		clean_up();
		return 77;
	}
	CHECK(r == 0);
	test_syscalls();
	CHECK(probes_switch(probes, "syscalls", false, "for a test") == 0);
	CHECK(!(probes_row(probes, zones_by_path(zones, "/" TOP)->id)->valid &
		METRIC_BIT(ZM_SYSCALLS)));
	zones_free(zones);
	probes_free(probes);
	clean_up();
	return 0;
}
