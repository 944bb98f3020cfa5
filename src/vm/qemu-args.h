/* SPDX-License-Identifier: MIT */
/*
 * A zone's spec -> QEMU's command line. Pure. Whatever QEMU is to open it gets as an open fd: it
 * needs no path, no permission on the way to one, and cannot be led to another file. Options that
 * are lists take text from outside only with its commas doubled, or as JSON.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "channel/channel.h"
#include "model/zone-spec.h"
#include "vm/disk.h"

#define QEMU_ARGS_MAX	 128
#define QEMU_CMDLINE_MAX 2000 /* the kernel cuts at 2,048 */

struct qemu_plan {
	const struct zone_spec *spec;
	const char *nonce;
	bool kvm;
	/* -1: not there. They are QEMU's after the start, under these numbers. */
	int kernel, initramfs, data, kvm_fd, qmp, console, port[CHANNEL_NR], virtiofs, disk, base,
	    tap;
	int helper; /* cz-libvirt, which has the order to run it all; never QEMU's */
	enum disk_format base_format;
};
void qemu_plan_init(struct qemu_plan *p, const struct zone_spec *spec, const char *nonce);
void qemu_plan_done(struct qemu_plan *p); /* closes the fds */
/* Calls f for each fd that is open. */
void qemu_plan_each_fd(struct qemu_plan *p, void (*f)(int *fd));

struct qemu_args {
	char *argv[QEMU_ARGS_MAX + 1];
	size_t nr;
	int error; /* 0, -ENOMEM, -E2BIG */
};
void qemu_args_done(struct qemu_args *a);
/* argv[0] is `program`. -EINVAL with the reason where the spec cannot be had with this machine. */
must_check int qemu_args_build(const struct qemu_plan *p, const char *program,
			       struct qemu_args *ret, struct error *reterr);

bool vm_wants_virtiofs(const struct zone_spec *s);
/* The same at every boot, so that the guest's own rules and neighbours' caches hold. */
#define VM_MAC_SIZE 18
void vm_mac(const struct zone_spec *s, char ret[VM_MAC_SIZE]);
/* The zone's own words and the user's, for the kernel. -EINVAL, -E2BIG. */
must_check int vm_kernel_cmdline(const struct zone_spec *s, const char *nonce, char *buf,
				 size_t size, struct error *reterr);
