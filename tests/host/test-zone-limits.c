/* SPDX-License-Identifier: MIT */
/* Limits of created zones as the kernel has them, and groups for threads; v1, hybrid and v2. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "actuate/zone-limits.h"
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "kernel/kernel.h"

static struct kernel k;
static struct cgroup_fs fs;
static char zone[64];

static const char *value(enum cgroup_controller c, const char *below, const char *v1,
			 const char *v2)
{
	static char text[256];
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s%s", zone, below);
	fd = cgroup_open(&fs, c, path, 0);
	assert_true(fd >= 0);
	assert_true(read_file_at(fd, cgroup_is_v2(&fs, c) ? v2 : v1, text, sizeof(text)) >= 0);
	close(fd);
	text[strcspn(text, "\n")] = 0;
	return text;
}

static void make(const char *below, bool threaded)
{
	struct zone_make_options o = {.threaded = threaded};
	struct error e = {0};
	char path[128];
	uint64_t id;

	snprintf(path, sizeof(path), "%s%s", zone, below);
	if (zone_make(&fs, path, &o, &id, &e) < 0)
		fail_msg("%s", e.msg);
}

static void set_cpus(const char *below, const char *list)
{
	struct error e = {0};
	struct cpuset cpus;
	char path[128];

	snprintf(path, sizeof(path), "%s%s", zone, below);
	assert_int_equal(cpuset_parse(list, &cpus), 0);
	if (zone_cpus_set(&fs, path, &cpus, &e) < 0)
		fail_msg("%s", e.msg);
}

static int set_up(void **state)
{
	snprintf(zone, sizeof(zone), "/cz-limits%d", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	zone_kill(&fs, zone);
	for (int i = 0; i < 200 && zone_remove_tree(&fs, zone) == -EBUSY; i++)
		usleep(10000);
	return zone_remove_tree(&fs, zone) == -ENOENT ? 0 : -1;
}

static void test_limits(void **state)
{
	struct zone_limits l = {.cpu_max_ppm = 1500000,
				.cpu_burst_us = 20000,
				.cpu_weight = 300,
				.memory_bytes = 64 << 20};
	struct error e = {0};

	make("", false);
	assert_int_equal(zone_limits_set(&fs, zone, &l, &e), 0);
	assert_string_equal(value(CG_CPU, "", "cpu.cfs_quota_us", "cpu.max"),
			    cgroup_is_v2(&fs, CG_CPU) ? "150000 100000" : "150000");
	assert_string_equal(value(CG_CPU, "", "cpu.cfs_burst_us", "cpu.max.burst"), "20000");
	assert_string_equal(value(CG_CPU, "", "cpu.shares", "cpu.weight"),
			    cgroup_is_v2(&fs, CG_CPU) ? "300" : "3072");
	assert_string_equal(value(CG_MEMORY, "", "memory.limit_in_bytes", "memory.max"),
			    "67108864");
	/* A quota below the burst that is there, then nothing at all. */
	l.cpu_max_ppm = 10000;
	assert_int_equal(zone_limits_set(&fs, zone, &l, &e), 0);
	l = (struct zone_limits){0};
	assert_int_equal(zone_limits_set(&fs, zone, &l, &e), 0);
	assert_string_equal(value(CG_CPU, "", "cpu.cfs_quota_us", "cpu.max"),
			    cgroup_is_v2(&fs, CG_CPU) ? "max 100000" : "-1");
	assert_string_equal(value(CG_CPU, "", "cpu.shares", "cpu.weight"),
			    cgroup_is_v2(&fs, CG_CPU) ? "100" : "1024");
}

static void test_cpus(void **state)
{
	make("", false);
	make("/app", false);
	set_cpus("", "0");
	assert_string_equal(value(CG_CPUSET, "", "cpuset.cpus", "cpuset.cpus"), "0");
	assert_string_equal(
	    value(CG_CPUSET, "/app", "cpuset.effective_cpus", "cpuset.cpus.effective"), "0");
	/* To others, all at once, with a child that has the old ones. */
	set_cpus("", "1");
	assert_string_equal(
	    value(CG_CPUSET, "/app", "cpuset.effective_cpus", "cpuset.cpus.effective"), "1");
	set_cpus("", "");
	assert_string_not_equal(
	    value(CG_CPUSET, "", "cpuset.effective_cpus", "cpuset.cpus.effective"), "1");
}

static void *sleeper(void *arg)
{
	*(_Atomic pid_t *)arg = gettid();
	pause();
	return NULL;
}

/* A process with one more thread; tells the thread's id through the pipe. */
static pid_t start_process(pid_t *ret_tid)
{
	_Atomic pid_t tid = 0;
	int ends[2];
	pthread_t t;
	pid_t pid, said;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		pthread_create(&t, NULL, sleeper, &tid);
		while (!tid)
			usleep(1000);
		said = tid;
		if (write(ends[1], &said, sizeof(said)) != sizeof(said))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], ret_tid, sizeof(*ret_tid)), sizeof(*ret_tid));
	close(ends[0]);
	close(ends[1]);
	return pid;
	return pid;
}

static void test_threads(void **state)
{
	char main_group[80], vcpu[80], tids[64];
	struct zone_limits l = {.cpu_max_ppm = 500000};
	struct error e = {0};
	pid_t tid, pid = start_process(&tid);

	make("", false);
	make("/main", true);
	make("/vcpu0", true);
	snprintf(main_group, sizeof(main_group), "%s/main", zone);
	snprintf(vcpu, sizeof(vcpu), "%s/vcpu0", zone);
	if (zone_attach_pid(&fs, main_group, pid, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(zone_attach_tid(&fs, vcpu, tid), 0);
	snprintf(tids, sizeof(tids), "%d", (int)tid);
	assert_string_equal(value(CG_CPU, "/vcpu0", "tasks", "cgroup.threads"), tids);
	snprintf(tids, sizeof(tids), "%d", (int)pid);
	assert_string_equal(value(CG_CPU, "/main", "tasks", "cgroup.threads"), tids);
	set_cpus("/vcpu0", "1");
	assert_int_equal(zone_limits_set(&fs, vcpu, &l, &e), 0);
	assert_string_equal(value(CG_CPUSET, "/vcpu0", "cpuset.cpus", "cpuset.cpus"), "1");
	assert_int_equal(zone_remove_tree(&fs, zone), -EBUSY);
	assert_true(zone_kill(&fs, zone) > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_cpus, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
	};

	if (geteuid() != 0) {
		puts("SKIP: needs root");
		return 77;
	}
	if (kernel_open("/", &k, NULL) < 0 || cgroup_fs_open(&k, &fs, NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
