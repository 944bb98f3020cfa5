/* SPDX-License-Identifier: MIT */
/* /proc of the host and of processes. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cpuset.h"
#include "base/error.h"
#include "kernel/kernel.h"

struct proc_cpu_times { /* sums over CPUs, ns */
	uint64_t busy_ns, idle_ns, steal_ns, irq_ns, softirq_ns;
};
must_check int proc_cpu_times(const struct kernel *k, struct proc_cpu_times *ret);
must_check int proc_meminfo(const struct kernel *k, uint64_t *ret_total_bytes,
			    uint64_t *ret_available_bytes);
must_check int
proc_run_delay_ns(const struct kernel *k, pid_t pid, pid_t tid,
		  uint64_t *ret_ns); /* schedstat, field 2; tid 0: the process's main thread */
must_check int proc_is_kthread(const struct kernel *k, pid_t pid, bool *ret);
must_check int proc_boot_id(const struct kernel *k, char buf[37]);
must_check int proc_kernel_release(const struct kernel *k, char *buf, size_t size);

/* One read of /proc/PID/stat. */
struct proc_pid_stat {
	pid_t ppid;
	bool kthread;
	char comm[16]; /* raw */
	uint64_t
	    start_ticks; /* since boot; with the pid it names a process for good. 0: not told */
};
must_check int proc_pid_stat(const struct kernel *k, pid_t pid, struct proc_pid_stat *ret);

/* The parsers alone: -EINVAL on text that is cut or not of this kind. */
must_check int proc_stat_parse(const char *text, struct proc_cpu_times *ret);
must_check int proc_meminfo_parse(const char *text, uint64_t *ret_total_bytes,
				  uint64_t *ret_available_bytes);
must_check int proc_schedstat_parse(const char *text, uint64_t *ret_ns);
must_check int proc_pid_stat_parse(const char *text, struct proc_pid_stat *ret);

struct topology {
	struct cpuset online, possible;
	uint32_t nr_cpus, nr_nodes;
	uint32_t *core_of; /* [nr_cpus] or NULL */
	bool smt;
	uint64_t llc_bytes; /* of CPU 0; 0 unknown */
};
must_check int topology_read(const struct kernel *k, struct topology *ret);
void topology_done(struct topology *t);

struct psi_line {
	uint64_t some_ns, full_ns; /* totals; full 0 when the kernel gives none */
};
must_check int psi_parse(const char *text, struct psi_line *ret);
/* An fd that polls POLLPRI when some task stalled for so long within a window; at most once a
 * window. path: a pressure file below dirfd. -EINVAL: this window is not allowed (unprivileged:
 * multiples of 2 s). */
must_check int psi_trigger_open(int dirfd, const char *path, uint64_t stall_ns, uint64_t window_ns);
