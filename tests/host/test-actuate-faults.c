/* SPDX-License-Identifier: MIT */
/*
 * Crashes and failing calls at every step. The calls by which actuate/ (and what it uses) touches
 * files and memory are wrapped by the linker; the Nth one fails, tears its write, or kills the
 * process. Whatever happens, the next undo must end where it all began, to the letter.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actuate-env.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"

enum fault_kind { FAULT_NONE, FAULT_FAIL, FAULT_FAIL_ON, FAULT_KILL, FAULT_TEAR };
static struct {
	enum fault_kind kind;
	unsigned int nth, calls;
	int err;
} fault;

/* True: this call is to fail, with errno set. */
static bool strikes(void)
{
	bool hit;

	if (!fault.kind)
		return false;
	fault.calls++;
	hit = fault.kind == FAULT_FAIL_ON ? fault.calls >= fault.nth : fault.calls == fault.nth;
	if (!hit || fault.kind == FAULT_TEAR)
		return false;
	if (fault.kind == FAULT_KILL)
		kill(getpid(), SIGKILL);
	errno = fault.err;
	return true;
}

#define WRAP(type, name, fails, params, args)                                                      \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return strikes() ? (fails) : __real_##name args;                                   \
	}

WRAP(ssize_t, write, -1, (int fd, const void *buf, size_t size), (fd, buf, size))
WRAP(ssize_t, pread64, -1, (int fd, void *buf, size_t size, off_t off), (fd, buf, size, off))
WRAP(int, openat64, -1, (int dirfd, const char *path, int flags, mode_t mode),
     (dirfd, path, flags, mode))
WRAP(int, ftruncate64, -1, (int fd, off_t len), (fd, len))
WRAP(int, renameat, -1, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t nr, size_t size), (nr, size))
WRAP(void *, realloc, NULL, (void *p, size_t size), (p, size))
WRAP(char *, strdup, NULL, (const char *s), (s))

ssize_t __real_pwrite64(int fd, const void *buf, size_t size, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t size, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t size, off_t off)
{
	if (strikes())
		return -1;
	if (fault.kind == FAULT_TEAR && fault.calls == fault.nth) {
		if (__real_pwrite64(fd, buf, size / 2, off) >= 0)
			kill(getpid(), SIGKILL);
	}
	return __real_pwrite64(fd, buf, size, off);
}

static void arm(enum fault_kind kind, unsigned int nth, int err)
{
	fault.nth = nth;
	fault.err = err;
	fault.calls = 0;
	fault.kind = kind;
}

/* Was the Nth call reached? */
static bool disarm(void)
{
	fault.kind = FAULT_NONE;
	return fault.calls >= fault.nth;
}

static const struct {
	enum knob knob;
	const char *to;
} stack[] = {
    {KNOB_CPU_WEIGHT, "10"}, {KNOB_CPU_BURST, "5000"}, {KNOB_CPU_MAX, "20000 50000"},
    {KNOB_CPU_IDLE, "1"},    {KNOB_CPUSET, "0"},       {KNOB_FREEZE, "1"},
};

static int setup(void **state)
{
	env_setup(state);
	env_make("/a/b");
	env_write("/a", WEIGHT, "303");
	env_set_max("/a", "80000", "100000");
	env_write("/a", BURST, "60000");
	return 0;
}

static void expect_all_as(const char *before, const char *when, unsigned int nth)
{
	_cleanup_free_ char *after = NULL;
	struct undo_report report;
	struct error e = {0};

	if (!env.act)
		env_open();
	if (actuator_undo_all(env.act, &report, &e) < 0)
		fail_msg("%s %u: undo: %s", when, nth, e.msg);
	assert_int_equal(report.hands_off, 0);
	assert_int_equal(report.gone, 0);
	assert_int_equal(actuator_open_count(env.act), 0);
	after = env_snapshot();
	if (strcmp(after, before))
		fail_msg("%s %u: before:\n%safter:\n%s", when, nth, before, after);
	env_close();
}

/* The victim of the kills: apply all, undo some of them out of order. */
static void apply_and_undo_some(void)
{
	static const uint64_t undone[] = {2, 4, 6};
	struct error e = {0};

	for (size_t i = 0; i < ARRAY_SIZE(stack); i++) {
		struct action a = {.seq = i + 1, .target_id = env.zone_id, .knob = stack[i].knob};

		str_copy(a.to, sizeof(a.to), stack[i].to);
		if (actuator_apply(env.act, &a, env_path("/a"), 1, &e) < 0)
			_exit(1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(undone); i++)
		if (actuator_undo(env.act, undone[i], &e) < 0)
			_exit(2);
}

static void undo_the_rest(void)
{
	struct undo_report report;

	if (actuator_undo_all(env.act, &report, NULL) < 0)
		_exit(3);
}

/* In a child that may die at its Nth call. True: it did. */
static bool dies_at(void (*what)(void), enum fault_kind kind, unsigned int nth)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		arm(kind, nth, 0);
		if (actuator_open(&env.kernel, &env.fs, env.run_dirfd, &env.act, NULL) < 0)
			_exit(4);
		what();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status);
}

