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
#include "check.h"

#define TOP	   "cz-test-bpf"
#define NR_THREADS 64
#define NR_ROUNDS  100
#define SLEEP_NS   2000000

static struct kernel kernel;
static struct cgroup_fs fs;
static struct config config;
static struct probes *probes;
static struct zones *zones;
static char group[PATH_MAX], inner[PATH_MAX + 8], hog_group[PATH_MAX + 8];

/* Shared with the child that works. */
struct work {
	atomic_int ready, go, done;
	atomic_ullong calls, ns, cpus;
};
static struct work *work;
static int start_pipe[2];

static void drop(const char *mount, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" TOP "%s", mount, name);
	for (int tries = 0; tries < 100 && rmdir(path) < 0 && errno == EBUSY; tries++)
		usleep(10000);
}

static void clean_up(void)
{
	static const char *const names[] = {"/in", "/hog", ""};
	static const enum cgroup_controller trees[] = {CG_CPU, CG_IO};

	for (size_t t = 0; t < ARRAY_SIZE(trees); t++)
		for (size_t i = 0; i < ARRAY_SIZE(names) && cgroup_has(&fs, trees[t]); i++)
			drop(fs.hierarchies[fs.of[trees[t]]].mount, names[i]);
}

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

/* Waits in calls that do not count: one that began before the probe did, and one without an end. */
static void *thread(void *arg)
{
	uint64_t ns = 0, calls = 0, seen = 0;
	long nr_cpus = (long)(intptr_t)arg;
	char c;

	atomic_fetch_add(&work->ready, 1);
	if (read(start_pipe[0], &c, 1) != 1)
		_exit(2);
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
	pause();
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
	pause();
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

static uint64_t errors(void)
{
	struct probes_stats st;

	probes_stats(probes, &st);
	return st.errors_total;
}

/* Reading this clock may be a system call itself, twice for each one that is timed. */
static int calls_a_round(void)
{
	char text[32] = "";
	_cleanup_close_ int fd =
	    open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		 O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	return !strncmp(text, "tsc", 3) || !strncmp(text, "kvm-clock", 9) ? 2 : 6;
}

/* The way into the kernel and back is the work's alone: nothing on a machine, 2 to 3 % of calls as
 * short as these where each instruction is emulated. */
static uint64_t may_lack(uint64_t ns)
{
	return ns / (getenv("CZ_GUEST") ? 20 : 100);
}

/* True: the work knows of the same time as the probe. Its count always is the same. */
static bool count_syscalls(void)
{
	uint64_t calls, ns, truth, truth_ns;
	int a_round = calls_a_round();
	char go[NR_THREADS] = {0};
	pid_t pid;

	memset(work, 0, sizeof(*work));
	CHECK(pipe(start_pipe) == 0);
	pid = fork();
	if (pid == 0)
		run_threads();
	CHECK(pid > 0);
	join_group(pid);
	wait_for(&work->ready, NR_THREADS);
	usleep(200000); /* until the last is in its read */
	CHECK(probes_switch(probes, "syscalls", true, NULL) == 0);
	tick();
	/* read whether it seems to run or not: our tasks are in the cpu controller's group only */
	probes_zone_interest(probes, zones_by_path(zones, "/" TOP "/in")->id, PROBE_PROTECTED);
	tick();
	CHECK(write(start_pipe[1], go, sizeof(go)) == sizeof(go));
	wait_for(&work->done, NR_THREADS);
	usleep(100000);
	tick();
	calls = known("/" TOP, ZM_SYSCALLS);
	ns = known("/" TOP, ZM_SYSCALL_NS);
	truth = (uint64_t)a_round * NR_THREADS * NR_ROUNDS;
	truth_ns = atomic_load(&work->ns);
	printf("%llu calls, the probe says %llu; %llu us, the probe says %llu us; on CPUs %llx\n",
	       (unsigned long long)truth, (unsigned long long)calls,
	       (unsigned long long)truth_ns / 1000, (unsigned long long)ns / 1000,
	       atomic_load(&work->cpus));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close_fd(&start_pipe[0]);
	close_fd(&start_pipe[1]);
	CHECK(errors() == 0);
	CHECK(calls == truth || a_round != calls_a_round());
	/* the calls of a zone are in those of the zones above it */
	CHECK(known("/" TOP "/in", ZM_SYSCALLS) == calls);
	probes_zone_interest(probes, zones_by_path(zones, "/" TOP "/in")->id, PROBE_NORMAL);
	CHECK(probes_switch(probes, "syscalls", false, "for a test") == 0);
	CHECK(!(probes_row(probes, zones_by_path(zones, "/" TOP)->id)->valid &
		METRIC_BIT(ZM_SYSCALLS)));
	return calls == truth && ns <= truth_ns + truth_ns / 100 &&
	       ns >= truth_ns - may_lack(truth_ns);
}

/* Where others use the machine, a thread loses its CPU between its clock and its call: again. */
static void test_syscalls(void)
{
	for (int tries = 0; tries < 5; tries++)
		if (count_syscalls())
			return;
	CHECK(!"the probe's time is within 1 % of the work's own");
}

#define IO_SIZE	 4096
#define NR_READS 300
static char io_groups[2][PATH_MAX];

/* Reads at the disk, past all caches, until the number is reached (0: for ever). */
static pid_t reader(const char *io_group, size_t size, uint64_t number)
{
	char file[PATH_MAX + 32], path[] = "/var/tmp/cz-test-bpf-XXXXXX";
	const char *disk = getenv("CZ_TEST_DISK");
	pid_t pid = fork();
	FILE *f;

	if (pid == 0) {
		int fd = disk ? open(disk, O_RDWR | O_DIRECT | O_CLOEXEC)
			      : mkostemp(path, O_DIRECT | O_CLOEXEC);
		uint64_t ns = 0, start_ns;
		void *buf = NULL;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fd < 0 || posix_memalign(&buf, 4096, 1 << 20))
			_exit(1);
		memset(buf, 1, 1 << 20);
		if (!disk)
			unlink(path);
		for (int i = 0; i < 8; i++)
			if (pwrite(fd, buf, 1 << 20, (off_t)i << 20) != 1 << 20)
				_exit(2);
		atomic_fetch_add(&work->ready, 1);
		while (!atomic_load(&work->go))
			usleep(1000);
		for (uint64_t i = 0; !number || i < number; i++) {
			/* small ones amid a piece that is its own: beside the other's they merge */
			off_t at = size < 1 << 20 ? (256 << 10) + (off_t)(i % 128 * size)
						  : (off_t)(i * size % (8 << 20));

			start_ns = now_ns();
			if (pread(fd, buf, size, at) != (ssize_t)size)
				_exit(3);
			ns += now_ns() - start_ns;
		}
		atomic_store(&work->ns, ns);
		atomic_fetch_add(&work->done, 1);
		pause();
	}
	CHECK(pid > 0);
	snprintf(file, sizeof(file), "%s/cgroup.procs", io_group);
	f = fopen(file, "we");
	CHECK(f);
	CHECK(fprintf(f, "%d", pid) > 0 && fclose(f) == 0);
	return pid;
}

