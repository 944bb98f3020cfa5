/* SPDX-License-Identifier: MIT */
/* Whether and when an app that ended is started again. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "model/zone-spec.h"

#define RESTART_FIRST_NS 1000000000ULL
#define RESTART_MAX_NS	 60000000000ULL /* also: having run so long, an app begins anew */

/* backoff_ns: the wait before the last start, 0 at first. exit: code, or 128 + signal. *ret_ns: the
 * wait before the next start. */
bool restart_wanted(enum restart_policy policy, int exit, uint64_t ran_ns, uint64_t backoff_ns,
		    uint64_t *ret_ns);
