/* SPDX-License-Identifier: MIT */
/*
 * The wait ledger remembers task groups by their address, and state by task: the kernel uses both
 * again for later groups and tasks. While a victim always waits on one CPU, groups and tasks come
 * and go there as fast as they can, those with much to do and those with little in turn. Whom the
 * ledger charges must be who ran, by the kernel's own account of each task.
 *
 * This is the whole, seen from outside. What it does not single out is the memo of
 * ledger-zone.bpf.h: it holds one group, and the victim is looked up between any two hogs.
 */
#include "../unit/test.h"
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "ledger-load.h"
#include "ledger-mix.h"

#define ROUNDS	  160
#define MUCH_NS	  (6 * NS_PER_MS)
#define LITTLE_NS (NS_PER_MS / 2)
#define ABOVE_NS  (NS_PER_MS / 4) /* an account is read between two of its steps */
#define LAST_CPU  ((int)sysconf(_SC_NPROCESSORS_CONF) - 1)

/* What its tasks wanted in the group, and had in all, with the way into it. */
struct seen {
	uint64_t id, wanted_ns, used_ns;
};

static struct ledger *watch_victim(void)
{
	struct ledger_options o = {.max_zones = 1024};
	struct error err = {0};
	struct ledger *l = NULL;

	if (ledger_open(&o, &l, &err))
		fail_msg("%s", err.msg);
	mix_spawn("victim", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	mix_sleep_ns(50 *
		     NS_PER_MS); /* what starts it waits beside it: two that wait count twice */
	return l;
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static void hog(const char *group, uint64_t ns)
{
	char path[256];
	cpu_set_t cpus;
	uint64_t start_ns;
	int fd;

	CPU_ZERO(&cpus);
	CPU_SET(LAST_CPU, &cpus);
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1 || sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		_exit(1);
	mix_sleep_ns(1000); /* so that it is switched in as one of the group */
	start_ns = own_cpu_ns();
	while (own_cpu_ns() < start_ns + ns)
		;
	_exit(0);
}

/* A task that lives and dies in a group. */
static void run_hog(const char *group, uint64_t ns, struct seen *seen)
{
	struct rusage u;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		hog(group, ns);
	assert_true(pid > 0);
	assert_int_equal(wait4(pid, &status, 0, &u), pid);
	assert_int_equal(status, 0);
	seen->wanted_ns += ns;
	seen->used_ns += (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_SEC +
			 (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static uint64_t charged_to(const struct ledger_cell *cells, size_t nr, uint64_t id)
{
	for (size_t i = 0; i < nr; i++)
		if (cells[i].culprit_id == id)
			return cells[i].ns;
	return 0;
}

/* Each zone has what its tasks ran: no more, and what they wanted but for interrupts. */
static void check_charges(struct ledger *l, const struct seen *seen, size_t nr, size_t nr_tasks)
{
	static struct ledger_cell cells[1024];
	struct ledger_totals t;

	assert_int_equal(ledger_read(l, mix_group_id("victim"), &t, cells, 1024), 0);
	for (size_t i = 0; i < nr; i++) {
		uint64_t ns = charged_to(cells, t.nr_parts, seen[i].id);

		if (ns > seen[i].used_ns + ABOVE_NS * nr_tasks || ns < seen[i].wanted_ns * 3 / 4)
			fail_msg("zone %zu: charged with %llu ns, ran %llu ns, wanted %llu", i,
				 (unsigned long long)ns, (unsigned long long)seen[i].used_ns,
				 (unsigned long long)seen[i].wanted_ns);
	}
}

static void test_groups(void **state)
{
	static struct seen seen[ROUNDS];
	struct ledger *l = watch_victim();
	char path[256];
	struct stat st;

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(path, sizeof(path), "%s/reuse-%d", mix_env.base, i);
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(stat(path, &st), 0);
		seen[i].id = st.st_ino;
		run_hog(path, i % 2 ? LITTLE_NS : MUCH_NS, &seen[i]);
		assert_int_equal(rmdir(path), 0);
	}
	check_charges(l, seen, ROUNDS, 1);
	mix_kill_all();
	ledger_close(l);
}

static void test_tasks(void **state)
{
	static const char *const names[] = {"hog-a", "hog-b"};
	struct seen seen[2] = {0};
	struct ledger *l = watch_victim();
	char path[256];

	for (int i = 0; i < 2; i++)
		seen[i].id = mix_group_id(names[i]);
	for (int i = 0; i < ROUNDS; i++) {
		mix_group_path(path, sizeof(path), names[i % 2]);
		run_hog(path, i % 2 ? LITTLE_NS : MUCH_NS, &seen[i % 2]);
	}
	/* the little ones ran 40 ms in all: one that had the time of a large one now and then shows
	 */
	check_charges(l, seen, 2, ROUNDS / 16);
	mix_kill_all();
	ledger_close(l);
}

static int teardown(void **state)
{
	mix_kill_all();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_groups, teardown),
	    cmocka_unit_test_teardown(test_tasks, teardown),
	};
	struct error err = {0};
	int failed, r = mix_open(&err);

	if (r) {
		printf("skip: %s\n", err.msg);
		mix_close();
		return r == -EPERM || r == -EOPNOTSUPP ? 77 : 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mix_close();
	return failed ? 1 : 0;
}
