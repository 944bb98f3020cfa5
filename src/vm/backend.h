/* SPDX-License-Identifier: MIT */
/*
 * Who runs a zone's machine: one const vtable each, the first is QEMU (qemu.c). A backend tells
 * what happens through `struct vm_events`; all calls come from one thread and its event loop.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "base/error.h"
#include "vm/qemu-args.h"

struct vm_memory { /* bytes; as the balloon and the guest's driver say, so not to be trusted */
	uint64_t balloon, free, available;
};
struct vm_vcpu {
	uint32_t cpu;
	pid_t tid;
};
struct vm_limits {
	size_t nr_pins;
	struct cpuset pin[ZONE_VCPUS_MAX]; /* of vCPU i; empty: not told */
	uint64_t cpu_max_ppm;		   /* of each vCPU; 0: no limit */
	uint64_t cpu_shares;		   /* of the machine, as its cgroup counts; 0: not told */
};
enum vm_end {
	VM_END_OFF,
	VM_END_QUIT,
	VM_END_RESET,
	VM_END_PANIC,
	VM_END_DIED,
	VM_END_RELEASED /* given back; it goes on without us */
};

struct vm_events {
	void *arg;
	void (*ready)(void *arg); /* the monitor answers; vCPUs are known */
	void (*memory)(void *arg, const struct vm_memory *m);
	/* The guest opened or closed a channel port. */
	void (*port)(void *arg, enum channel_port port, bool open);
	/* What was asked for earlier could not be done. */
	void (*refused)(void *arg, const char *what, const char *text);
	void (*limited)(void *arg); /* what limit() asked for has been done, or refused */
	void (*ended)(void *arg, enum vm_end how, const char *text); /* the machine is gone */
};

#define VM_STREAMS (CHANNEL_NR + 1)
struct vm_backend {
	const char *name;
	/* Takes the plan's fds in any case. program: an open fd of the emulator. ret_ours: the
	 * caller's ends of the guest's ports and, last, of its console; -1: it has none of ours. */
	int (*start)(sd_event *loop, struct qemu_plan *plan, int program,
		     const struct vm_events *events, int ret_ours[VM_STREAMS], void **ret,
		     struct error *reterr);
	pid_t (*pid)(void *machine);
	size_t (*vcpus)(void *machine, struct vm_vcpu ret[ZONE_VCPUS_MAX]);
	int (*power_button)(void *machine);
	int (*quit)(void *machine); /* of an adopted one: give it back */
	void (*kill)(void *machine);
	int (*set_memory)(void *machine, uint64_t bytes);
	/* For a machine outside the zone's cgroup; NULL: none is. */
	int (*limit)(void *machine, const struct vm_limits *l);
	void (*poll)(void *machine); /* asks for memory; expires what was not answered */
	/* {"N.delay": ns, "N.time": ns} of vCPU N, borrowed; may be NULL, as the whole may be. */
	json_t *(*vcpu_stats)(void *machine);
	void (*free)(void *machine); /* kills what still runs */
};
extern const struct vm_backend vm_backend_qemu, vm_backend_libvirt;
/* QEMU's reason for its SHUTDOWN event. NULL or an unknown one: VM_END_DIED. */
enum vm_end vm_end_of(const char *reason);
