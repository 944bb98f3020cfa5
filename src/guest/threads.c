/* SPDX-License-Identifier: MIT */
#include "guest/threads.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/io.h"
#include "base/str.h"
#include "guest/app-spec.h"
#include "guest/apps.h"
#include "guest/cgroup-v2.h"
#include "guest/policy.h"
#include "guest/task.h"

_Static_assert(THREADS_LOOK_MAX <= BUS_TASK_CLASS_MAX, "the bus has room for all that is found");

struct threads {
	struct found {
		uint32_t tid;
		enum zone_class class;
	} on_bus[THREADS_LOOK_MAX], found[THREADS_LOOK_MAX];
	size_t nr_on_bus, nr_found;
	unsigned int looked_at;
	unsigned int missed;   /* last time */
	const struct app *app; /* whose threads are looked at */
};

int threads_init(struct guest *g)
{
	g->threads = calloc(1, sizeof(*g->threads));
	return g->threads ? 0 : -ENOMEM;
}

static void look_at(pid_t tid, void *arg)
{
	struct guest *g = arg;
	struct threads *t = g->threads;
	const struct thread_rule *rule;
	char path[32], name[64];

	if (++t->looked_at > THREADS_LOOK_MAX ||
	    str_printf(path, sizeof(path), "/proc/%d/comm", (int)tid) < 0 ||
	    read_file_at(AT_FDCWD, path, name, sizeof(name)) < 0)
		return;
	name[strcspn(name, "\n")] = 0;
	rule = app_thread_rule(&t->app->spec, name);
	if (rule)
		t->found[t->nr_found++] = (struct found){(uint32_t)tid, rule->class};
	task_set_ext(tid, policy_takes(g, rule ? rule->class : t->app->spec.class));
}

static int by_tid(const void *a, const void *b)
{
	uint32_t x = ((const struct found *)a)->tid, y = ((const struct found *)b)->tid;

	return (x > y) - (x < y);
}

/* How many could not be told. */
static unsigned int write_bus(struct guest *g)
{
	struct threads *t = g->threads;
	unsigned int failed = 0;

	qsort(t->found, t->nr_found, sizeof(*t->found), by_tid);
	for (size_t i = 0; i < t->nr_on_bus; i++)
		if (!bsearch(&t->on_bus[i], t->found, t->nr_found, sizeof(*t->found), by_tid))
			bus_drop_task_class(&g->bus, t->on_bus[i].tid);
	for (size_t i = 0; i < t->nr_found; i++)
		failed += bus_set_task_class(&g->bus, t->found[i].tid,
					     (enum bus_class_id)t->found[i].class) < 0;
	memcpy(t->on_bus, t->found, t->nr_found * sizeof(*t->found));
	t->nr_on_bus = t->nr_found;
	return failed;
}

void threads_look(struct guest *g)
{
	struct threads *t = g->threads;
	unsigned int missed;

	t->nr_found = t->looked_at = 0;
	apps_each(g, a)
	{
		t->app = a;
		if (a->spec.nr_threads)
			app_cgroup_threads(a->cgroup_fd, look_at, g);
	}
	missed = write_bus(g);
	if (t->looked_at > THREADS_LOOK_MAX)
		missed += t->looked_at - THREADS_LOOK_MAX;
	if (missed && !t->missed)
		guest_notice(g, "app",
			     "%u threads of apps with rules for threads have their app's class: at "
			     "most %d are looked at",
			     missed, THREADS_LOOK_MAX);
	t->missed = missed;
}
