/* SPDX-License-Identifier: MIT */
/* From root to nobody in particular. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/* For good: ids, groups, capabilities (the bounding set too), new privileges, core dumps. */
must_check int privs_drop(uid_t uid, gid_t gid, struct error *reterr);
/* For a child: another user, who keeps these capabilities (1u << CAP_X) also as another program.
 * privs_die_with() comes after it, for the kernel forgets that with the user. */
must_check int privs_become(uid_t uid, gid_t gid, uint32_t caps);
/* For a child that becomes another program: it dies with `parent`. Does not return on failure. */
void privs_die_with(pid_t parent);
/* Only the system calls that a running cz-vm needs; for after QEMU was started. */
must_check int privs_sandbox(struct error *reterr);
