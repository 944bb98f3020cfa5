/* SPDX-License-Identifier: MIT */
#include "guest/task.h"

#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"

enum { NORMAL = 0, FIFO = 1, RR = 2, BATCH = 3, IDLE = 5, DEADLINE = 6, EXT = 7 };

static const char *const names[] = {
    [NORMAL] = "normal", [FIFO] = "fifo",	  [RR] = "rr",	 [BATCH] = "batch",
    [IDLE] = "idle",	 [DEADLINE] = "deadline", [EXT] = "ext",
};

struct attributes { /* struct sched_attr of the kernel, version 0 */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

const char *task_class_name(uint32_t policy)
{
	return policy < ARRAY_SIZE(names) ? names[policy] : NULL;
}

static int get(pid_t pid, struct attributes *a)
{
	return syscall(SYS_sched_getattr, pid, a, sizeof(*a), 0) < 0 ? -errno : 0;
}

int task_get(pid_t pid, const char **ret_class, int *ret_priority, struct error *reterr)
{
	struct attributes a = {.size = sizeof(a)};
	int r = get(pid, &a);

	if (r < 0)
		return error_errno(reterr, r, "task %d", (int)pid);
	*ret_class = task_class_name(a.policy) ?: "unknown";
	*ret_priority = (int)a.priority;
	return 0;
}

static int parse(const char *text, struct attributes *ret, struct error *reterr)
{
	size_t len = strcspn(text, ":");
	uint32_t policy = 0, priority = 0;
	bool real_time;

	while (policy < ARRAY_SIZE(names) && (!names[policy] || strlen(names[policy]) != len ||
					      strncmp(names[policy], text, len)))
		policy++;
	if (policy == ARRAY_SIZE(names))
		return error_set(reterr, -EINVAL, "no scheduling class of that name");
	real_time = policy == FIFO || policy == RR;
	if (text[len] && (!real_time || parse_u32(text + len + 1, &priority) < 0 || priority < 1 ||
			  priority > 99))
		return error_set(reterr, -EINVAL,
				 "fifo and rr take a priority of 1 to 99, the others none");
	ret->policy = policy;
	ret->priority = real_time && !priority ? 1 : priority;
	if (policy == DEADLINE) {
		ret->runtime = 10000000;
		ret->deadline = ret->period = 100000000;
	}
	return 0;
}

int task_set(pid_t pid, const char *text, struct error *reterr)
{
	struct attributes a = {.size = sizeof(a)};
	int r = parse(text, &a, reterr);

	if (r < 0)
		return r;
	if (syscall(SYS_sched_setattr, pid, &a, 0) < 0)
		return error_errno(reterr, -errno, "task %d to class %s", (int)pid,
				   names[a.policy]);
	return 0;
}

static void set_own(uint32_t policy, uint32_t priority)
{
	struct attributes a = {.size = sizeof(a), .policy = policy, .priority = priority};

	syscall(SYS_sched_setattr, 0, &a, 0);
}

void task_enter_real_time(void)
{
	set_own(RR, 1);
}

void task_leave_real_time(bool ext)
{
	set_own(NORMAL, 0);
	if (ext)
		set_own(EXT, 0); /* a kernel without that class refuses */
}

void task_set_ext(pid_t pid, bool ext)
{
	struct attributes a = {.size = sizeof(a)};

	if (get(pid, &a) < 0 || a.policy != (ext ? NORMAL : EXT))
		return;
	a = (struct attributes){.size = sizeof(a), .policy = ext ? EXT : NORMAL, .nice = a.nice};
	syscall(SYS_sched_setattr, pid, &a, 0);
}
