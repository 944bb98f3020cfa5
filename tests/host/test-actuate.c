/* SPDX-License-Identifier: MIT */
/* Every knob on real cgroups: applied, undone to the letter, in any order, and never over somebody
 * else's value. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actuate-env.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "kernel/procfs.h"

/* Apply, look at the canonical value, undo, compare everything. */
static void round_trip(enum knob knob, const char *from, const char *to)
{
	_cleanup_free_ char *before = env_snapshot(), *after = NULL;
	struct action a = env_action("/a", knob, to);
	struct error e = {0};
	char now[KNOB_TEXT_MAX];

	if (actuator_apply(env.act, &a, env_path("/a"), 1, &e) < 0)
		fail_msg("%s := %s: %s", knob_name(knob), to, e.msg);
	assert_string_equal(a.from, from);
	assert_int_equal(knob_read(&env.fs, knob, env_path("/a"), a.target_id, now, sizeof(now)),
			 0);
	assert_string_equal(now, to);
	assert_int_equal(actuator_open_count(env.act), 1);
	assert_int_equal(env_apply("/a", knob, from), -EBUSY); /* held */
	assert_int_equal(env_undo(a.seq), 0);
	assert_int_equal(actuator_open_count(env.act), 0);
	after = env_snapshot();
	assert_string_equal(after, before);
}

static void test_idle(void **state)
{
	env_write("/a", WEIGHT, "303");
	round_trip(KNOB_CPU_IDLE, "0", "1");
	assert_string_equal(env_read("/a", WEIGHT), "303");
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "0"), -EALREADY);
	env_write("/a", IDLE, "1");
	round_trip(KNOB_CPU_IDLE, "1", "0");
}

static void test_weight(void **state)
{
	env_write("/a", WEIGHT, env_v2() ? "123" : "1259"); /* 122.95 on the scale of v2 */
	round_trip(KNOB_CPU_WEIGHT, "123", "10");
	round_trip(KNOB_CPU_WEIGHT, "123", "1");
	round_trip(KNOB_CPU_WEIGHT, "123", "10000");
	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "0"), -EINVAL);
	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "10001"), -EINVAL);
	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "ten"), -EINVAL);
	env_write("/a", IDLE, "1");
	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "10"), -EINVAL);
}

static void test_max(void **state)
{
	round_trip(KNOB_CPU_MAX, "max", "20000 100000");
	round_trip(KNOB_CPU_MAX, "max", "20000 50000");
	env_set_max("/a", "-1", "250000");
	round_trip(KNOB_CPU_MAX, "max", "20000 50000");
	env_set_max("/a", "80000", "100000");
	env_write("/a", BURST, "60000");
	round_trip(KNOB_CPU_MAX, "80000 100000", "20000 100000"); /* below the burst */
	round_trip(KNOB_CPU_MAX, "80000 100000", "8000 10000");
	round_trip(KNOB_CPU_MAX, "80000 100000", "80000 200000");
	round_trip(KNOB_CPU_MAX, "80000 100000", "max");
	assert_int_equal(env_apply("/a", KNOB_CPU_MAX, "80000 100000"), -EALREADY);
	assert_int_equal(env_apply("/a", KNOB_CPU_MAX, "20000"), -EINVAL);
	assert_int_equal(env_apply("/a", KNOB_CPU_MAX, "10 100000"), -EINVAL);
	round_trip(KNOB_CPU_BURST, "60000", "0");
	round_trip(KNOB_CPU_BURST, "60000", "80000");
	assert_int_equal(env_apply("/a", KNOB_CPU_BURST, "80001"), -EINVAL);
}

/* v1: the kernel compares quotas up and down the tree. */
static void test_max_nested(void **state)
{
	env_make("/a/b");
	env_set_max("/a", "80000", "100000");
	env_set_max("/a/b", "40000", "100000");
	round_trip(KNOB_CPU_MAX, "80000 100000", "400000 500000");
	if (env_v2())
		return;
	/* Less than the child's: refused by the kernel, rolled back. */
	assert_int_equal(env_apply("/a", KNOB_CPU_MAX, "20000 100000"), -EINVAL);
	assert_int_equal(actuator_open_count(env.act), 0);
	assert_string_equal(env_read("/a", CG_CPU, "cpu.cfs_quota_us", NULL), "80000");
}

