/* SPDX-License-Identifier: MIT */
/*
 * Who runs a zone's machine: one const vtable each, the first is QEMU (qemu.c). A backend tells
 * what happens through `struct vm_events`; all calls come from one thread and its event loop.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
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
enum vm_end { VM_END_OFF, VM_END_QUIT, VM_END_RESET, VM_END_PANIC, VM_END_DIED };

struct vm_events {
	void *arg;
	void (*ready)(void *arg); /* the monitor answers; vCPUs are known */
	void (*memory)(void *arg, const struct vm_memory *m);
	/* The guest opened or closed a channel port. */
	void (*port)(void *arg, enum channel_port port, bool open);
	void (*ended)(void *arg, enum vm_end how, const char *text); /* the machine is gone */
};

struct vm_backend {
	const char *name;
	/* Takes the plan's fds in any case. program: an open fd of the emulator. */
	int (*start)(sd_event *loop, struct qemu_plan *plan, int program,
		     const struct vm_events *events, void **ret, struct error *reterr);
	/* A machine that runs already. -EOPNOTSUPP where it never outlives us. */
	int (*adopt)(sd_event *loop, const char *name, const struct vm_events *events, void **ret,
		     struct error *reterr);
	pid_t (*pid)(void *machine);
	size_t (*vcpus)(void *machine, struct vm_vcpu ret[ZONE_VCPUS_MAX]);
	int (*power_button)(void *machine);
	int (*quit)(void *machine);
	void (*kill)(void *machine);
	int (*set_memory)(void *machine, uint64_t bytes);
	void (*poll)(void *machine); /* asks for memory; expires what was not answered */
	void (*free)(void *machine); /* kills what still runs */
};
extern const struct vm_backend vm_backend_qemu;
