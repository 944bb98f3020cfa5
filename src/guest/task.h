/* SPDX-License-Identifier: MIT */
/* Scheduling classes of tasks, by raw system calls: not every C library has them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/* "normal", "fifo", "rr", "batch", "idle", "deadline", "ext"; NULL: no such number. */
const char *task_class_name(uint32_t policy);
must_check int task_get(pid_t pid, const char **ret_class, int *ret_priority, struct error *reterr);
/* "CLASS", or "CLASS:PRIORITY" with 1 to 99 for fifo and rr (without: 1). deadline takes 10 ms of
 * every 100 ms. */
must_check int task_set(pid_t pid, const char *text, struct error *reterr);
/* This process is above every policy of sched_ext, or a bad one would lock it out. */
void task_enter_real_time(void);
/* This task as it would be without that, or of the class of sched_ext. */
void task_leave_real_time(bool ext);
/* A task between class normal and that of sched_ext; one of another class stays there. Errors do
 * not matter: the kernel may have none. */
void task_set_ext(pid_t pid, bool ext);