static void test_cpuset(void **state)
{
	char all[256], cpus[2][8] = {"0", "1"};

	env_make("/a/b");
	env_make("/a/b/c");
	env_make("/a/d");
	str_copy(all, sizeof(all), env_read("/a", CPUS));
	if (strcmp(env_read("", CG_CPUSET, "cpuset.effective_cpus", "cpuset.cpus.effective"),
		   "0-1"))
		skip();
	for (int i = 0; i < 2; i++) {
		round_trip(KNOB_CPUSET, all, cpus[i]);
		env_write("/a/b/c", CPUS, "1");
		round_trip(KNOB_CPUSET, all, cpus[i]);
		env_write("/a/d", CPUS, "0");
	}
	assert_int_equal(env_apply("/a", KNOB_CPUSET, "4095"), -ERANGE);
	assert_int_equal(env_apply("/a", KNOB_CPUSET, "1-"), -EINVAL);
	assert_int_equal(env_apply("/a", KNOB_CPUSET, ""), env_v2() ? -EALREADY : -EINVAL);
	assert_int_equal(actuator_open_count(env.act), 0);
}

/* v2 takes any list, and keeps to the parent's CPUs where it can't honour it: that is no success.
 */
static void test_cpuset_without_effect(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	if (!env_v2())
		skip();
	env_write("", CPUS, "0");
	before = env_snapshot();
	assert_int_equal(env_apply("/a", KNOB_CPUSET, "1"), -EIO);
	assert_int_equal(actuator_open_count(env.act), 0);
	after = env_snapshot();
	assert_string_equal(after, before);
}

static pid_t sleeper(const char *path)
{
	_cleanup_close_ int fd = cgroup_open(&env.fs, CG_FREEZER, env_path(path), 0);
	char text[32];
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	snprintf(text, sizeof(text), "%d", (int)pid);
	assert_int_equal(write_file_at(fd, "cgroup.procs", text), 0);
	return pid;
}

static bool is_frozen(const char *path)
{
	if (cgroup_is_v2(&env.fs, CG_FREEZER)) {
		_cleanup_close_ int fd = cgroup_open(&env.fs, CG_FREEZER, env_path(path), 0);
		char text[256] = "";

		return read_file_at(fd, "cgroup.events", text, sizeof(text)) >= 0 &&
		       strstr(text, "frozen 1");
	}
	return !strcmp(env_read(path, CG_FREEZER, "freezer.state", NULL), "FROZEN");
}

