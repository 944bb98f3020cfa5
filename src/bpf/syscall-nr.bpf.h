/* SPDX-License-Identifier: MIT */
/* Which system call it is, by what sys_enter and sys_exit are given. */
#pragma once
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>

#if defined(__TARGET_ARCH_x86)
#define CALL_IS_EPOLL_WAIT(nr)                                                                     \
	((nr) == 232 || (nr) == 281 || (nr) == 441) /* wait, pwait, pwait2                         \
						     */
#define CALL_IS_FUTEX(nr) ((nr) == 202)
struct pt_regs___call {
	unsigned long orig_ax;
} __attribute__((preserve_access_index));
#define CALL_NR(regs) BPF_CORE_READ((struct pt_regs___call *)(regs), orig_ax)
#else /* the numbers of the generic table: arm64, riscv */
#define CALL_IS_EPOLL_WAIT(nr) ((nr) == 22 || (nr) == 441)
#define CALL_IS_FUTEX(nr)      ((nr) == 98)
struct pt_regs___call {
	int syscallno;
} __attribute__((preserve_access_index));
#define CALL_NR(regs)	       BPF_CORE_READ((struct pt_regs___call *)(regs), syscallno)
#endif

/* The newer ones have the same number everywhere: futex_waitv, futex_wait; futex_wake, _requeue */
#define CALL_IS_FUTEX_WAIT(nr) ((nr) == 449 || (nr) == 455)
#define CALL_IS_FUTEX_WAKE(nr) ((nr) == 454 || (nr) == 456)
