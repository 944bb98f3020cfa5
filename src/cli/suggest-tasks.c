/* SPDX-License-Identifier: MIT */
/* All tasks of the host, looked at in /proc: what each did since the last look, for its zone. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/parse.h"
#include "cli/suggest.h"
#include "kernel/cgroup.h"

#define MODEST_NICE   10 /* what nice(1) gives */
#define SLICES_ENOUGH 10 /* for a mean */
#define PROCESSES_MAX 32 /* of a zone, asked for their sockets */

struct counts {
	uint64_t run_ns, wait_ns, slices, wakes;
};

struct task {
	struct counts last;
	uint64_t look; /* when it was seen last */
};

struct suggest_tasks {
	struct kernel kernel;
	struct cgroup_fs fs;
	struct hash tasks; /* by thread id */
	struct hash zones; /* by the path's hash: index + 1 */
	struct hash sockets;
	uint64_t look;
};

void suggest_tasks_free(struct suggest_tasks *t)
{
	if (!t)
		return;
	hash_for_each(&t->tasks, e)
		free(e->value);
	hash_done(&t->tasks);
	hash_done(&t->zones);
	hash_done(&t->sockets);
	cgroup_fs_close(&t->fs);
	kernel_close(&t->kernel);
	free(t);
}
int suggest_tasks_new(struct suggest_tasks **ret, struct error *reterr)
{
	_cleanup_(suggest_tasks_freep) struct suggest_tasks *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_errno(reterr, -ENOMEM, "suggest");
	t->kernel.root_fd = -1;
	r = kernel_open("/", &t->kernel, reterr);
	if (r == 0)
		r = cgroup_fs_open(&t->kernel, &t->fs, reterr);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return 0;
}

/* The zone of a process; NULL: none of these. */
static struct zone_seen *zone_of(const struct suggest_tasks *t, pid_t pid, struct zone_seen *zones)
{
	char path[ZONE_PATH_MAX];
	struct zone_seen *z;
	uintptr_t index;

	if (cgroup_path_of_pid(&t->kernel, &t->fs, CG_CPU, pid, path, sizeof(path)) < 0)
		return NULL;
	index = (uintptr_t)hash_get(&t->zones, hash_string(path));
	z = index ? &zones[index - 1] : NULL;
	return z && !strcmp(z->path, path) ? z : NULL;
}

