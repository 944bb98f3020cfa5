/* SPDX-License-Identifier: MIT */
/*
 * probes/ against real cgroups: CPU time, throttling, run delay, tasks and PSI of work that really
 * runs, each compared with what the kernel says of the processes themselves; zones that vanish
 * between readings; and the Nth kernel call failing. Own cgroups only: cz-test-probes-*.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "kernel/text.h"
#include "probes/probe.h"
#include "zones/zones.h"
#include "check.h"

#define TOP "cz-test-probes"
#define MS  1000000ull

static struct kernel kernel;
static struct cgroup_fs fs;
static struct config config;
static struct probes *probes;
static struct zones *zones;
static pid_t tasks[16];
static size_t nr_tasks;

/* Our path in every hierarchy that has what probes read. */
static const enum cgroup_controller joined[] = {CG_CPU, CG_CPUACCT, CG_MEMORY,
						CG_IO,	CG_PIDS,    CG_UNIFIED};

static bool each(const char *name, bool (*what)(const char *path, const char *arg), const char *arg)
{
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(joined); i++) {
		char path[PATH_MAX];
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again = again || fs.of[joined[j]] == fs.of[joined[i]];
		if (fs.of[joined[i]] < 0 || again)
			continue;
		snprintf(path, sizeof(path), "%s/" TOP "%s", fs.hierarchies[fs.of[joined[i]]].mount,
			 name);
		all = what(path, arg) && all;
	}
	return all;
}

static bool make_one(const char *path, const char *arg)
{
	return mkdir(path, 0755) == 0;
}

static bool drop_one(const char *path, const char *arg)
{
	return rmdir(path) == 0;
}

static bool write_one(const char *path, const char *text)
{
	char file[PATH_MAX + 16];
	int fd;
	bool ok;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) > 0;
	close_fd(&fd);
	return ok;
}

static void nap(uint64_t ns)
{
	const struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	nanosleep(&t, NULL);
}

