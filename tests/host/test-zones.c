/* SPDX-License-Identifier: MIT */
/*
 * zones/ against real cgroups: creation, removal, rename (v1), the same name again, a burst of
 * 2,000, an overflow of the event queue, too many zones, and a lack of fds. Own cgroups only:
 * cz-test-zones-*.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/kio.h"
#include "zones/zones.h"

#define TOP "cz-test-zones"

static struct kernel kernel;
static struct cgroup_fs fs;
static struct config config;
static char top[600]; /* where our cgroups are made */

static struct seen {
	unsigned int added, removed, renamed, classed;
	uint64_t last_added, last_removed;
	char old_path[256];
} seen;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #x);            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void on_add(const struct zone *z, void *arg)
{
	CHECK(arg == &seen);
	CHECK(!z->parent || z->parent->path);
	if (strstr(z->path, TOP)) {
		seen.added++;
		seen.last_added = z->id;
	}
}

static void on_remove(const struct zone *z, void *arg)
{
	CHECK(!z->first_child);
	if (strstr(z->path, TOP)) {
		seen.removed++;
		seen.last_removed = z->id;
	}
}

static void on_rename(const struct zone *z, const char *old_path, void *arg)
{
	seen.renamed++;
	snprintf(seen.old_path, sizeof(seen.old_path), "%s", old_path);
}

static void on_class(const struct zone *z, void *arg)
{
	seen.classed += strstr(z->path, TOP) != NULL;
}

static const struct zones_events events = {on_add, on_remove, on_rename, on_class, &seen};

/* A step of `arg` units of work at most. */
static bool over_after(void *arg)
{
	return --*(int *)arg <= 0;
}

static void settle(struct zones *zs)
{
	while (zones_process(zs, clock_mono_ns(), NULL))
		;
}

static void settle_sliced(struct zones *zs)
{
	for (int rounds = 0; rounds < 1000000; rounds++) {
		int units = 3;
		struct slice slice = {over_after, &units};

		if (!zones_process(zs, clock_mono_ns(), &slice))
			return;
	}
	CHECK(!"zones_process never ends");
}

static struct zones *start(void)
{
	struct error err = {0};
	struct zones *zs;

	seen = (struct seen){0};
	if (zones_new(&kernel, &fs, &config, &events, &zs, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	settle(zs);
	CHECK(zones_ready(zs));
	return zs;
}

static void make(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", top, name);
	if (mkdir(path, 0755) < 0) {
		perror(path);
		exit(1);
	}
}

static void drop(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", top, name);
	CHECK(rmdir(path) == 0);
}

static const struct zone *get(struct zones *zs, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "/" TOP "%s", name);
	return zones_by_path(zs, path);
}

static void check_order(struct zones *zs)
{
	size_t n = 0;

	for (struct zone *z = (struct zone *)zones_first(zs); z; z = z->next)
		z->index = UINT32_MAX;
	for (struct zone *z = (struct zone *)zones_first(zs); z; z = z->next) {
		CHECK(!z->parent || z->parent->index < n);
		CHECK(!z->parent || z->depth == z->parent->depth + 1);
		CHECK(zones_by_id(zs, z->id) == z);
		z->index = (uint32_t)n++;
	}
	CHECK(n == zones_count(zs));
}

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

static unsigned int count_dirs(struct zones *zs)
{
	unsigned int n = 0;

	zones_for_each(zs, z) n += strstr(z->path, TOP "-m/") != NULL;
	return n;
}

static void make_many(int from, int n)
{
	char name[64];

	for (int i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "-m/%d", i);
		make(name);
	}
}

static void drop_many(int from, int n)
{
	char name[64];

	for (int i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "-m/%d", i);
		drop(name);
	}
}

static void test_burst(void)
{
	struct zones *zs = start();
	struct zones_stats st;
	uint64_t rescans;

	zones_stats(zs, &st);
	rescans = st.rescans_total;
	make("-m");
	make_many(0, 2000);
	settle(zs);
	CHECK(count_dirs(zs) == 2000);
	check_order(zs);
	drop_many(0, 1999);
	settle_sliced(zs);
	CHECK(count_dirs(zs) == 1);
	zones_stats(zs, &st);
	CHECK(st.overflows_total == 0 && st.rescans_total == rescans && !st.degraded);
	CHECK(st.watches == st.count);
	drop_many(1999, 1);
	drop("-m");
	settle(zs);
	CHECK(seen.added == seen.removed && seen.added == 2001);
	zones_free(zs);
}

static void test_overflow(void)
{
	struct zones *zs = start();
	struct zones_stats st;

	make("-m");
	make_many(0, 50);
	settle(zs);
	/* more events than the queue holds (max_queued_events, 16,384 as a rule) */
	for (int i = 0; i < 9000; i++) {
		make("-m/x");
		drop("-m/x");
	}
	drop_many(0, 25);
	make_many(100, 10);
	settle_sliced(zs);
	zones_stats(zs, &st);
	CHECK(st.overflows_total >= 1);
	CHECK(count_dirs(zs) == 35 && !get(zs, "-m/x") && get(zs, "-m/105"));
	drop_many(25, 25);
	drop_many(100, 10);
	drop("-m");
	settle(zs);
	CHECK(seen.added == seen.removed);
	zones_free(zs);
}

