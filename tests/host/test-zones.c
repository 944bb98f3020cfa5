/* SPDX-License-Identifier: MIT */
/*
 * zones/ against real cgroups: creation, removal, rename (v1), the same name again, classes, zones
 * that are off limits, names.
 */
#include "zones-env.h"

static void test_come_and_go(void)
{
	struct zones *zs = start();
	uint64_t first_id;

	make("-a");
	make("-a/b");
	make("-a/b/c");
	settle_sliced(zs);
	CHECK(seen.added == 3);
	CHECK(get(zs, "-a/b/c") && get(zs, "-a/b/c")->parent == get(zs, "-a/b"));
	CHECK(!strcmp(get(zs, "-a/b")->name, "test-zones-a/b"));
	check_order(zs);
	first_id = get(zs, "-a/b/c")->id;

	/* gone and there again before anybody looks: another zone, the old one removed first */
	drop("-a/b/c");
	make("-a/b/c");
	settle(zs);
	CHECK(seen.added == 4 && seen.removed == 1);
	CHECK(seen.last_removed == first_id && get(zs, "-a/b/c")->id != first_id);

	/* made and gone: nothing to see */
	make("-a/flash");
	drop("-a/flash");
	settle(zs);
	CHECK(!get(zs, "-a/flash") && seen.added - seen.removed == 3);

	drop("-a/b/c");
	drop("-a/b");
	drop("-a");
	settle(zs);
	CHECK(!get(zs, "-a") && seen.added == seen.removed);
	zones_free(zs);
}

static void test_rename(void)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct slo slo = {.wait_p99_ns = 500000};
	struct zones *zs;
	uint64_t id;

	if (cgroup_is_v2(&fs, CG_CPU)) {
		puts("rename: v2 has none");
		return;
	}
	zs = start();
	make("-r");
	make("-r/x");
	settle(zs);
	id = get(zs, "-r/x")->id;
	CHECK(zones_set_class(zs, id, CLASS_LC, &slo) == 0);
	snprintf(from, sizeof(from), "%s-r", top);
	snprintf(to, sizeof(to), "%s-s", top);
	CHECK(rename(from, to) == 0);
	make("-s/y"); /* its event names the directory by its new path */
	settle(zs);
	CHECK(seen.renamed == 2 && seen.removed == 0 && seen.added == 3);
	CHECK(!get(zs, "-r") && !get(zs, "-r/x"));
	CHECK(get(zs, "-s/x") && get(zs, "-s/x")->id == id && get(zs, "-s/y"));
	CHECK(get(zs, "-s/x")->class == CLASS_LC && get(zs, "-s/x")->slo.wait_p99_ns == 500000);
	CHECK(!strncmp(seen.old_path, "/" TOP "-r", strlen("/" TOP "-r")));
	/* the old name is free for another */
	make("-r");
	settle(zs);
	CHECK(get(zs, "-r") && get(zs, "-r")->id != get(zs, "-s")->id);
	drop("-r");
	drop("-s/x");
	drop("-s/y");
	drop("-s");
	settle(zs);
	CHECK(seen.added == seen.removed);
	zones_free(zs);
}

static void test_inherit(void)
{
	struct class_rule rules[] = {
	    {.match = (char *)"test-zones-*", .class = CLASS_BE},
	    {.match = (char *)"/" TOP "-i/lc", .class = CLASS_LC, .slo = {.wait_p99_ns = 1000}},
	};
	struct config with_rules = config;
	struct zones *zs = start();

	make("-i");
	make("-i/lc");
	make("-i/lc/child");
	settle(zs);
	CHECK(get(zs, "-i/lc/child")->class == CLASS_NORMAL);
	with_rules.rules = rules;
	with_rules.nr_rules = 2;
	zones_reclassify(zs, &with_rules);
	CHECK(seen.classed == 3);
	CHECK(get(zs, "-i")->class == CLASS_BE && get(zs, "-i")->class_is_own);
	CHECK(get(zs, "-i/lc/child")->class == CLASS_LC && !get(zs, "-i/lc/child")->class_is_own);
	CHECK(get(zs, "-i/lc/child")->slo.wait_p99_ns == 0 &&
	      get(zs, "-i/lc")->slo.wait_p99_ns == 1000);
	make("-i/later");
	settle(zs);
	CHECK(get(zs, "-i/later")->class == CLASS_BE);
	zones_reclassify(zs, &config);
	drop("-i/later");
	drop("-i/lc/child");
	drop("-i/lc");
	drop("-i");
	settle(zs);
	zones_free(zs);
}

/* This very process stands for czd: its cgroup, and those above it, are off-limits. */
static void test_off_limits(void)
{
	struct zones *zs;
	char path[PATH_MAX];
	pid_t child;
	int status;

	make("-o");
	make("-o/self");
	make("-o/other");
	make("-o/sshd.service"); /* a name of a tenant's choice, and nothing in it */
	child = fork();
	if (child == 0) {
		int fd;

		snprintf(path, sizeof(path), "%s-o/self/cgroup.procs", top);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0 && write(fd, "0", 1) == 1);
		close(fd);
		zs = start();
		CHECK(zones_first(zs)->off_limits_why);
		CHECK(get(zs, "-o/self")->off_limits_why && get(zs, "-o")->off_limits_why);
		CHECK(!get(zs, "-o/other")->off_limits_why);
		CHECK(!get(zs, "-o/sshd.service")->off_limits_why);
		zones_free(zs);
		exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	drop("-o/self");
	drop("-o/other");
	drop("-o/sshd.service");
	drop("-o");
}

static void test_names(void)
{
	struct zones *zs = start();
	const struct zone *z = NULL;
	struct error err = {0};

	make("-n");
	make("-n/re\x1b[31mdis.service");
	make("-n/a");
	make("-n/a/same");
	make("-n/same");
	settle(zs);
	CHECK(zones_by_name(zs, "same", &z, &err) == -ENOTUNIQ && strstr(err.msg, "-n/a/same"));
	CHECK(zones_by_name(zs, "a/same", &z, NULL) == 0 && z == get(zs, "-n/a/same"));
	CHECK(zones_by_name(zs, "/" TOP "-n/same", &z, NULL) == 0 && z == get(zs, "-n/same"));
	CHECK(zones_by_name(zs, "test-zomes-n", &z, &err) == -ENOENT &&
	      strstr(err.hint, "'test-zones-n'"));
	z = get(zs, "-n/re\x1b[31mdis.service");
	CHECK(z && !strchr(z->name, 0x1b) && strstr(z->name, "re\\x1b[31mdis.service"));
	drop("-n/same");
	drop("-n/a/same");
	drop("-n/a");
	drop("-n/re\x1b[31mdis.service");
	drop("-n");
	settle(zs);
	zones_free(zs);
}

int main(void)
{
	static const struct zones_test tests[] = {
	    {"come and go", test_come_and_go}, {"rename", test_rename}, {"classes", test_inherit},
	    {"off limits", test_off_limits},   {"names", test_names},
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