static void kill_tasks(void)
{
	while (nr_tasks) {
		pid_t pid = tasks[--nr_tasks];

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void clean_up(void)
{
	static const char *const names[] = {"-a", "-b", "-q", "-m"};

	kio_fault = NULL;
	kill_tasks();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (int tries = 0; tries < 100 && !each(names[i], drop_one, NULL); tries++) {
			if (errno == ENOENT)
				break;
			nap(10 * MS);
		}
}

static void on_add(const struct zone *z, void *arg)
{
	CHECK(probes_zone_add(probes, z->id, z->parent ? z->parent->id : 0, z->path) == 0);
}

static void on_remove(const struct zone *z, void *arg)
{
	probes_zone_remove(probes, z->id);
}

static void begin(void)
{
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove};
	struct probes_options o = {.fd_budget = config.fd_budget};

	CHECK(probes_new(&kernel, &fs, &o, &probes) == 0);
	CHECK(zones_new(&kernel, &fs, &config, &ev, &zones, NULL) == 0);
}

static void settle(void)
{
	while (zones_process(zones, clock_mono_ns(), NULL))
		;
}

static void tick(void)
{
	settle();
	probes_tick_begin(probes, clock_mono_ns());
	while (probes_tick_step(probes, NULL))
		;
}

static void end(void)
{
	zones_free(zones);
	probes_free(probes);
}

/* A task that spins on CPU 0, in a zone. */
static pid_t spin_in(const char *name)
{
	char text[16];
	pid_t pid = fork();

	if (pid == 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(0, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	CHECK(pid > 0 && nr_tasks < ARRAY_SIZE(tasks));
	tasks[nr_tasks++] = pid;
	snprintf(text, sizeof(text), "%d", pid);
	CHECK(each(name, write_one, text));
	return pid;
}

static const struct zone_row *row_of(const char *name)
{
	char path[256];
	const struct zone *z;

	snprintf(path, sizeof(path), "/" TOP "%s", name);
	z = zones_by_path(zones, path);
	CHECK(z != NULL);
	CHECK(probes_row(probes, z->id) != NULL);
	return probes_row(probes, z->id);
}

static void protect(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/" TOP "%s", name);
	CHECK(zones_by_path(zones, path) != NULL);
	probes_zone_interest(probes, zones_by_path(zones, path)->id, PROBE_PROTECTED);
}

static uint64_t known(const char *name, enum zone_metric m)
{
	const struct zone_row *row = row_of(name);

	if (!(row->valid & METRIC_BIT(m)))
		fprintf(stderr, "%s of %s is not known\n", zone_metrics[m].name, name);
	CHECK(row->valid & METRIC_BIT(m));
	return row->value[m];
}

/* Within 2 % + 20 ms: two readings are never made at the same instant. */
static bool close_to(uint64_t a, uint64_t b)
{
	uint64_t apart = a > b ? a - b : b - a;

	return apart < b / 50 + 20 * MS;
}

static uint64_t task_ns(pid_t pid, bool delay)
{
	char path[64], text[128];
	unsigned long long run = 0, wait = 0;

	snprintf(path, sizeof(path), "proc/%d/schedstat", pid);
	CHECK(kio_read_text_at(kernel.root_fd, path, text, sizeof(text)) > 0);
	CHECK(sscanf(text, "%llu %llu", &run, &wait) == 2);
	return delay ? wait : run;
}

/* Two spinners on one CPU: each waits while the other runs. */
static void test_values(void)
{
	uint64_t use, delay, task_use, task_delay;
	pid_t victim;

	CHECK(each("-a", make_one, NULL) && each("-b", make_one, NULL));
	begin();
	victim = spin_in("-a");
	spin_in("-b");
	settle();
	protect("-a");
	tick();
	use = known("-a", ZM_CPU_USAGE_NS);
	task_use = task_ns(victim, false);
	delay = known("-a", ZM_RUN_DELAY_NS);
	task_delay = task_ns(victim, true);
	for (int i = 0; i < 6; i++) {
		nap(250 * MS);
		tick();
	}
	CHECK(close_to(known("-a", ZM_CPU_USAGE_NS) - use, task_ns(victim, false) - task_use));
	CHECK(close_to(known("-a", ZM_RUN_DELAY_NS) - delay, task_ns(victim, true) - task_delay));
	CHECK(known("-a", ZM_RUN_DELAY_NS) - delay > 300 * MS);
	CHECK(row_of("-a")->active && row_of("-b")->active);
	if (cgroup_file_exists(&fs, CGF_PSI_CPU))
		CHECK(known("-a", ZM_PSI_CPU_SOME_NS) > 300 * MS);
	if (cgroup_file_exists(&fs, CGF_TASKS))
		CHECK(known("-a", ZM_TASKS) == 1);
	CHECK(!(row_of("-b")->valid & METRIC_BIT(ZM_RUN_DELAY_NS)));
	CHECK(probes_host(probes)->valid & METRIC_BIT(HM_CPU_BUSY_NS));
	/* a task that is born counts from its birth, one that dies takes nothing away */
	delay = known("-a", ZM_RUN_DELAY_NS);
	kill_tasks();
	nap(50 * MS);
	tick();
	CHECK(known("-a", ZM_RUN_DELAY_NS) >= delay);
	tick();
	CHECK(!row_of("-a")->active);
	end();
	clean_up();
}

static bool set_quota(const char *path, const char *arg)
{
	char file[PATH_MAX + 32];
	bool v2 = cgroup_is_v2(&fs, CG_CPU);
	int fd;
	bool ok;

	if (strncmp(path, fs.hierarchies[fs.of[CG_CPU]].mount,
		    strlen(fs.hierarchies[fs.of[CG_CPU]].mount)))
		return true;
	snprintf(file, sizeof(file), "%s/%s", path, v2 ? "cpu.max" : "cpu.cfs_quota_us");
	fd = open(file, O_WRONLY | O_CLOEXEC);
	ok = fd < 0 || write(fd, arg, strlen(arg)) > 0; /* not this hierarchy: no such file */
	close_fd(&fd);
	return ok;
}

static void test_throttling(void)
{
	uint64_t periods, throttled_ns;

	CHECK(each("-q", make_one, NULL));
	begin();
	spin_in("-q");
	settle();
	protect("-q");
	tick();
	CHECK(!row_of("-q")->own_quota);
	CHECK(each("-q", set_quota, cgroup_is_v2(&fs, CG_CPU) ? "10000 100000" : "10000"));
	tick();
	CHECK(row_of("-q")->own_quota);
	periods = known("-q", ZM_CPU_PERIODS);
	throttled_ns = known("-q", ZM_CPU_THROTTLED_NS);
	nap(1500 * MS);
	tick();
	CHECK(known("-q", ZM_CPU_PERIODS) - periods >= 5);
	CHECK(known("-q", ZM_CPU_THROTTLED) >= 3);
	CHECK(known("-q", ZM_CPU_THROTTLED_NS) > throttled_ns);
	end();
	clean_up();
}

static bool set_memory_limit(const char *path, const char *arg)
{
	char file[PATH_MAX + 32];
	int fd;
	bool ok;

	snprintf(file, sizeof(file), "%s/%s", path,
		 cgroup_is_v2(&fs, CG_MEMORY) ? "memory.max" : "memory.limit_in_bytes");
	fd = open(file, O_WRONLY | O_CLOEXEC);
	ok = fd < 0 || write(fd, arg, strlen(arg)) > 0; /* not this hierarchy: no such file */
	close_fd(&fd);
	return ok;
}

/* A disk of the test's own, or a file without a name. */
static int open_disk(void)
{
	const char *disk = getenv("CZ_TEST_DISK");
	char path[] = "/var/tmp/cz-test-probes-XXXXXX";
	int fd;

	if (disk)
		return open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	fd = mkostemp(path, O_DIRECT | O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

#define IO_BYTES (8 << 20)

/* In a zone: writes and reads so many bytes at the disk; then uses more memory than it may have. */
static void work_in(const char *name, int disk)
{
	int start[2];
	char text[16];
	pid_t pid;

	CHECK(pipe(start) == 0);
	pid = fork();
	if (pid == 0) {
		size_t n = 1 << 20;
		void *buf = NULL;
		char *heap;

		if (read(start[0], text, 1) != 1 || posix_memalign(&buf, 4096, n))
			_exit(1);
		memset(buf, 1, n);
		for (off_t at = 0; at < IO_BYTES; at += (off_t)n)
			if (disk >= 0 && (pwrite(disk, buf, n, at) != (ssize_t)n ||
					  pread(disk, buf, n, at) != (ssize_t)n))
				_exit(2);
		heap = malloc(64 << 20);
		memset(heap, 1, 64 << 20);
		_exit(heap[5] == 1 ? 0 : 3); /* not reached: the OOM killer comes first */
	}
	CHECK(pid > 0);
	snprintf(text, sizeof(text), "%d", pid);
	CHECK(each(name, write_one, text));
	CHECK(write(start[1], "x", 1) == 1);
	close(start[0]);
	close(start[1]);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* What the zone's processes did to disk and memory, as they know it themselves. */
static void test_memory_io(void)
{
	int disk = open_disk();
	uint64_t faults;

	CHECK(each("-m", make_one, NULL));
	CHECK(each("-m", set_memory_limit, "16777216"));
	begin();
	settle();
	protect("-m");
	tick();
	work_in("-m", disk);
	tick();
	if (cgroup_file_exists(&fs, CGF_MEM_STAT)) {
		CHECK(known("-m", ZM_MEM_LIMIT_BYTES) == 16777216);
		CHECK(known("-m", ZM_MEM_OOM_KILLS) == 1);
		CHECK(known("-m", ZM_MEM_MAX_EVENTS) >= 1);
		faults = known("-m", ZM_MEM_FAULTS);
		CHECK(faults >= 8 && faults < 20000);
	}
	if (cgroup_file_exists(&fs, CGF_IO_BYTES) && disk >= 0) {
		/* a new file costs the file system a few writes of its own */
		CHECK(known("-m", ZM_IO_READ_BYTES) == IO_BYTES);
		CHECK(known("-m", ZM_IO_WRITE_BYTES) >= IO_BYTES &&
		      known("-m", ZM_IO_WRITE_BYTES) < 2 * IO_BYTES);
		CHECK(known("-m", ZM_IO_READS) >= 8 && known("-m", ZM_IO_WRITES) >= 8);
	} else {
		printf("io: not compared: there is no %s\n", disk < 0 ? "disk" : "io controller");
	}
	close_fd(&disk);
	end();
	clean_up();
}

/* The directory goes, the news of it has not been taken in: its readings fail, and that is all. */
static void test_vanish(void)
{
	struct probes_stats st;

	CHECK(each("-a", make_one, NULL));
	begin();
	spin_in("-a");
	tick();
	kill_tasks();
	for (int tries = 0; tries < 100 && !each("-a", drop_one, NULL) && errno != ENOENT; tries++)
		nap(10 * MS);
	probes_tick_begin(probes, clock_mono_ns());
	while (probes_tick_step(probes, NULL))
		;
	probes_stats(probes, &st);
	CHECK(st.vanished_total >= 1 && st.errors_total == 0);
	/* the same name again is another zone with another count */
	CHECK(each("-a", make_one, NULL));
	tick();
	CHECK(known("-a", ZM_CPU_USAGE_NS) < 100 * MS);
	end();
	clean_up();
}

static struct {
	unsigned int nth, calls;
	int code;
} faults;

static int fault_nth(enum kio_op op)
{
	return ++faults.calls == faults.nth ? faults.code : 0;
}

/* One call fails while a zone comes and is read: soon after, all is known as if it had not. */
static void test_faults(void)
{
	static const int codes[] = {-EIO, -EMFILE};
	const struct zone *z;

	for (size_t c = 0; c < ARRAY_SIZE(codes); c++)
		for (unsigned int nth = 1;; nth++) {
			begin();
			tick();
			CHECK(each("-a", make_one, NULL));
			faults.nth = nth;
			faults.calls = 0;
			faults.code = codes[c];
			kio_fault = fault_nth;
			tick();
			kio_fault = NULL;
			zones_process(zones, clock_mono_ns() + 5000 * MS, NULL);
			tick();
			z = zones_by_path(zones, "/" TOP "-a");
			CHECK(z && zones_count(zones) > 1);
			known("-a", ZM_CPU_USAGE_NS);
			CHECK(each("-a", drop_one, NULL));
			tick();
			CHECK(!zones_by_path(zones, "/" TOP "-a"));
			end();
			if (faults.calls < nth)
				break;
		}
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
    {"values", test_values}, {"throttling", test_throttling}, {"memory_io", test_memory_io},
    {"vanish", test_vanish}, {"faults", test_faults},
};

int main(void)
{
	struct error err = {0};

	config_defaults(&config);
	if (geteuid() != 0) {
		puts("skip: needs root");
		return 77;
	}
	if (kernel_open("/", &kernel, &err) < 0 || cgroup_fs_open(&kernel, &fs, &err) < 0) {
		printf("%s\n", err.msg);
		return 1;
	}
	clean_up();
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t start_ns = clock_mono_ns();

		tests[i].run();
		printf("%s: ok, %.0f ms\n", tests[i].name,
		       (double)(clock_mono_ns() - start_ns) / 1e6);
		fflush(stdout);
	}
	cgroup_fs_close(&fs);
	kernel_close(&kernel);
	return 0;
}
