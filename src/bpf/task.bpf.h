/* SPDX-License-Identifier: MIT */
/* Fields of a task whose size differs between kernels: bytes since 7.0, words before. They are
 * declared unsigned here, so that the loader fits the size of the access to the kernel's. */
#pragma once
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct task_struct___run {
	unsigned int on_cpu, on_rq;
} __attribute__((preserve_access_index));

static __always_inline bool task_on_cpu(struct task_struct *p)
{
	return ((struct task_struct___run *)p)->on_cpu;
}

static __always_inline u32 task_on_rq(struct task_struct *p)
{
	return ((struct task_struct___run *)p)->on_rq;
}
