/* SPDX-License-Identifier: MIT */
#include "guest/restart.h"

bool restart_wanted(enum restart_policy policy, int exit, uint64_t ran_ns, uint64_t backoff_ns,
		    uint64_t *ret_ns)
{
	if (policy == RESTART_NEVER || (policy == RESTART_ON_FAILURE && exit == 0))
		return false;
	if (!backoff_ns || ran_ns >= RESTART_MAX_NS)
		*ret_ns = RESTART_FIRST_NS;
	else
		*ret_ns = backoff_ns >= RESTART_MAX_NS / 2 ? RESTART_MAX_NS : backoff_ns * 2;
	return true;
}