static void test_freeze(void **state)
{
	uint64_t deadline = clock_mono_ns() + 5000000000ull;
	pid_t pid;

	env_make("/a/b");
	round_trip(KNOB_FREEZE, "0", "1");
	pid = sleeper("/a/b");
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), 0);
	while (!is_frozen("/a") && clock_mono_ns() < deadline)
		usleep(1000);
	assert_true(is_frozen("/a"));
	/* A frozen parent is not the child's knob. */
	assert_int_equal(env_apply("/a/b", KNOB_FREEZE, "0"), -EALREADY);
	assert_int_equal(env_undo(1 + 2), 0);
	assert_false(is_frozen("/a"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (clock_mono_ns() < deadline && !faccessat(AT_FDCWD, "/proc/self", F_OK, 0) &&
	       env_read("/a/b", CG_FREEZER, "cgroup.procs", "cgroup.procs")[0])
		usleep(1000);
}

/* v1: tasks are told to wait at the limit before there is one; both are put back. */
static void test_memory_high(void **state)
{
	bool v2 = cgroup_is_v2(&env.fs, CG_MEMORY);
	_cleanup_free_ char *before = env_snapshot();
	_cleanup_free_ char *after = NULL;

	assert_int_equal(env_apply("/a", KNOB_MEMORY_HIGH, "67108864"), 0);
	assert_string_equal(env_read("/a", CG_MEMORY, "memory.limit_in_bytes", "memory.high"),
			    "67108864");
	if (!v2)
		assert_non_null(strstr(env_read("/a", CG_MEMORY, "memory.oom_control", NULL),
				       "oom_kill_disable 1"));
	assert_int_equal(env_apply("/a", KNOB_MEMORY_HIGH, "33554432"), -EBUSY);
	assert_int_equal(env_undo(1), 0);
	after = env_snapshot();
	assert_string_equal(before, after);
	/* A stricter limit of somebody else stays. */
	env_write("/a", CG_MEMORY, "memory.limit_in_bytes", "memory.high", "33554432");
	assert_int_equal(env_apply("/a", KNOB_MEMORY_HIGH, "67108864"), -EALREADY);
	assert_int_equal(env_apply("/a", KNOB_MEMORY_HIGH, "0"), -EINVAL);
}

/* A process in the group that holds so much memory, which nobody can take from it. */
static pid_t holder(const char *path, size_t bytes)
{
	_cleanup_close_ int fd = cgroup_open(&env.fs, CG_MEMORY, env_path(path), 0);
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		bool in = write_file_at(fd, "cgroup.procs", "0") >= 0 &&
			  mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1,
			       0) != MAP_FAILED;

		if (!in || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

/* A limit below what can be taken back: v1 has none then, v2 has it; nobody waits for reclaim. */
static void test_memory_that_stays(void **state)
{
	_cleanup_free_ char *before = env_snapshot();
	_cleanup_free_ char *after = NULL;
	bool v2 = cgroup_is_v2(&env.fs, CG_MEMORY);
	pid_t pid = holder("/a", 32 << 20);

	assert_int_equal(env_apply("/a", KNOB_MEMORY_HIGH, "8388608"), v2 ? 0 : -EBUSY);
	assert_string_equal(env_read("/a", CG_MEMORY, "memory.limit_in_bytes", "memory.high"),
			    v2 ? "8388608" : "9223372036854771712");
	if (v2)
		assert_int_equal(env_undo(1), 0);
	after = env_snapshot();
	assert_string_equal(before, after);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* who wrote the limit has ended */
}

/* A group that never used a disk has none to be limited on. */
static void test_io_max_without_a_disk(void **state)
{
	assert_int_equal(env_apply("/a", KNOB_IO_MAX, "1048576"), -ENODATA);
	assert_int_equal(actuator_open_count(env.act), 0);
}

static void test_foreign_is_left_alone(void **state)
{
	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "10"), 0);
	env_write("/a", WEIGHT, "555");
	assert_int_equal(env_undo(1), -ECANCELED);
	assert_string_equal(env_read("/a", WEIGHT), "555");
	assert_int_equal(actuator_open_count(env.act), 0);
	/* Put back by somebody else: nothing left to do. */
	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "10"), 0);
	env_write("/a", WEIGHT, "555");
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), 0);
	env_write("/a", CG_FREEZER, "freezer.state", "cgroup.freeze", env_v2() ? "0" : "THAWED");
	assert_int_equal(env_undo(3), 0);
}

/* Idle was lifted by somebody else: the weight it cost comes back, unless they have set it. */
static void test_foreign_idle(void **state)
{
	env_write("/a", WEIGHT, "303");
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	env_write("/a", IDLE, "0");
	assert_int_equal(env_undo(1), 0);
	assert_string_equal(env_read("/a", WEIGHT), "303");
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	env_write("/a", IDLE, "0");
	env_write("/a", WEIGHT, "77");
	assert_int_equal(env_undo(2), -ECANCELED);
	assert_string_equal(env_read("/a", WEIGHT), "77");
}

static void test_recreated_is_gone(void **state)
{
	struct action a = env_action("/a", KNOB_CPU_IDLE, "1");
	struct error e = {0};

	assert_int_equal(env_apply("/a", KNOB_CPU_WEIGHT, "10"), 0);
	env_remove("/a");
	assert_int_equal(actuator_apply(env.act, &a, env_path("/a"), 1, &e), -ENOENT);
	env_make("/a");
	env_write("/a", WEIGHT, env_v2() ? "10" : "102"); /* what we wrote to the other one */
	assert_int_equal(actuator_apply(env.act, &a, env_path("/a"), 1, &e), -ESTALE);
	assert_int_equal(env_undo(2), -ENOENT);
	assert_string_equal(env_read("/a", WEIGHT), env_v2() ? "10" : "102");
	assert_int_equal(actuator_open_count(env.act), 0);
}

