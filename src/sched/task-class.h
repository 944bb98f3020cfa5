/* SPDX-License-Identifier: MIT */
/*
 * Classes of single threads, by rules on names: "redis-server = lc", "java/GC* = be". The first
 * rule that fits a thread wins; a thread that none fits has its cgroup's class.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "sched/bus.h"

#define TASK_CLASS_NAME	 64
#define TASK_CLASS_RULES 32
#define TASK_CLASS_PIDS	 32768 /* processes looked at in one pass */

struct bus;

struct task_class_rule {
	char program[TASK_CLASS_NAME]; /* glob on the process's name (comm) */
	char thread[TASK_CLASS_NAME];  /* glob on the thread's name; "*": all */
	enum bus_class_id class;
};

/* "PROGRAM[/THREAD] = lc|normal|be". */
must_check int task_class_parse(const char *text, struct task_class_rule *ret,
				struct error *reterr);
/* The rule that fits, or NULL. */
const struct task_class_rule *task_class_match(const struct task_class_rule *rules, size_t nr,
					       const char *program, const char *thread);
/*
 * One pass over procfs (a descriptor of /proc): writes the classes of all threads that a rule fits,
 * and removes entries of threads that are gone or that none fits any more. Returns how many threads
 * have a class, or -Exxx; *ret_dropped: those that found the map full.
 */
must_check int task_class_apply(struct bus *bus, int proc_fd, const struct task_class_rule *rules,
				size_t nr, uint32_t *ret_dropped);