#define STEPS_MAX 5000
static void test_killed_at_every_step(void **state)
{
	static const enum fault_kind kinds[] = {FAULT_KILL, FAULT_TEAR};
	_cleanup_free_ char *before = env_snapshot();
	unsigned int kills = 0;

	env_close();
	env.zone_id = env_id("/a");
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned int quiet = 0;

		/* A torn write is one call in several: the end is a long time without any. */
		for (unsigned int n = 1; quiet < (k ? 100 : 1) && n < STEPS_MAX; n++) {
			bool died = dies_at(apply_and_undo_some, kinds[k], n);

			quiet = died ? 0 : quiet + 1;
			kills += died;
			expect_all_as(before, "killed at call", n);
		}
	}
	print_message("killed at %u places\n", kills);
	assert_true(kills > 100);
}

static void apply_all(void)
{
	env_open();
	for (size_t i = 0; i < ARRAY_SIZE(stack); i++)
		assert_int_equal(env_apply("/a", stack[i].knob, stack[i].to), 0);
	env_close();
}

static void test_undo_killed_at_every_step(void **state)
{
	_cleanup_free_ char *before = env_snapshot();
	unsigned int n = 1;
	bool died = true;

	env_close();
	for (; died && n < STEPS_MAX; n++) {
		apply_all();
		died = dies_at(undo_the_rest, FAULT_KILL, n);
		expect_all_as(before, "undo killed at call", n);
	}
	print_message("killed at %u places\n", n - 2);
	assert_true(n > 50 && n < STEPS_MAX);
}

/* One knob, one failing call: unchanged and closed, or open in the journal. */
static bool apply_fails_at(size_t i, enum fault_kind kind, unsigned int nth, int err,
			   const char *before)
{
	struct action a = env_action("/a", stack[i].knob, stack[i].to);
	const char *path = env_path("/a");
	_cleanup_free_ char *after = NULL;
	struct error e = {0};
	bool reached;
	int r;

	env_open();
	arm(kind, nth, err);
	r = actuator_apply(env.act, &a, path, 1, &e);
	reached = disarm();
	assert_true(r == 0 || e.msg[0]);
	if (r < 0 && !actuator_open_count(env.act)) {
		after = env_snapshot();
		if (strcmp(after, before))
			fail_msg("%s: call %u failed with %s (%s), not open, and yet changed:\n%s",
				 knob_name(a.knob), nth, strerror(err), e.msg, after);
	}
	env_close();
	expect_all_as(before, "apply with failing call", nth);
	return reached;
}

static bool undo_fails_at(size_t i, enum fault_kind kind, unsigned int nth, int err,
			  const char *before)
{
	_cleanup_free_ char *after = NULL;
	struct error e = {0};
	bool reached;
	int r;

	env_open();
	assert_int_equal(env_apply("/a", stack[i].knob, stack[i].to), 0);
	arm(kind, nth, err);
	r = actuator_undo(env.act, env.seq, &e);
	reached = disarm();
	assert_true(r == 0 || e.msg[0]);
	assert_int_equal(actuator_open_count(env.act), r < 0); /* failed: still open */
	if (r == 0) {
		after = env_snapshot();
		assert_string_equal(after, before);
	}
	env_close();
	expect_all_as(before, "undo with failing call", nth);
	return reached;
}

static void test_nth_call_fails(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EROFS, EMFILE, ENOMEM};
	static const enum fault_kind kinds[] = {FAULT_FAIL, FAULT_FAIL_ON};
	_cleanup_free_ char *before = env_snapshot();
	unsigned int total = 0;

	env_close();
	for (size_t i = 0; i < ARRAY_SIZE(stack); i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			for (size_t x = 0; x < ARRAY_SIZE(errors); x++) {
				unsigned int n = 1;

				while (apply_fails_at(i, kinds[k], n, errors[x], before))
					n++;
				total += n - 1;
				for (n = 1; undo_fails_at(i, kinds[k], n, errors[x], before);)
					n++;
				total += n - 1;
			}
	print_message("%u faults\n", total);
	assert_true(total > 1000);
}

static int remount(const char *size, unsigned long flags)
{
	return mount("tmpfs", env.run, "tmpfs", flags, size);
}

