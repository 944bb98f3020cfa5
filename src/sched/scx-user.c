/* SPDX-License-Identifier: MIT */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "sched/counters.h"
#include "sched/loader.h"
#include "sched/object.h"
#include "sched/scx-user.h"
#include "sched/user-pick.h"
#include "scx-user.skel.h"

struct user {
	struct user_pick pick;
	struct ring_buffer *ring;
	struct user_shared *shared;
	int decide_fd;
};

static const char *const counters[] = {USER_COUNTERS(COUNTER_NAME) NULL};

static const struct option_desc options[] = {
    POLICY_OPTION(scx_user_bpf, "slice", DURATION, slice_ns, "TIME", "a turn; default: 8ms",
		  .min = 100000, .max = 1000000000, .letter = 's'),
    POLICY_OPTION(scx_user_bpf, "stall", DURATION, stall_ns, "TIME",
		  "first come, first served without a decision for so long; default: 50ms",
		  .min = 1000000, .max = 10000000000),
    OPTIONS_END};

static struct user_shared *shared_of(struct policy_run *run)
{
	struct bpf_map *map = object_map(run->obj, ".data.shared");

	return map ? bpf_map__initial_value(map, &(size_t){0}) : NULL;
}

static int user_open(struct policy_run *run, struct error *reterr)
{
	struct user_shared *shared = shared_of(run);
	int cpus = libbpf_num_possible_cpus();

	if (!shared || cpus < 1)
		return error_set(reterr, -EINVAL, "the program lacks .data.shared");
	shared->nr_cpus = (uint32_t)cpus;
	shared->agent[0] = (uint32_t)getpid();
	shared->agent[1] = (uint32_t)getppid();
	return 0;
}

/* How many decided tasks wait for a CPU after that; also says that we are there. task may be NULL.
 */
static int decide(struct user *user, const struct user_parked *task, bool *ret_moved)
{
	struct user_decisions d = {.nr = task ? 1 : 0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &d, .ctx_size_in = sizeof(d)); /* and out */
	int r;

	if (task)
		d.list[0] = (struct user_decision){.pid = task->pid,
						   .cpu = task->cpu,
						   .slice_ns = user->pick.slice_ns,
						   .vtime = task->vtime};
	r = bpf_prog_test_run_opts(user->decide_fd, &opts);
	*ret_moved = d.moved > 0;
	return r < 0 ? r : d.queued;
}

static int on_request(void *context, void *data, size_t size)
{
	const struct user_request *r = data;
	struct user *user = context;
	bool moved;

	if (size < sizeof(*r) || r->pid == 0)
		return 0; /* somebody wants work: fill() follows */
	if (!user_pick_add(&user->pick, r)) {
		struct user_parked at_once = {
		    .pid = r->pid, .cpu = USER_CPU_ANY, .vtime = r->vtime};

		decide(user, &at_once, &moved);
	}
	return 0;
}

/* Decides until each CPU has one in advance. Who was not parked yet is decided the next time: a CPU
 * that idles beside a parked task asks at once. */
static void fill(struct user *user)
{
	struct user_parked task, early[16];
	size_t nr_early = 0;
	bool moved;
	int ahead = decide(user, NULL, &moved);

	while (ahead >= 0 && ahead < (int)user->shared->nr_cpus && nr_early < ARRAY_SIZE(early) &&
	       user_pick_next(&user->pick, &task)) {
		ahead = decide(user, &task, &moved);
		if (!moved)
			early[nr_early++] = task;
	}
	for (size_t i = 0; i < nr_early; i++)
		user_pick_again(&user->pick, &early[i]);
}

static int user_loaded(struct policy_run *run, struct error *reterr)
{
	const struct scx_user_bpf__rodata *o = (const void *)run->settings->rodata;
	struct user *user = calloc(1, sizeof(*user));

	if (!user)
		return error_set(reterr, -ENOMEM, "out of memory");
	run->data = user;
	user->pick.slice_ns = o->slice_ns;
	user->shared = shared_of(run);
	user->decide_fd =
	    bpf_program__fd(bpf_object__find_program_by_name(run->obj, "user_decide"));
	user->ring =
	    ring_buffer__new(bpf_map__fd(object_map(run->obj, "requests")), on_request, user, NULL);
	if (!user->ring)
		return error_errno(reterr, -errno, "could not read the ring of requests");
	/* A page fault would wait for a task that waits for us. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return error_errno(reterr, -errno, "could not lock the memory");
	return 0;
}

static int user_fd(struct policy_run *run)
{
	return ring_buffer__epoll_fd(((struct user *)run->data)->ring);
}

static void user_ready(struct policy_run *run)
{
	struct user *user = run->data;

	ring_buffer__consume(user->ring);
	fill(user);
}

static void user_done(struct policy_run *run)
{
	struct user *user = run->data;

	if (!user)
		return;
	ring_buffer__free(user->ring);
	free(user);
}

static const struct policy policy = {
    .name = "user",
    .elf = scx_user_bpf__elf_bytes,
    .options = options,
    .counters = counters,
    .hooks = {.open = user_open,
	      .loaded = user_loaded,
	      .fd = user_fd,
	      .ready = user_ready,
	      .done = user_done},
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