static void test_renamed_is_found(void **state)
{
	int fd = env.fs.hierarchies[env.fs.of[CG_CPU]].fd;

	if (env_v2())
		skip(); /* v2 knows no rename */
	env_write("/a", WEIGHT, "303");
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	assert_int_equal(renameat(fd, env_path("/a") + 1, fd, env_path("/b") + 1), 0);
	assert_int_equal(env_undo(1), 0);
	assert_string_equal(env_read("/b", IDLE), "0");
	assert_string_equal(env_read("/b", WEIGHT), "303");
}

static void test_refused(void **state)
{
	struct action a = env_action("/a", KNOB_CPU_WEIGHT, "10");
	struct error e = {0};
	char name[256];

	assert_int_equal(actuator_apply(env.act, &a, "/", 1, &e), -EPERM);
	assert_int_equal(actuator_apply(env.act, &a, "", 1, &e), -EPERM);
	snprintf(name, sizeof(name), "%s/a/../a", env.base);
	assert_int_equal(actuator_apply(env.act, &a, name, 1, &e), -EPERM);
	a.target_id = 1; /* the root */
	assert_int_equal(actuator_apply(env.act, &a, env_path("/a"), 1, &e), -EPERM);
	assert_int_equal(env_undo(99), -ENOENT);
}

/* v2: a knob of a controller that the parent does not enable. It is not enabled silently. */
static void test_controller_off(void **state)
{
	struct action a;
	struct error e = {0};

	if (!env_v2())
		skip();
	env_make("/a/b");
	env_write("/a", CG_CPU, NULL, "cgroup.subtree_control", "-cpu");
	a = env_action("/a/b", KNOB_CPU_IDLE, "1");
	assert_int_equal(actuator_apply(env.act, &a, env_path("/a/b"), 1, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "does not enable the cpu controller"));
	assert_null(strstr(env_read("/a", CG_CPU, NULL, "cgroup.subtree_control"), "cpu "));
}

/* In a plain file "102" written over "9999" reads "1029": a kernel that makes something else of
 * what it is given. */
static void test_read_back_differs(void **state)
{
	_cleanup_close_ int fd = open(env.run, O_RDONLY | O_DIRECTORY | O_CLOEXEC), zone = -1;
	struct action a = {.seq = 1, .knob = KNOB_CPU_WEIGHT, .to = "10"};
	struct cgroup_fs real = env.fs;
	struct error e = {0};
	char text[16];

	for (int c = 0; c < CG_NR; c++)
		env.fs.of[c] = c == CG_CPU ? 0 : -1;
	env.fs.hierarchies[0] = (struct cgroup_hierarchy){.fd = fd};
	assert_int_equal(mkdirat(fd, "zone", 0700), 0);
	zone = cgroup_open(&env.fs, CG_CPU, "/zone", 0);
	assert_int_equal(cgroup_id_at(zone, &a.target_id), 0);
	assert_int_equal(write_file_atomic(zone, "cgroup.procs", "", 0, 0600), 0);
	assert_int_equal(write_file_atomic(zone, "cpu.shares", "9999", 4, 0600), 0);
	assert_int_equal(actuator_apply(env.act, &a, "/zone", 1, &e), -EIO);
	assert_non_null(strstr(e.msg, "reads back other than"));
	assert_true(read_file_at(zone, "cpu.shares", text, sizeof(text)) >= 0);
	assert_string_equal(text, "9999");
	assert_int_equal(actuator_open_count(env.act), 0);
	unlinkat(zone, "cpu.shares", 0);
	unlinkat(zone, "cgroup.procs", 0);
	unlinkat(fd, "zone", AT_REMOVEDIR);
	env.fs = real;
}

struct differences {
	uint32_t nr, held;
	char last[512];
};

