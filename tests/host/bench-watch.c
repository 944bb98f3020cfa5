/* SPDX-License-Identifier: MIT */
/*
 * What following and reading zones costs, zones/ and probes/ alone: N cgroups, A of them with a
 * task that runs a little each tick. usage: bench-watch [N A TICKS]. JSON on stdout. Root. Own
 * cgroups: cz-bench-zones.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/kio.h"
#include "probes/probe.h"
#include "zones/zones.h"

#define TOP	  "cz-bench-zones"
#define PER_SLICE 100
#define SLICE_NS  250000

static struct kernel kernel;
static struct cgroup_fs fs;
static const enum cgroup_controller joined[] = {CG_CPU, CG_CPUACCT, CG_MEMORY, CG_UNIFIED};

static void on_add(const struct zone *z, void *arg)
{
	if (probes_zone_add(arg, z->id, z->parent ? z->parent->id : 0, z->path) < 0)
		abort();
}

static void on_remove(const struct zone *z, void *arg)
{
	probes_zone_remove(arg, z->id);
}

static void each_path(int nr, void (*what)(const char *path, int arg), int arg)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(joined); i++) {
		int h = fs.of[joined[i]];

		if (h < 0)
			continue;
		snprintf(path, sizeof(path), "%s/" TOP "/%d/%d", fs.hierarchies[h].mount,
			 nr / PER_SLICE, nr);
		what(path, arg);
	}
}

static void make(const char *path, int arg)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	for (int up = 2; up >= 0; up--) {
		char *end = dir + strlen(dir);

		for (int i = 0; i < up; i++)
			while (*--end != '/')
				;
		*end = '\0';
		mkdir(dir, 0755);
		snprintf(dir, sizeof(dir), "%s", path);
	}
}

static void enter(const char *path, int pid)
{
	char file[PATH_MAX + 16], text[16];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	snprintf(text, sizeof(text), "%d", pid);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(file);
	close_fd(&fd);
}

static void drop(const char *path, int arg)
{
	char dir[PATH_MAX];

	rmdir(path);
	snprintf(dir, sizeof(dir), "%s", path);
	for (int i = 0; i < 2; i++) {
		*strrchr(dir, '/') = '\0';
		rmdir(dir); /* succeeds once the last child is gone */
	}
}

static pid_t start_task(int nr)
{
	const struct timespec nap = {.tv_nsec = 400000000};
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			nanosleep(&nap, NULL);
	}
	each_path(nr, enter, pid);
	return pid;
}

static uint64_t slice_end_ns;

static bool over(void *arg)
{
	return clock_mono_ns() >= slice_end_ns;
}

static uint64_t rss_bytes(void)
{
	char buf[128];
	unsigned long pages = 0;

	if (kio_read_text_at(kernel.root_fd, "proc/self/statm", buf, sizeof(buf)) > 0)
		sscanf(buf, "%*u %lu", &pages);
	return pages * 4096;
}

struct result {
	uint64_t cpu_ns, wall_ns, longest_ns;
	unsigned int slices;
};

/* One tick in slices, as czd does it. */
static void tick(struct zones *zs, struct probes *p, struct result *r)
{
	const struct slice slice = {over, NULL};
	uint64_t cpu_ns = clock_thread_cpu_ns();
	bool more = true;

	probes_tick_begin(p, clock_mono_ns());
	while (more) {
		uint64_t start_ns = clock_thread_cpu_ns(), used_ns;

		slice_end_ns = clock_mono_ns() + SLICE_NS;
		more = zones_process(zs, clock_mono_ns(), &slice) || probes_tick_step(p, &slice);
		used_ns = clock_thread_cpu_ns() - start_ns;
		r->longest_ns = used_ns > r->longest_ns ? used_ns : r->longest_ns;
		r->slices++;
	}
	r->cpu_ns += clock_thread_cpu_ns() - cpu_ns;
}

static int run(int ticks)
{
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove};
	struct probes_options options;
	struct config config;
	struct probes *p = NULL;
	struct zones *zs = NULL;
	struct error err = {0};
	struct result r = {0};
	struct probes_stats st;
	uint64_t start_ns, found_ns, rss = rss_bytes();

	config_defaults(&config);
	options = (struct probes_options){.fd_budget = config.fd_budget};
	if (probes_new(&kernel, &fs, &options, &p) < 0)
		return 1;
	ev.arg = p;
	if (zones_new(&kernel, &fs, &config, &ev, &zs, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	if (probes_switch(p, "run_delay", false, "") < 0)
		return 1;
	start_ns = clock_thread_cpu_ns();
	while (zones_process(zs, clock_mono_ns(), NULL))
		;
	found_ns = clock_thread_cpu_ns() - start_ns;
	tick(zs, p, &(struct result){0}); /* opens everything */
	for (int i = 0; i < ticks; i++) {
		const struct timespec second = {.tv_sec = 1};

		nanosleep(&second, NULL);
		tick(zs, p, &r);
	}
	probes_stats(p, &st);
	printf("{\"zones\": %zu, \"active\": %zu, \"tick_cpu_us\": %.0f, \"cpu_ppm_at_1s\": %.0f, "
	       "\"find_cpu_us\": %.0f, \"longest_slice_us\": %.0f, \"rss_growth_bytes\": %ld, "
	       "\"fds\": %zu, \"opens\": %lu, \"errors\": %lu}\n",
	       zones_count(zs), st.active, (double)r.cpu_ns / ticks / 1e3,
	       (double)r.cpu_ns / ticks / 1e3, (double)found_ns / 1e3, (double)r.longest_ns / 1e3,
	       (long)(rss_bytes() - rss), st.fds_kept, st.opens_total, st.errors_total);
	zones_free(zs);
	probes_free(p);
	return 0;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000, active = argc > 2 ? atoi(argv[2]) : n / 10;
	int ticks = argc > 3 ? atoi(argv[3]) : 10, r;
	pid_t *tasks = calloc((size_t)(active > 0 ? active : 1), sizeof(*tasks));
	struct error err = {0};

	if (!tasks || n < 1 || active < 0 || active > n || ticks < 1)
		return 2;
	if (kernel_open("/", &kernel, &err) < 0 || cgroup_fs_open(&kernel, &fs, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	for (int i = 0; i < n; i++)
		each_path(i, make, 0);
	for (int i = 0; i < active; i++)
		tasks[i] = start_task(i * (n / active));
	r = run(ticks);
	for (int i = 0; i < active; i++) {
		kill(tasks[i], SIGKILL);
		waitpid(tasks[i], NULL, 0);
	}
	for (int i = 0; i < n; i++)
		each_path(i, drop, 0);
	free(tasks);
	cgroup_fs_close(&fs);
	kernel_close(&kernel);
	return r;
}