static void test_bound(void)
{
	struct zones *zs = start();
	struct zones_stats st;
	uint32_t before = config.max_zones;

	config.max_zones = (uint32_t)zones_count(zs) + 10;
	make("-m");
	make_many(0, 40);
	settle(zs);
	zones_stats(zs, &st);
	CHECK(st.count == config.max_zones && st.refused_total >= 31);
	/* there is room again: the others are found, without an event of their own */
	config.max_zones = before;
	zones_process(zs, clock_mono_ns() + 20000000000ull, NULL);
	settle(zs);
	CHECK(count_dirs(zs) == 40);
	drop_many(0, 40);
	drop("-m");
	settle(zs);
	zones_free(zs);
}

static int no_fds(enum kio_op op)
{
	return op == KIO_OPEN ? -EMFILE : 0;
}

static void test_no_fds(void)
{
	struct zones *zs = start();

	make("-m");
	make_many(0, 5);
	kio_fault = no_fds;
	settle(zs);
	CHECK(!get(zs, "-m"));
	kio_fault = NULL;
	zones_process(zs, clock_mono_ns() + 3000000000ull, NULL);
	settle(zs);
	CHECK(count_dirs(zs) == 5);
	/* a removal that cannot be checked is not believed, and is found later */
	kio_fault = no_fds;
	drop_many(0, 5);
	settle(zs);
	kio_fault = NULL;
	zones_process(zs, clock_mono_ns() + 6000000000ull, NULL);
	settle(zs);
	CHECK(count_dirs(zs) == 0);
	drop("-m");
	settle(zs);
	zones_free(zs);
}

static int no_watches(enum kio_op op)
{
	return op == KIO_WATCH ? -ENOSPC : 0;
}

/* Without watches the tree is rescanned, and said to be; with them again all is as before. */
static void test_degraded(void)
{
	uint64_t later_ns = clock_mono_ns() + 6000000000ull;
	struct zones_stats st;
	struct zones *zs;

	kio_fault = no_watches;
	zs = start();
	zones_stats(zs, &st);
	CHECK(st.degraded && st.watches == 0);
	make("-m");
	make_many(0, 5);
	for (int i = 0; i < 3; i++, later_ns += 6000000000ull)
		zones_process(zs, later_ns, NULL);
	CHECK(count_dirs(zs) == 5);
	drop_many(0, 5);
	zones_process(zs, later_ns, NULL);
	CHECK(get(zs, "-m") && count_dirs(zs) == 0);
	kio_fault = NULL;
	zones_process(zs, later_ns + 120000000000ull, NULL);
	zones_process(zs, later_ns + 240000000000ull, NULL);
	zones_stats(zs, &st);
	CHECK(!st.degraded && st.watches == st.count);
	drop("-m");
	settle(zs);
	CHECK(!get(zs, "-m"));
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
		zones_free(zs);
		exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	drop("-o/self");
	drop("-o/other");
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

static int remove_below(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *e;
	char child[PATH_MAX];

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
		    (size_t)snprintf(child, sizeof(child), "%s/%s", path, e->d_name) <
			sizeof(child)) {
			remove_below(child);
			rmdir(child);
		}
	return 0;
}

/* Whatever happened: nothing of ours stays behind. */
static void clean_up(void)
{
	static const char *const names[] = {"-a", "-r", "-s", "-m", "-i", "-o", "-n"};
	char path[PATH_MAX];

	kio_fault = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s%s", top, names[i]);
		remove_below(path);
		rmdir(path);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
    {"come and go", test_come_and_go},
    {"rename", test_rename},
    {"burst", test_burst},
    {"overflow", test_overflow},
    {"bound", test_bound},
    {"no fds", test_no_fds},
    {"no watches", test_degraded},
    {"classes", test_inherit},
    {"off limits", test_off_limits},
    {"names", test_names},
};

int main(void)
{
	struct error err = {0};
	pid_t child;
	int status;

	config_defaults(&config);
	if (geteuid() != 0) {
		puts("skip: needs root");
		return 77;
	}
	if (kernel_open("/", &kernel, &err) < 0 || cgroup_fs_open(&kernel, &fs, &err) < 0) {
		printf("%s\n", err.msg);
		return 1;
	}
	snprintf(top, sizeof(top), "%s/" TOP, fs.hierarchies[fs.of[CG_CPU]].mount);
	clean_up();
	child = fork();
	if (child == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
			uint64_t start_ns = clock_mono_ns();

			tests[i].run();
			printf("%s: ok, %.0f ms\n", tests[i].name,
			       (double)(clock_mono_ns() - start_ns) / 1e6);
			fflush(stdout);
		}
		exit(0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	clean_up();
	cgroup_fs_close(&fs);
	kernel_close(&kernel);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
