/* SPDX-License-Identifier: MIT */
#include "zones-env.h"

struct kernel kernel;
struct cgroup_fs fs;
struct config config;
char top[600];
struct seen seen;

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

const struct zones_events events = {on_add, on_remove, on_rename, on_class, &seen};

/* A step of `arg` units of work at most. */
static bool over_after(void *arg)
{
	return --*(int *)arg <= 0;
}

void settle(struct zones *zs)
{
	while (zones_process(zs, clock_mono_ns(), NULL))
		;
}

void settle_sliced(struct zones *zs)
{
	for (int rounds = 0; rounds < 1000000; rounds++) {
		int units = 3;
		struct slice slice = {over_after, &units};

		if (!zones_process(zs, clock_mono_ns(), &slice))
			return;
	}
	CHECK(!"zones_process never ends");
}

struct zones *start(void)
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

void make(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", top, name);
	if (mkdir(path, 0755) < 0) {
		perror(path);
		exit(1);
	}
}

void drop(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", top, name);
	CHECK(rmdir(path) == 0);
}

const struct zone *get(struct zones *zs, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "/" TOP "%s", name);
	return zones_by_path(zs, path);
}

void check_order(struct zones *zs)
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

int run_tests(const struct zones_test *tests, size_t n)
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
		for (size_t i = 0; i < n; i++) {
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
