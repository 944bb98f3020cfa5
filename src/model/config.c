/* SPDX-License-Identifier: MIT */
#include "model/config.h"

#include <stdlib.h>
#include <sys/resource.h>

#define SECOND_NS     1000000000ull
#define FD_RESERVE    2000 /* sockets, BPF, reads in passing */
#define FD_BUDGET_MAX 16000

static uint32_t default_fd_budget(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur >= FD_BUDGET_MAX + FD_RESERVE)
		return FD_BUDGET_MAX;
	return limit.rlim_cur > 2 * FD_RESERVE ? (uint32_t)limit.rlim_cur - FD_RESERVE
					       : (uint32_t)limit.rlim_cur / 2;
}

void config_defaults(struct config *c)
{
	*c = (struct config){
	    .tick_ns = SECOND_NS,
	    .max_zones = 65536,
	    .fd_budget = default_fd_budget(),
	    .guard =
		{
		    .mode = MODE_OBSERVE,
		    .fast_threshold_ns = 250000,
		    .measure_ns = SECOND_NS,
		    .cooldown_ns = 2 * SECOND_NS,
		    .quiet_ns = 30 * SECOND_NS,
		    .lease_ns = 600 * SECOND_NS,
		    .max_actions = 64,
		    .min_cap_ppm = 100000,
		    .allow_freeze = false,
		    .allow_cpuset = true,
		    .min_memory_bytes = 64ull << 20,
		    .min_io_bytes = 1ull << 20,
		    .min_network_bytes = 128ull << 10,
		    .allow_cap = true,
		    .allow_memory = true,
		    .allow_io = true,
		    .allow_network = true,
		},
	    .ledger =
		{
		    .enabled = true,
		    .budget_ppm = 10000,
		    .max_zones = 16384,
		},
	};
}

void config_done(struct config *c)
{
	for (size_t i = 0; i < c->nr_rules; i++)
		free(c->rules[i].match);
	free(c->rules);
	for (char **p = c->off_limits; p && *p; p++)
		free(*p);
	free(c->off_limits);
	*c = (struct config){0};
}
