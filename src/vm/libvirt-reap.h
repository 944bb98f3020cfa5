/* SPDX-License-Identifier: MIT */
/* libvirt leaves its QEMUs to init, and waits until init has reaped them: never, in many a
 * container. */
#pragma once
#include "base/error.h"

/* From now on they are left to this process, and reaped by a thread of its own. */
must_check int reap_orphans(void);
