/* SPDX-License-Identifier: MIT */
/* All probes, in the order in which a zone is read: cpu first, it tells which zones ran. */
#include "base/cleanup.h"
#include "probes/internal.h"

const struct probe *const probe_list[] = {
    &probe_cpu,	      &probe_throttling, &probe_run_delay, &probe_psi,	       &probe_psi_triggers,
    &probe_memory,    &probe_reclaim,	 &probe_numa,	   &probe_io,	       &probe_io_limits,
    &probe_netns,     &probe_tasks,	 &probe_syscalls,  &probe_block,       &probe_net,
    &probe_switches,  &probe_epoll,	 &probe_sockets,   &probe_reclaimers,  &probe_futex,
    &probe_counters,  &probe_host_cpu,	 &probe_frequency, &probe_host_memory, &probe_host_psi,
    &probe_host_disk, &probe_host_net,
};
const size_t probe_list_nr = ARRAY_SIZE(probe_list);
_Static_assert(ARRAY_SIZE(probe_list) <= PROBES_MAX, "raise PROBES_MAX");
