/* SPDX-License-Identifier: MIT */
/* Turning controllers on and off in a v2 root: in a folder that looks like one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "test.h"
#include "actuate/controllers.h"
#include "base/io.h"

static char top[] = "/tmp/cz-controllers-XXXXXX";
static struct cgroup_fs fs;

static void put(const char *path, const char *text)
{
	int fd = openat(fs.hierarchies[0].fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *subtree(void)
{
	static char text[64];

	assert_true(
	    read_file_at(fs.hierarchies[0].fd, "cgroup.subtree_control", text, sizeof(text)) >= 0);
	return text;
}

static void begin(void)
{
	fs = (struct cgroup_fs){.nr = 1, .layout = "v2"};
	for (int c = 0; c < CG_NR; c++)
		fs.of[c] = -1;
	fs.of[CG_CPU] = fs.of[CG_PIDS] = 0;
	fs.hierarchies[0].v2 = true;
	fs.hierarchies[0].fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fs.hierarchies[0].fd >= 0);
	put("cgroup.controllers", "cpuset cpu io pids\n");
}

static void test_missing(void **state)
{
	char text[CONTROLLERS_TEXT_MAX];

	put("cgroup.subtree_control", "\n");
	assert_string_equal(controllers_format(controllers_missing(&fs), text, sizeof(text)),
			    "cpu pids");
	put("cgroup.subtree_control", "cpuset pids\n");
	assert_string_equal(controllers_format(controllers_missing(&fs), text, sizeof(text)),
			    "cpu");
	assert_int_equal(controllers_parse("cpu"), controllers_missing(&fs));
	fs.hierarchies[0].v2 = false;
	assert_int_equal(controllers_missing(&fs), 0);
	fs.hierarchies[0].v2 = true;
	assert_int_equal(controllers_parse("cpux pid"), 0);
}

static void test_disable(void **state)
{
	controllers_mask cpu = controllers_parse("cpu"), pids = controllers_parse("pids");

	mkdirat(fs.hierarchies[0].fd, "other.slice", 0755);
	put("other.slice/cpu.weight", "100\n");
	put("other.slice/cpu.max", "max 100000\n");
	put("other.slice/pids.max", "max\n");
	put("cgroup.subtree_control", "");
	assert_int_equal(controllers_disable(&fs, 0), 0);
	assert_string_equal(subtree(), "");
	assert_int_equal(controllers_disable(&fs, cpu), 0);
	assert_string_equal(subtree(), "-cpu");

	/* Somebody has given a group a weight meanwhile: that must not be lost. */
	put("other.slice/cpu.weight", "333\n");
	put("cgroup.subtree_control", "");
	assert_int_equal(controllers_disable(&fs, cpu | pids), cpu);
	assert_string_equal(subtree(), "-pids");
}

/* Where a group passes a controller on, the kernel refuses; here the file can't be opened. */
static void test_refused(void **state)
{
	controllers_mask pids = controllers_parse("pids");

	assert_int_equal(unlinkat(fs.hierarchies[0].fd, "cgroup.subtree_control", 0), 0);
	assert_int_equal(controllers_disable(&fs, pids), pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_disable),
	    cmocka_unit_test(test_refused),
	};
	int failed;

	if (!mkdtemp(top))
		return 1;
	begin();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (const char *const *f =
		 (const char *const[]){"other.slice/cpu.weight", "other.slice/cpu.max",
				       "other.slice/pids.max", "cgroup.controllers", NULL};
	     *f; f++)
		unlinkat(fs.hierarchies[0].fd, *f, 0);
	unlinkat(fs.hierarchies[0].fd, "other.slice", AT_REMOVEDIR);
	close(fs.hierarchies[0].fd);
	rmdir(top);
	return failed;
}
