/* SPDX-License-Identifier: MIT */
/* What cz-gate gives up once it is set up: its user, all capabilities, most system calls. */
#pragma once
#include "base/error.h"

/* Becomes `user` if this process is root; without capabilities and ways to new ones in any case. */
must_check int sandbox_become(const char *user, struct error *reterr);
/* From now on only the system calls that serving takes; others fail with EPERM. */
must_check int sandbox_lock(struct error *reterr);
