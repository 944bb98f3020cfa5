/* SPDX-License-Identifier: MIT */
/*
 * One czd enforces on a host at a time, whatever its run directory is: two guards would take each
 * other's knobs for somebody else's. The lock lies where the knobs are, so it needs no writable
 * /run and holds between mount namespaces: the cgroup HOST_LOCK_PATH in the cpu hierarchy, which
 * only root can open (else any tenant could keep the guard from acting). It is removed when it is
 * released, and by the next holder when a killed one has left it.
 */
#pragma once
#include "base/error.h"
#include "kernel/cgroup.h"

#define HOST_LOCK_PATH "/cz-enforce"

/* -EBUSY: another process has it; else why it cannot be had. */
must_check int host_lock_take(const struct cgroup_fs *fs, int *ret_fd, struct error *reterr);
void host_lock_release(const struct cgroup_fs *fs, int *fd); /* *fd -1: nothing to do */
