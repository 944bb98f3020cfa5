/* SPDX-License-Identifier: MIT */
/*
 * Whether a guest boots with KVM here. Some hosts (nested ones) have /dev/kvm and yet no stock
 * kernel boots on it: only a boot can tell. Asked once per host kernel, remembered in a file.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "vm/launch.h"

#define KVM_PROBE_MS 8000

struct kvm_question {
	const struct launch *launch;
	int program, kernel, data; /* borrowed fds; data -1: none */
};
/* Always answers; `why` is a sentence for people. *ret_fd: /dev/kvm, or -1 with "no". Root. */
bool kvm_works(const struct kvm_question *q, int *ret_fd, char *why, size_t size);