/* The end of a request may go unseen: that shows when the next lies at its address, and is told. */
static bool is_told(uint64_t told)
{
	for (int i = 0; i < 1000 && errors() == told; i++) {
		usleep(10000);
		tick();
	}
	return errors() > told;
}

/* A zone that reads by small requests beside one that reads by large ones: its count and time are
 * those it knows of itself, and who had the disk is the other one, and itself. True: of all its
 * requests, and it did not wait for a CPU for most of the time. */
static bool count_requests(void)
{
	struct holder held[8];
	uint64_t requests, ns, truth_ns, sum_ns = 0, hog_ns = 0, told = errors();
	pid_t victim, hog;
	size_t n;

	memset(work, 0, sizeof(*work));
	victim = reader(io_groups[0], IO_SIZE, NR_READS);
	hog = reader(io_groups[1], 1 << 20, 0);
	wait_for(&work->ready, 2);
	tick();
	/* its tasks are in the io controller's group only: it would not seem to run */
	probes_zone_interest(probes, zones_by_path(zones, "/" TOP "/in")->id, PROBE_PROTECTED);
	probes_zone_interest(probes, zones_by_path(zones, "/" TOP "/hog")->id, PROBE_PROTECTED);
	tick();
	tick();
	requests = known("/" TOP "/in", ZM_IO_REQUESTS);
	ns = known("/" TOP "/in", ZM_IO_REQUEST_NS);
	atomic_store(&work->go, 1);
	wait_for(&work->done, 1);
	tick();
	requests = known("/" TOP "/in", ZM_IO_REQUESTS) - requests;
	ns = known("/" TOP "/in", ZM_IO_REQUEST_NS) - ns;
	truth_ns = atomic_load(&work->ns);
	n = probes_holders(probes, HELD_DISK, zones_by_path(zones, "/" TOP "/in")->id, held, 8);
	for (size_t i = 0; i < n; i++) {
		sum_ns += held[i].amount;
		hog_ns += held[i].zone_id == zones_by_path(zones, "/" TOP "/hog")->id
			      ? held[i].amount
			      : 0;
	}
	printf("%llu requests, %llu us, the zone itself says %d, %llu us; held %llu us, by the hog "
	       "%llu us; p99 %llu us\n",
	       (unsigned long long)requests, (unsigned long long)ns / 1000, NR_READS,
	       (unsigned long long)truth_ns / 1000, (unsigned long long)sum_ns / 1000,
	       (unsigned long long)hog_ns / 1000,
	       (unsigned long long)known("/" TOP "/in", ZM_IO_REQUEST_P99_NS) / 1000);
	CHECK(requests == NR_READS || (requests < NR_READS && is_told(told)));
	kill(victim, SIGKILL);
	kill(hog, SIGKILL);
	waitpid(victim, NULL, 0);
	waitpid(hog, NULL, 0);
	CHECK(ns < truth_ns);
	/* the shares add up to its own time, less what its requests spent in the io scheduler while
	 * the disk did nothing */
	CHECK(sum_ns <= ns + ns / 100 && sum_ns >= ns / 2);
	CHECK(hog_ns > 0 && hog_ns < sum_ns);
	CHECK(known("/" TOP "/in", ZM_IO_FOREIGN_NS) >= hog_ns);
	return requests == NR_READS && ns > truth_ns / 10;
}