static void open_run(void)
{
	close_fd(&env.run_dirfd);
	env.run_dirfd = open(env.run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(env.run_dirfd >= 0);
}

/* A run directory of four pages, of which another file takes what is left. */
static void mount_small(void)
{
	assert_int_equal(remount("size=16k", 0), 0);
	open_run();
}

static void unmount_small(void)
{
	env_close();
	close_fd(&env.run_dirfd);
	assert_int_equal(umount2(env.run, MNT_DETACH), 0);
	open_run();
}

static void fill(void)
{
	_cleanup_close_ int fd =
	    openat(env.run_dirfd, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char page[4096] = {0};

	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
}

static void expect_why(const char *part)
{
	const char *why = NULL;

	assert_false(actuator_can_apply(env.act, &why));
	if (!strstr(why, part))
		fail_msg("why not: %s", why);
}

static void test_run_full(void **state)
{
	_cleanup_free_ char *before = env_snapshot();
	int r = 0;

	env_close();
	mount_small();
	env_open();
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	fill();
	for (int i = 0; i < 100 && r == 0; i++) {
		r = env_apply("/a", KNOB_FREEZE, "1");
		if (r == 0)
			assert_int_equal(actuator_undo(env.act, env.seq, NULL), 0);
	}
	assert_int_equal(r, -EROFS);
	assert_string_equal(env_read("/a", FREEZE), "0");
	expect_why("No space left");
	assert_int_equal(actuator_retry(env.act, NULL), -ENOSPC);
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), -EROFS);
	/* Undo needs no space, now or in the next czd. */
	assert_int_equal(actuator_undo(env.act, 1, NULL), 0);
	expect_all_as(before, "full", 0);
	assert_int_equal(unlinkat(env.run_dirfd, "filler", 0), 0);
	env_open();
	assert_true(actuator_can_apply(env.act, NULL) || actuator_retry(env.act, NULL) == 0);
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), 0);
	expect_all_as(before, "no longer full", 0);
	unmount_small();
}

/* Full, and later not: what was refused is not in the journal, what was undone meanwhile is. */
static void test_run_full_for_a_while(void **state)
{
	_cleanup_free_ char *before = env_snapshot();

	env_close();
	mount_small();
	env_open();
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	fill();
	do { /* the last one's end, too, may find no space */
		if (env_apply("/a", KNOB_FREEZE, "1") == 0)
			assert_int_equal(actuator_undo(env.act, env.seq, NULL), 0);
	} while (actuator_can_apply(env.act, NULL));
	assert_int_equal(unlinkat(env.run_dirfd, "filler", 0), 0);
	assert_int_equal(actuator_retry(env.act, NULL), 0);
	assert_int_equal(env_apply("/a", KNOB_CPUSET, "0"), 0);
	env_close();
	env_open();
	assert_int_equal(actuator_open_count(env.act), 2);
	expect_all_as(before, "full for a while", 0);
	unmount_small();
}

static void test_run_full_from_the_start(void **state)
{
	env_close();
	mount_small();
	fill();
	env_open();
	expect_why("No space left");
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), -EROFS);
	assert_int_equal(unlinkat(env.run_dirfd, "filler", 0), 0);
	assert_int_equal(actuator_retry(env.act, NULL), 0);
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), 0);
	env_close(); /* and it is in the journal */
	env_open();
	assert_int_equal(actuator_open_count(env.act), 1);
	assert_int_equal(actuator_undo(env.act, env.seq, NULL), 0);
	env_close();
	unmount_small();
}

static void test_run_read_only(void **state)
{
	_cleanup_free_ char *before = env_snapshot();

	env_close();
	mount_small();
	/* No journal at all. */
	assert_int_equal(remount("size=16k", MS_REMOUNT | MS_RDONLY), 0);
	env_open();
	expect_why("Read-only");
	assert_int_equal(env_apply("/a", KNOB_FREEZE, "1"), -EROFS);
	assert_int_equal(actuator_retry(env.act, NULL), -EROFS);
	assert_int_equal(remount("size=16k", MS_REMOUNT), 0);
	assert_int_equal(actuator_retry(env.act, NULL), 0);
	assert_int_equal(env_apply("/a", KNOB_CPU_IDLE, "1"), 0);
	env_close();
	/* With one: what it holds is undone all the same. */
	assert_int_equal(remount("size=16k", MS_REMOUNT | MS_RDONLY), 0);
	env_open();
	expect_why("Read-only");
	assert_int_equal(actuator_open_count(env.act), 1);
	expect_all_as(before, "read-only", 0);
	assert_int_equal(remount("size=16k", MS_REMOUNT), 0);
	unmount_small();
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, env_teardown)
	    T(test_killed_at_every_step), T(test_undo_killed_at_every_step),
	    T(test_nth_call_fails),	  T(test_run_full),
	    T(test_run_full_for_a_while), T(test_run_full_from_the_start),
	    T(test_run_read_only),
#undef T
	};

	/* A mount namespace of our own: the small file systems end with this process. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("a private mount namespace");
		return 1;
	}
	log_set_level(LOG_LEVEL_ERROR); /* the warnings are the expected ones, by the thousand */
	return cmocka_run_group_tests_name("actuate-faults", tests, NULL, NULL);
}

int main(void)
{
	return env_main("faults", run_all);
}