static int read_counts(int taskfd, const char *tid, struct counts *ret)
{
	unsigned long long run_ns, wait_ns, slices, wakes;
	char path[64], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "%.20s/schedstat", tid);
	if (read_file_at(taskfd, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu %llu %llu", &run_ns, &wait_ns, &slices) != 3)
		return -ENOENT;
	snprintf(path, sizeof(path), "%.20s/status", tid);
	if (read_file_at(taskfd, path, text, sizeof(text)) < 0)
		return -ENOENT;
	at = strstr(text, "\nvoluntary_ctxt_switches:");
	if (!at || sscanf(at, " voluntary_ctxt_switches: %llu", &wakes) != 1)
		return -ENOENT;
	*ret = (struct counts){run_ns, wait_ns, slices, wakes};
	return 0;
}

/* What it did since; a thread id that came again begins anew. */
static struct counts since(const struct counts *now, const struct counts *last)
{
	if (now->run_ns < last->run_ns || now->slices < last->slices || now->wakes < last->wakes ||
	    now->wait_ns < last->wait_ns)
		return *now;
	return (struct counts){now->run_ns - last->run_ns, now->wait_ns - last->wait_ns,
			       now->slices - last->slices, now->wakes - last->wakes};
}

static void add_policy(struct zone_seen *z, pid_t tid, uint64_t run_ns)
{
	int policy = sched_getscheduler(tid), nice;

	if (policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE) {
		z->realtime_ns += run_ns;
		return;
	}
	errno = 0;
	nice = getpriority(PRIO_PROCESS, (id_t)tid);
	if (policy == SCHED_BATCH || policy == SCHED_IDLE || (!errno && nice >= MODEST_NICE))
		z->modest_ns += run_ns;
}

static int look_at_thread(struct suggest_tasks *t, int taskfd, const char *name,
			  struct zone_seen *z)
{
	struct task *task;
	struct counts now, d;
	uint32_t tid;

	if (parse_u32(name, &tid) < 0 || read_counts(taskfd, name, &now) < 0)
		return 0;
	task = hash_get(&t->tasks, tid);
	if (!task) {
		task = calloc(1, sizeof(*task));
		if (!task || hash_put(&t->tasks, tid, task) < 0) {
			free(task);
			return -ENOMEM;
		}
		if (t->look == 1) /* what it did before is not of this watch */
			task->last = now;
	}
	d = since(&now, &task->last);
	*task = (struct task){.last = now, .look = t->look};
	z->run_ns += d.run_ns;
	z->wait_ns += d.wait_ns;
	z->slices += d.slices;
	z->wakes += d.wakes;
	z->tasks++;
	if (d.run_ns)
		add_policy(z, (pid_t)tid, d.run_ns);
	return 0;
}

static int look_at_process(struct suggest_tasks *t, pid_t pid, struct zone_seen *z)
{
	_cleanup_close_ int fd = -1;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[40];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return 0; /* it has ended */
	fd = -1;
	while (r == 0 && (entry = readdir(dir)) != NULL)
		r = look_at_thread(t, dirfd(dir), entry->d_name, z);
	return r;
}

static int each_process(struct suggest_tasks *t, struct zone_seen *zones,
			int (*take)(struct suggest_tasks *t, pid_t pid, struct zone_seen *z))
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint32_t pid;
	int r = 0;

	if (!proc)
		return -errno;
	while (r == 0 && (entry = readdir(proc)) != NULL) {
		struct zone_seen *z;

		if (parse_u32(entry->d_name, &pid) < 0)
			continue;
		z = zone_of(t, (pid_t)pid, zones);
		if (z)
			r = take(t, (pid_t)pid, z);
	}
	return r;
}

static void forget_ended(struct suggest_tasks *t)
{
	struct hash kept = {0};

	hash_for_each(&t->tasks, e) {
		struct task *task = e->value;

		if (task->look != t->look || hash_put(&kept, e->key, task) < 0)
			free(task);
	}
	hash_done(&t->tasks);
	t->tasks = kept;
}

static int index_zones(struct suggest_tasks *t, const struct zone_seen *zones, size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr && r == 0; i++)
		r = hash_put(&t->zones, hash_string(zones[i].path), (void *)(uintptr_t)(i + 1));
	return r;
}

int suggest_tasks_look(struct suggest_tasks *t, struct zone_seen *zones, size_t nr)
{
	_cleanup_free_ struct counts *before = calloc(nr + 1, sizeof(*before));
	int r;

	if (!before)
		return -ENOMEM;
	t->look++;
	for (size_t i = 0; i < nr; i++) {
		before[i] = (struct counts){.wait_ns = zones[i].wait_ns, .slices = zones[i].slices};
		zones[i].tasks = 0;
	}
	hash_done(&t->zones);
	r = index_zones(t, zones, nr);
	if (r == 0)
		r = each_process(t, zones, look_at_process);
	forget_ended(t);
	for (size_t i = 0; i < nr; i++) {
		struct zone_seen *z = &zones[i];
		uint64_t slices = z->slices - before[i].slices;

		if (slices >= SLICES_ENOUGH && z->nr_means < SUGGEST_LOOKS_MAX)
			z->means_ns[z->nr_means++] = (z->wait_ns - before[i].wait_ns) / slices;
	}
	return r;
}

static int ask_sockets(struct suggest_tasks *t, pid_t pid, struct zone_seen *z)
{
	_cleanup_close_ int procfd = -1;
	char path[32];

	if (++z->tasks > PROCESSES_MAX) /* counted anew here, processes only */
		return 0;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procfd >= 0 && !suggest_sockets(procfd, &t->sockets, &z->listens, &z->serves))
		z->closed++;
	return 0;
}

void suggest_tasks_sockets(struct suggest_tasks *t, struct zone_seen *zones, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		zones[i].tasks = 0;
	(void)!each_process(t, zones, ask_sockets);
}
