/* SPDX-License-Identifier: MIT */
/*
 * Tasks of this machine in the fake's groups. A child has its parent's group (a thread its
 * process's) as of the moment the fake first sees it, which is before each read and write of a
 * tasks file: so one forked before its parent was moved stays outside, as with the kernel.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

struct task *fake_task(struct fake *f, pid_t tid)
{
	for (size_t i = 0; i < f->nr_tasks; i++)
		if (f->tasks[i].tid == tid)
			return &f->tasks[i];
	return NULL;
}

static bool read_stat(pid_t pid, pid_t tid, pid_t *ret_ppid, uint64_t *ret_start)
{
	char path[64], text[512], *p;
	unsigned long long start;
	int ppid;
	FILE *in;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	in = fopen(path, "re");
	if (!in)
		return false;
	n = fread(text, 1, sizeof(text) - 1, in);
	fclose(in);
	text[n] = 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu",
			 &ppid, &start) != 2)
		return false;
	*ret_ppid = ppid;
	*ret_start = start;
	return true;
}

static void see(struct fake *f, pid_t pid, pid_t tid)
{
	struct task *t = fake_task(f, tid), *from;
	pid_t ppid;
	uint64_t start;

	if (!read_stat(pid, tid, &ppid, &start))
		return;
	if (t && t->start == start) {
		t->alive = true;
		return;
	}
	if (!t) {
		if (f->nr_tasks == f->cap_tasks) {
			f->cap_tasks = f->cap_tasks ? f->cap_tasks * 2 : 512;
			f->tasks = realloc(f->tasks, f->cap_tasks * sizeof(*f->tasks));
			if (!f->tasks)
				abort();
		}
		t = &f->tasks[f->nr_tasks++];
	}
	*t = (struct task){.tid = tid, .start = start, .ctrl = &f->groups[0], .alive = true};
	from = fake_task(f, tid == pid ? ppid : pid);
	if (from && from != t) {
		t->ctrl = from->ctrl;
		t->mon = from->mon;
	}
}

static void see_threads(struct fake *f, pid_t pid)
{
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return;
	see(f, pid, pid); /* before those that have its group */
	for (struct dirent *e; (e = readdir(d));)
		if (isdigit((unsigned char)e->d_name[0]) && atoi(e->d_name) != pid)
			see(f, pid, atoi(e->d_name));
	closedir(d);
}

void fake_scan_tasks(struct fake *f)
{
	DIR *d = opendir("/proc");
	size_t n = 0;

	if (!d)
		return;
	for (size_t i = 0; i < f->nr_tasks; i++)
		f->tasks[i].alive = false;
	for (struct dirent *e; (e = readdir(d));)
		if (isdigit((unsigned char)e->d_name[0]))
			see_threads(f, atoi(e->d_name));
	closedir(d);
	for (size_t i = 0; i < f->nr_tasks; i++)
		if (f->tasks[i].alive)
			f->tasks[n++] = f->tasks[i];
	f->nr_tasks = n;
}

static int move(struct fake *f, struct group *g, pid_t tid)
{
	struct task *t = fake_task(f, tid);

	if (!t) {
		fake_status(f, "No task %d\n", tid);
		return -ESRCH;
	}
	if (g->is_mon && t->ctrl != g->parent) {
		fake_status(f, "Can't move task to different control group\n");
		return -EINVAL;
	}
	t->ctrl = g->is_mon ? g->parent : g;
	t->mon = g->is_mon ? g : NULL;
	return 0;
}

int fake_write_tasks(struct fake *f, struct group *g, char *text)
{
	char *one, *end;
	long tid;
	int r;

	f->status[0] = 0;
	text[strcspn(text, "\n")] = 0;
	while (text && *text) {
		one = strsep(&text, ",");
		errno = 0;
		tid = strtol(one, &end, 0);
		if (end == one || *end || errno) {
			fake_status(f, "Task list parsing error pid %s\n", one);
			return -EINVAL;
		}
		if (tid < 0) {
			fake_status(f, "Invalid pid %ld\n", tid);
			return -EINVAL;
		}
		r = move(f, g, (pid_t)tid);
		if (r < 0) {
			fake_status(f, "Error while processing task %ld\n", tid);
			return r;
		}
	}
	return 0;
}

void fake_show_tasks(struct fake *f, const struct group *g, struct text *t)
{
	for (size_t i = 0; i < f->nr_tasks; i++)
		if ((g->is_mon ? f->tasks[i].mon : f->tasks[i].ctrl) == g)
			text_add(t, "%d\n", f->tasks[i].tid);
}

void fake_forget_group(struct fake *f, struct group *g)
{
	for (size_t i = 0; i < f->nr_tasks; i++) {
		struct task *t = &f->tasks[i];

		if (t->mon == g || t->ctrl == g)
			t->mon = NULL;
		if (t->ctrl == g)
			t->ctrl = &f->groups[0];
	}
}
