/* SPDX-License-Identifier: MIT */
/* What this host can do, tried out rather than guessed from versions. For `czctl doctor`. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/cgroup.h"
#include "kernel/kernel.h"

enum cap_state { CAP_YES, CAP_NO, CAP_UNKNOWN /* a captured tree cannot tell */ };
enum cap_area { CAP_SEE, CAP_ACT, CAP_HOST };

/* X(ID, name, area, what it gives) */
#define HOST_CAPS(X)                                                                               \
	X(BPF, "bpf", SEE, "run-queue wait and who caused it")                                     \
	X(BTF, "btf", SEE, "BPF programs that fit this kernel")                                    \
	X(SCHEDSTAT, "schedstat", SEE, "run delay of tasks")                                       \
	X(PSI, "psi", SEE, "pressure stall information")                                           \
	X(PSI_TRIGGER, "psi_trigger", SEE, "PSI triggers with windows under 2 s")                  \
	X(PMU, "pmu", SEE, "CPI, caches")                                                          \
	X(RESCTRL, "resctrl", SEE, "memory bandwidth, cache ways")                                 \
	X(CPU_IDLE, "cpu_idle", ACT, "idle class of a cgroup")                                     \
	X(CPU_WEIGHT, "cpu_weight", ACT, "CPU weight or shares")                                   \
	X(CPU_MAX, "cpu_max", ACT, "CPU bandwidth cap")                                            \
	X(CPU_BURST, "cpu_burst", ACT, "burst above the cap")                                      \
	X(CPUSET, "cpuset", ACT, "CPU sets")                                                       \
	X(FREEZER, "freezer", ACT, "freezing a cgroup")                                            \
	X(SCHED_EXT, "sched_ext", ACT, "schedulers on the host")                                   \
	X(KVM, "kvm", HOST, "VM zones with hardware virtualisation")                               \
	X(SYSTEMD, "systemd", HOST, "systemd runs this host")                                      \
	X(SMT, "smt", HOST, "SMT siblings share cores")
#define X(id, name, area, gives) HOSTCAP_##id,
enum host_cap { HOST_CAPS(X) HOSTCAP_NR };
#undef X

struct host_cap_desc {
	const char *name;
	enum cap_area area;
	const char *gives;
};
extern const struct host_cap_desc host_cap_descs[HOSTCAP_NR];

struct host_caps {
	enum cap_state state[HOSTCAP_NR];
	char why[HOSTCAP_NR][96]; /* what was found, or why not and what would help */
	char release[96];
	const char *cgroup_layout; /* "v1", "v2", "hybrid" */
	uint32_t nr_cpus, nr_nodes;
	uint64_t memory_bytes;
};
/* Tries each; takes some ms, so call it on request. Changes nothing on the host. */
void host_caps_read(const struct kernel *k, const struct cgroup_fs *fs, struct host_caps *ret);