static void test_block(void)
{
	for (int tries = 0; tries < 5; tries++)
		if (count_requests())
			return;
	CHECK(!"all requests of a zone are counted, and their time");
}

/* The groups of the io controller, which may be another tree. */
static void make_io_groups(void)
{
	const char *mount = fs.hierarchies[fs.of[CG_IO]].mount;

	snprintf(io_groups[0], PATH_MAX, "%s/" TOP "/in", mount);
	snprintf(io_groups[1], PATH_MAX, "%s/" TOP "/hog", mount);
	if (fs.of[CG_IO] != fs.of[CG_CPU]) {
		char top[PATH_MAX];

		snprintf(top, sizeof(top), "%s/" TOP, mount);
		CHECK(mkdir(top, 0755) == 0 && mkdir(io_groups[0], 0755) == 0 &&
		      mkdir(io_groups[1], 0755) == 0);
	}
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
	snprintf(hog_group, sizeof(hog_group), "%s/hog", group);
	clean_up();
	CHECK(mkdir(group, 0755) == 0);
	if (cgroup_is_v2(&fs, CG_CPU)) {
		char file[PATH_MAX + 32];
		int fd;

		/* where the controller is not enabled below, tasks count for the group that has it
		 */
		snprintf(file, sizeof(file), "%s/cgroup.subtree_control", group);
		fd = open(file, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0 && write(fd, "+cpu +io", 8) == 8);
		close(fd);
	}
	CHECK(mkdir(inner, 0755) == 0 && mkdir(hog_group, 0755) == 0);
	CHECK(probes_new(&kernel, &fs, &o, &probes) == 0);
	CHECK(zones_new(&kernel, &fs, &config, &ev, &zones, NULL) == 0);
	r = probes_switch(probes, "syscalls", true, NULL);
	if (r == -EOPNOTSUPP) {
		puts("skip: BPF is not allowed here");
		clean_up();
		return 77;
	}
	CHECK(r == 0 && probes_switch(probes, "syscalls", false, "for a test") == 0);
	test_syscalls();
	if (cgroup_has(&fs, CG_IO)) {
		make_io_groups();
		CHECK(probes_switch(probes, "block", true, NULL) == 0);
		test_block();
	} else {
		puts("block: not tested, there is no io controller");
	}
	zones_free(zones);
	probes_free(probes);
	clean_up();
	return 0;
}