static int on_difference(const struct difference *it, void *arg)
{
	struct differences *d = arg;

	d->nr++;
	d->held += it->held_by != 0;
	assert_non_null(it->file);
	snprintf(d->last, sizeof(d->last), "%s %s: %s -> %s", it->path + strlen(env.base),
		 knob_name(it->knob), it->found, it->now);
	return 0;
}

static void expect_differences(struct baseline *b, uint32_t nr, uint32_t held, const char *last)
{
	struct differences d = {0};
	struct verify_report report;

	assert_int_equal(baseline_verify(b, env.act, on_difference, &d, &report), 0);
	assert_true(report.checked > nr);
	assert_int_equal(report.differing, d.nr);
	assert_int_equal(report.held, d.held);
	assert_int_equal(d.nr, nr);
	assert_int_equal(d.held, held);
	if (last)
		assert_string_equal(d.last, last);
}

/* In steps; a zone that goes away meanwhile is passed over. */
static void expect_walk_of_two(struct baseline *b)
{
	struct differences d = {0};
	struct verify_report report = {0};
	struct verify_walk *w = NULL;
	uint32_t checked;

	assert_int_equal(verify_walk_new(b, &w), 0);
	assert_int_equal(verify_walk_step(w, env.act, 1, on_difference, &d, &report), 1);
	checked = report.checked;
	assert_true(checked > 0);
	assert_int_equal(verify_walk_step(w, env.act, 1, on_difference, &d, &report), 0);
	assert_true(report.checked > checked);
	assert_int_equal(report.differing, 1);
	verify_walk_free(w);

	report = (struct verify_report){0};
	assert_int_equal(verify_walk_new(b, &w), 0);
	baseline_forget(b, env_id("/b"));
	assert_int_equal(verify_walk_step(w, env.act, 9, on_difference, &d, &report), 0);
	assert_int_equal(report.differing, 0);
	verify_walk_free(w);
}

static void test_baseline(void **state)
{
	struct baseline *b = NULL;

	env_write("/a", WEIGHT, "303");
	env_make("/b");
	assert_int_equal(baseline_new(&env.fs, &b), 0);
	assert_int_equal(baseline_note(b, env_id("/a"), env_path("/a")), 0);
	assert_int_equal(baseline_note(b, env_id("/b"), env_path("/b")), 0);
	/* Noted while an action holds it: what counts is what was there before. */
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	assert_int_equal(baseline_step(b, env.act, 1), 1);
	assert_int_equal(baseline_step(b, env.act, 1), 0);
	expect_differences(b, 2, 2, NULL);
	env_write("/b", WEIGHT, "200");
	expect_differences(b, 3, 2, NULL);
	assert_int_equal(env_undo(1), 0);
	expect_differences(b, 1, 0,
			   env_v2() ? "/b cpu.weight: 100 -> 200" : "/b cpu.weight: 1024 -> 200");
	expect_walk_of_two(b);
	baseline_forget(b, env_id("/b"));
	expect_differences(b, 0, 0, NULL);
	/* A recreated zone is another zone. */
	env_remove("/a");
	env_make("/a");
	env_write("/a", WEIGHT, "77");
	assert_int_equal(baseline_note(b, env_id("/a"), env_path("/a")), 0);
	expect_differences(b, 0, 0, NULL);
	baseline_free(b);
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, env_setup, env_teardown)
	    T(test_idle),
	    T(test_weight),
	    T(test_max),
	    T(test_max_nested),
	    T(test_cpuset),
	    T(test_cpuset_without_effect),
	    T(test_freeze),
	    T(test_memory_high),
	    T(test_memory_that_stays),
	    T(test_io_max_without_a_disk),
	    T(test_foreign_is_left_alone),
	    T(test_foreign_idle),
	    T(test_recreated_is_gone),
	    T(test_renamed_is_found),
	    T(test_refused),
	    T(test_controller_off),
	    T(test_read_back_differs),
	    T(test_baseline),
#undef T
	};

	return cmocka_run_group_tests_name("actuate", tests, NULL, NULL);
}

int main(void)
{
	return env_main("actuate", run_all);
}
