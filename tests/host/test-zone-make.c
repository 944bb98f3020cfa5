/* SPDX-License-Identifier: MIT */
/* czd's own zones: made everywhere or nowhere, entered with all threads, removed when empty. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../unit/test.h"
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

static struct kernel kernel;
static struct cgroup_fs fs;
static char zone[64];
static const struct zone_make_options none = {0};

static bool exists_in(int hierarchy, const char *path)
{
	return !faccessat(fs.hierarchies[hierarchy].fd, path + 1, F_OK, 0);
}

/* In how many hierarchies with a controller of ours. */
static int places(const char *path)
{
	int nr = 0;

	for (int i = 0; i < fs.nr; i++)
		nr += exists_in(i, path);
	return nr;
}

static const char *value(enum cgroup_controller c, const char *path, const char *file)
{
	static char text[4096];
	_cleanup_close_ int fd = cgroup_open(&fs, c, path, 0);

	text[0] = '\0';
	if (fd >= 0 && read_file_at(fd, file, text, sizeof(text)) >= 0)
		text[strcspn(text, "\n")] = '\0';
	return text;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	while (pid == 0)
		pause();
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A process that was reaped may still be leaving its groups. */
static int remove_soon(const char *path)
{
	uint64_t deadline = clock_mono_ns() + 2000000000ull;
	int r;

	do {
		r = zone_remove(&fs, path);
	} while (r == -EBUSY && clock_mono_ns() < deadline);
	return r;
}

static int make(const char *path)
{
	struct error e = {0};
	uint64_t id;
	int r = zone_make(&fs, path, &none, &id, &e);

	assert_true(r == 0 || e.msg[0]);
	return r;
}

static bool is_in(pid_t pid, const char *path)
{
	for (enum cgroup_controller c = 0; c < CG_NR; c++) {
		char now[1024];

		if (fs.of[c] < 0)
			continue;
		assert_int_equal(cgroup_path_of_pid(&kernel, &fs, c, pid, now, sizeof(now)), 0);
		if (strcmp(now, path))
			return false;
	}
	return true;
}

static void test_life(void **state)
{
	_cleanup_close_ int fd = -1;
	struct error e = {0};
	uint64_t id, seen;
	pid_t pid;

	assert_int_equal(zone_make(&fs, zone, &none, &id, &e), 0);
	assert_int_equal(places(zone), fs.nr);
	fd = cgroup_open(&fs, CG_CPU, zone, id);
	assert_true(fd >= 0);
	assert_int_equal(cgroup_id_at(fd, &seen), 0);
	assert_int_equal(id, seen);
	assert_true(value(CG_CPU, zone, "cpu.idle")[0]);
	assert_int_equal(make(zone), -EEXIST);
	assert_int_equal(places(zone), fs.nr);

	pid = sleeper();
	assert_int_equal(zone_attach_pid(&fs, zone, pid, &e), 0);
	assert_true(is_in(pid, zone));
	assert_int_equal(zone_remove(&fs, zone), -EBUSY);
	assert_int_equal(places(zone), fs.nr);
	end(pid);
	assert_int_equal(remove_soon(zone), 0);
	assert_int_equal(places(zone), 0);
	assert_int_equal(zone_remove(&fs, zone), -ENOENT);
}

static void test_cpus(void **state)
{
	struct zone_make_options o = {.cpus = "0"};
	struct error e = {0};
	uint64_t id;

	if (!cgroup_has(&fs, CG_CPUSET))
		skip();
	assert_int_equal(zone_make(&fs, zone, &o, &id, &e), 0);
	assert_string_equal(value(CG_CPUSET, zone, "cpuset.cpus"), "0");
	assert_int_equal(zone_remove(&fs, zone), 0);
	o.cpus = "zero";
	assert_int_equal(zone_make(&fs, zone, &o, &id, &e), -EINVAL);
	o.cpus = "";
	assert_int_equal(zone_make(&fs, zone, &o, &id, &e), -EINVAL);
	o.cpus = "4095"; /* refused by the kernel, when much is made already */
	assert_true(zone_make(&fs, zone, &o, &id, &e) < 0);
	assert_non_null(strstr(e.msg, "4095"));
	assert_int_equal(places(zone), 0);
}

static void test_names(void **state)
{
	static const char *const bad[] = {
	    "",		"/",	  "cz-x",	"/cz-a b", "/cz-\n", "/cz-\xc3\xa9",
	    "/cz-a/.b", "/cz-a/", "/cz-a/../b", "/cz-$x"};
	static const char *const foreign[] = {"/x", "/system.slice/cz-x", "/cz", "/cz-", "/xcz-a"};
	char longest[80] = "/cz-";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(make(bad[i]), -EINVAL);
		assert_int_equal(zone_remove(&fs, bad[i]), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		assert_int_equal(make(foreign[i]), -EPERM);
		assert_int_equal(zone_remove(&fs, foreign[i]), -EPERM);
	}
	memset(longest + 4, 'x', 62);
	assert_int_equal(make(longest), -EINVAL);
	longest[65] = '\0';
	assert_int_equal(make(longest), 0);
	assert_int_equal(zone_remove(&fs, longest), 0);
	assert_true(zone_name_valid("a@b:c-1_2.x"));
	assert_false(zone_name_valid(".a"));
	assert_false(zone_name_valid(""));
}

static void test_nested(void **state)
{
	char child[80];
	pid_t pid;

	snprintf(child, sizeof(child), "%s/vcpu", zone);
	assert_int_equal(make(child), -ENOENT);
	assert_int_equal(make(zone), 0);
	assert_int_equal(make(child), 0);
	assert_true(value(CG_CPU, child, "cpu.idle")[0]);
	assert_int_equal(zone_remove(&fs, zone), -EBUSY);
	assert_int_equal(zone_remove(&fs, child), 0);
	assert_int_equal(zone_remove(&fs, zone), 0);
	if (!cgroup_is_v2(&fs, CG_CPU))
		return;
	/* v2: processes only in leaves. */
	assert_int_equal(make(zone), 0);
	pid = sleeper();
	assert_int_equal(zone_attach_pid(&fs, zone, pid, NULL), 0);
	assert_int_equal(make(child), -EBUSY);
	end(pid);
	assert_int_equal(remove_soon(zone), 0);
}

/* v1: one hierarchy is in the way. */
static void test_nowhere_on_failure(void **state)
{
	char blocker[80];
	int freezer = fs.of[CG_FREEZER] < 0 ? -1 : fs.hierarchies[fs.of[CG_FREEZER]].fd;

	if (freezer < 0 || fs.of[CG_FREEZER] == fs.of[CG_CPU])
		skip();
	snprintf(blocker, sizeof(blocker), "%s/inside", zone);
	assert_int_equal(mkdirat(freezer, zone + 1, 0755), 0);
	assert_int_equal(mkdirat(freezer, blocker + 1, 0755), 0);
	assert_int_equal(make(zone), -EEXIST);
	assert_int_equal(places(zone), 1);
	/* What is empty is a left-over, and no obstacle. */
	assert_int_equal(unlinkat(freezer, blocker + 1, AT_REMOVEDIR), 0);
	assert_int_equal(make(zone), 0);
	assert_int_equal(places(zone), fs.nr);
	/* So is a zone of which only a part is left. */
	assert_int_equal(unlinkat(fs.hierarchies[fs.of[CG_CPU]].fd, zone + 1, AT_REMOVEDIR), 0);
	assert_int_equal(zone_remove(&fs, zone), 0);
	assert_int_equal(places(zone), 0);
}

static void test_attach_fails(void **state)
{
	char before[1024], after[1024];
	struct error e = {0};
	pid_t pid;

	assert_int_equal(make(zone), 0);
	assert_true(zone_attach_pid(&fs, zone, 0, &e) < 0);
	assert_true(zone_attach_pid(&fs, zone, 1, &e) < 0);
	pid = sleeper();
	end(pid);
	assert_true(zone_attach_pid(&fs, zone, pid, &e) < 0);
	if (!cgroup_is_v2(&fs, CG_CPUSET) && cgroup_has(&fs, CG_CPUSET)) {
		_cleanup_close_ int fd = cgroup_open(&fs, CG_CPUSET, zone, 0);

		/* No CPUs: the kernel takes no process into that one. */
		assert_int_equal(write_file_at(fd, "cpuset.cpus", "\n"), 0);
		pid = sleeper();
		assert_int_equal(
		    cgroup_path_of_pid(&kernel, &fs, CG_MEMORY, pid, before, sizeof(before)), 0);
		assert_int_equal(zone_attach_pid(&fs, zone, pid, &e), -ENOSPC);
		assert_int_equal(
		    cgroup_path_of_pid(&kernel, &fs, CG_MEMORY, pid, after, sizeof(after)), 0);
		assert_string_equal(after, before);
		end(pid);
	}
	assert_int_equal(remove_soon(zone), 0);
	assert_true(zone_attach_pid(&fs, zone, getpid(), &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_cpus),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_nested),
	    cmocka_unit_test(test_nowhere_on_failure),
	    cmocka_unit_test(test_attach_fails),
	};
	struct error e = {0};
	int failed;

	if (geteuid()) {
		puts("skip: needs root");
		return 77;
	}
	if (kernel_open("/", &kernel, &e) < 0 || cgroup_fs_open(&kernel, &fs, &e) < 0) {
		printf("skip: %s\n", e.msg);
		return 77;
	}
	snprintf(zone, sizeof(zone), "/cz-test-make-%d", (int)getpid());
	failed = cmocka_run_group_tests_name("zone-make", tests, NULL, NULL);
	cgroup_fs_close(&fs);
	kernel_close(&kernel);
	return failed ? 1 : 0;
}
