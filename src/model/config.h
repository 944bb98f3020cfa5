/* SPDX-License-Identifier: MIT */
/* czd's configuration as plain data: filled by spec/, read by everybody. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/action.h"
#include "model/zone.h"

struct class_rule {  /* later rules win over earlier ones */
	char *match; /* glob on path, or on friendly name when it has no '/' */
	enum zone_class class;
	struct slo slo;
	enum control control;
	uint32_t line; /* in the file, for messages */
};

struct guard_config {
	enum guard_mode mode;
	uint64_t fast_threshold_ns; /* foreign wait that wakes the fast path; default 250 us */
	uint64_t measure_ns;	    /* how long an action's effect is measured; default 1 s */
	uint64_t cooldown_ns;	    /* no new rung for the same pair meanwhile; default 2 s */
	uint64_t quiet_ns;	    /* no harm for so long: take one rung back; default 30 s */
	uint64_t lease_ns;	    /* an action not renewed is undone; default 10 min */
	uint32_t max_actions;	    /* at once; default 64 */
	uint32_t min_cap_ppm; /* bandwidth cap never below this share of one CPU; default 10 % */
	bool allow_freeze;    /* default false */
	uint64_t min_memory_bytes, min_io_bytes; /* steps on memory and io (a second) stop here;
						  * default 64 MiB, 1 MiB */
	uint64_t min_network_bytes;		 /* a second; default 128 KiB */
	bool allow_cpuset, allow_cap, allow_memory, allow_io, allow_network; /* default true */
};
/* Its fields but the mode: (key below `guard:`, field). */
#define GUARD_KEYS(X)                                                                              \
	X(fast_threshold, fast_threshold_ns)                                                       \
	X(measure, measure_ns)                                                                     \
	X(cooldown, cooldown_ns)                                                                   \
	X(quiet, quiet_ns)                                                                         \
	X(lease, lease_ns)                                                                         \
	X(max_actions, max_actions)                                                                \
	X(min_cap, min_cap_ppm)                                                                    \
	X(allow_freeze, allow_freeze)                                                              \
	X(allow_cpuset, allow_cpuset)                                                              \
	X(allow_cap, allow_cap)                                                                    \
	X(allow_memory, allow_memory)                                                              \
	X(allow_io, allow_io)                                                                      \
	X(min_memory, min_memory_bytes)                                                            \
	X(min_io, min_io_bytes)                                                                    \
	X(allow_network, allow_network)                                                            \
	X(min_network, min_network_bytes)

struct ledger_config {
	bool enabled;	     /* default true */
	uint32_t budget_ppm; /* of all CPUs; above it the ledger detaches itself; default 10000 */
	uint32_t max_zones;  /* culprit slots; default 16384 */
};

/* Probes that cost others: off unless asked for. By the names that they have. */
#define OPTIONAL_PROBES(X)                                                                         \
	X(syscalls)                                                                                \
	X(block) X(net) X(switches) X(epoll) X(sockets) X(reclaimers) X(futex) X(counters)
struct probes_config {
#define X(name) bool name;
	OPTIONAL_PROBES(X)
#undef X
};

struct config_key {
	const char *name;
	size_t offset, size;
};
#define CONFIG_KEY(key, field)                                                                     \
	{                                                                                          \
		key, offsetof(struct config, field), sizeof(((struct config *)0)->field)           \
	}

struct config {
	uint64_t tick_ns;   /* default 1 s */
	uint32_t max_zones; /* default 65536 */
	uint32_t fd_budget; /* kept-open files; default: RLIMIT_NOFILE - 2000, at most 16000 */
	struct guard_config guard;
	struct ledger_config ledger;
	struct probes_config probes;
	char **off_limits; /* extra globs never acted on; NULL-terminated or NULL */
	struct class_rule *rules;
	size_t nr_rules;
};
void config_defaults(struct config *c);
void config_done(struct config *c);
