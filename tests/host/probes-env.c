/* SPDX-License-Identifier: MIT */
#include "probes-env.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct cgroup_fs fs;
struct probes *probes;
struct shared *work;
static struct kernel kernel;
static struct config config;
static struct zones *zones;

static const enum cgroup_controller trees[] = {CG_CPU, CG_MEMORY, CG_UNIFIED};

static bool own_tree(size_t t)
{
	for (size_t i = 0; i < t; i++)
		if (cgroup_has(&fs, trees[i]) && fs.of[trees[i]] == fs.of[trees[t]])
			return false;
	return cgroup_has(&fs, trees[t]);
}

char *in_tree(size_t t, const char *rest, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/" TOP "%s", fs.hierarchies[fs.of[trees[t]]].mount, rest);
	return path;
}

void clean_up(void)
{
	static const char *const names[] = {"/in", "/out", ""};
	char path[PATH_MAX];

	for (size_t t = 0; t < ARRAY_SIZE(trees); t++)
		for (size_t i = 0; i < ARRAY_SIZE(names) && own_tree(t); i++)
			for (int tries = 0; tries < 200; tries++) {
				if (rmdir(in_tree(t, names[i], path)) == 0 || errno != EBUSY)
					break;
				usleep(10000);
			}
	if (work)
		unlink(work->path);
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close_fd(&fd);
}

static void make_groups(void)
{
	char path[PATH_MAX];

	for (size_t t = 0; t < ARRAY_SIZE(trees); t++) {
		if (!own_tree(t))
			continue;
		CHECK(mkdir(in_tree(t, "", path), 0755) == 0);
		if (cgroup_is_v2(&fs, trees[t]) && cgroup_is_v2(&fs, CG_MEMORY))
			put(in_tree(t, "/cgroup.subtree_control", path), "+cpu +memory");
		CHECK(mkdir(in_tree(t, "/in", path), 0755) == 0);
		CHECK(mkdir(in_tree(t, "/out", path), 0755) == 0);
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

void tick(void)
{
	while (zones_process(zones, clock_mono_ns(), NULL))
		;
	probes_tick_begin(probes, clock_mono_ns());
	while (probes_tick_step(probes, NULL))
		;
}

uint64_t id_of(const char *path)
{
	const struct zone *z = zones_by_path(zones, path);

	CHECK(z);
	return z->id;
}

uint64_t value(const char *path, enum zone_metric m)
{
	const struct zone_row *row = probes_row(probes, id_of(path));

	CHECK(row && row->valid & METRIC_BIT(m));
	return row->value[m];
}

/* A child in a group, before it works; it waits for go. */
pid_t start(const char *zone, void (*run)(void))
{
	char path[PATH_MAX], file[64], text[24];
	int ready = atomic_load(&work->ready);
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!atomic_load(&work->go))
			usleep(1000);
		run();
		atomic_fetch_add(&work->done, 1);
		pause();
		_exit(0);
	}
	snprintf(file, sizeof(file), "%s/cgroup.procs", strrchr(zone, '/'));
	snprintf(text, sizeof(text), "%d", pid);
	for (size_t t = 0; t < ARRAY_SIZE(trees); t++)
		if (own_tree(t))
			put(in_tree(t, file, path), text);
	CHECK(atomic_load(&work->ready) == ready);
	return pid;
}

void reset(void)
{
	atomic_store(&work->ready, 0);
	atomic_store(&work->go, 0);
	atomic_store(&work->done, 0);
	atomic_store(&work->a, 0);
	atomic_store(&work->b, 0);
	atomic_store(&work->c, 0);
}

void wait_done(int n)
{
	for (int i = 0; i < 6000 && atomic_load(&work->done) < n; i++)
		usleep(10000);
	CHECK(atomic_load(&work->done) == n);
	usleep(50000); /* until the last of them sleeps */
	tick();
}

void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void switch_probe(const char *name, bool on)
{
	CHECK(probes_switch(probes, name, on, "for a test") == 0);
	tick();
	tick();
}

int probes_env_open(void)
{
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove};
	struct probes_options o = {.slow_every = 5, .software_counters = true};

	config_defaults(&config);
	o.fd_budget = config.fd_budget;
	if (geteuid() != 0) {
		puts("skip: needs root");
		return 77;
	}
	CHECK(kernel_open("/", &kernel, NULL) == 0 && cgroup_fs_open(&kernel, &fs, NULL) == 0);
	work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(work != MAP_FAILED);
	clean_up();
	make_groups();
	CHECK(probes_new(&kernel, &fs, &o, &probes) == 0);
	CHECK(zones_new(&kernel, &fs, &config, &ev, &zones, NULL) == 0);
	while (zones_process(zones, clock_mono_ns(), NULL))
		;
	/* read whether they seem to run or not */
	probes_zone_interest(probes, id_of(IN), PROBE_PROTECTED);
	probes_zone_interest(probes, id_of(OUT), PROBE_PROTECTED);
	return 0;
}

void probes_env_close(void)
{
	zones_free(zones);
	probes_free(probes);
	cgroup_fs_close(&fs);
	kernel_close(&kernel);
	clean_up();
}
