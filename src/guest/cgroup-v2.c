/* SPDX-License-Identifier: MIT */
#include "guest/cgroup-v2.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "guest/task.h"
#include "kernel/text.h"

#define PERIOD_US 100000

static int turn_on(const char *path)
{
	char list[512], *rest = list, *name, text[64];
	_cleanup_close_ int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read_file_at(fd, "cgroup.controllers", list, sizeof(list));
	if (n < 0)
		return (int)n;
	while ((name = strsep(&rest, " \n"))) {
		if (!*name || str_printf(text, sizeof(text), "+%s", name) < 0)
			continue;
		if (write_file_at(fd, "cgroup.subtree_control", text) < 0)
			continue; /* one that cannot be had is no reason to go without the others */
	}
	return 0;
}

int cgroups_init(struct error *reterr)
{
	int r = turn_on(CGROUP_ROOT);

	if (r < 0)
		return error_errno(reterr, r, "cgroup controllers");
	if (mkdir(CGROUP_ROOT "/cz", 0755) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "make " CGROUP_ROOT "/cz");
	return turn_on(CGROUP_ROOT "/cz");
}

int app_cgroup_open(const char *name, int *ret_fd, uint64_t *ret_id, struct error *reterr)
{
	char path[256];
	struct stat st;
	int fd;

	if (str_printf(path, sizeof(path), CGROUP_ROOT "/cz/%s", name) < 0)
		return -ENAMETOOLONG;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "make cgroup %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(reterr, -errno, "cgroup %s", path);
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -errno;
	}
	*ret_fd = fd;
	*ret_id = st.st_ino;
	return 0;
}

static void set(int fd, const char *file, const char *text, int *first, struct error *reterr)
{
	int r = write_file_at(fd, file, text);

	if (r < 0 && *first == 0)
		*first = error_errno(reterr, r, "%s to %s", text, file);
}

int app_cgroup_limit(int fd, const struct zone_app *spec, struct error *reterr)
{
	char text[CPUSET_MAX];
	uint64_t quota_us = spec->cpu_max_ppm / (1000000 / PERIOD_US);
	int first = 0;

	if (spec->cpu_max_ppm)
		snprintf(text, sizeof(text), "%" PRIu64 " %d", quota_us < 1000 ? 1000 : quota_us,
			 PERIOD_US);
	set(fd, "cpu.max", spec->cpu_max_ppm ? text : "max", &first, reterr);
	snprintf(text, sizeof(text), "%u", spec->cpu_weight ? spec->cpu_weight : 100);
	set(fd, "cpu.weight", text, &first, reterr);
	snprintf(text, sizeof(text), "%" PRIu64, spec->memory_bytes);
	set(fd, "memory.max", spec->memory_bytes ? text : "max", &first, reterr);
	if (cpuset_format(&spec->cpus, text, sizeof(text)) == 0)
		set(fd, "cpuset.cpus", *text ? text : "\n", &first, reterr);
	return first;
}

void app_cgroup_kill(int fd)
{
	if (write_file_at(fd, "cgroup.kill", "1") < 0)
		app_cgroup_signal(fd, SIGKILL);
}

static void each_pid(int cgroup_fd, const char *file, void (*what)(pid_t pid, void *arg), void *arg)
{
	_cleanup_close_ int fd = openat(cgroup_fd, file, O_RDONLY | O_CLOEXEC);
	struct text_numbers w = {.fd = fd};
	uint64_t pid;

	while (fd >= 0 && text_numbers_next(&w, &pid) == 1)
		if (pid > 1)
			what((pid_t)pid, arg);
}

static void send_signal(pid_t pid, void *signal)
{
	kill(pid, *(const int *)signal);
}

static void set_ext(pid_t pid, void *ext)
{
	task_set_ext(pid, *(const bool *)ext);
}

void app_cgroup_signal(int fd, int signal)
{
	each_pid(fd, "cgroup.procs", send_signal, &signal);
}

void app_cgroup_threads(int fd, void (*what)(pid_t tid, void *arg), void *arg)
{
	each_pid(fd, "cgroup.threads", what, arg);
}

void app_cgroup_set_ext(int fd, bool ext)
{
	/* Twice: what was born meanwhile of one not yet changed is in the list by then. */
	for (int i = 0; i < 2; i++)
		app_cgroup_threads(fd, set_ext, &ext);
}

struct cgroup_mem_events app_cgroup_oom(int fd)
{
	struct cgroup_mem_events o = {0};
	char text[512];

	if (read_file_at(fd, "memory.events", text, sizeof(text)) < 0 ||
	    cgroup_mem_events_parse(text, &o) < 0)
		return (struct cgroup_mem_events){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	return o;
}

int app_cgroup_remove(const char *name)
{
	char path[256];

	if (str_printf(path, sizeof(path), CGROUP_ROOT "/cz/%s", name) < 0)
		return -ENAMETOOLONG;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}
