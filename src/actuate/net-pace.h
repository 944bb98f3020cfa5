/* SPDX-License-Identifier: MIT */
/*
 * Pacing what a cgroup sends through one interface of this network namespace. A BPF program on its
 * v2 cgroup gives its packets the priority that is a class of an HTB queueing discipline at the
 * interface's root; all others pass that by. The state is the kernel's alone, and found again there
 * by whoever undoes it:
 *   ""             nothing of ours
 *   "marked"       the program, but no class
 *   "IFNAME RATE"  both; bytes a second
 * An interface whose root somebody has configured is left alone: -EEXIST. What the kernel puts
 * there by itself comes back when ours goes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define NET_PACE_MARKED "marked"

/* dirfd: of the group in the v2 hierarchy. */
must_check int net_pace_read(int dirfd, char *buf, size_t size);
must_check int net_pace_write(int dirfd, const char *text);
/* Has some interface the class already that this group would get? */
bool net_pace_is_taken(int dirfd);
