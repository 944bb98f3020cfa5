/* SPDX-License-Identifier: MIT */
/* How a scheduler ended: written by common.bpf.h, read by loader.c. */
#pragma once
#include <linux/types.h>

enum scx_exit_kind { /* the kernel's */
		     SCX_EXIT_NONE = 0,
		     SCX_EXIT_UNREG = 64, /* its process let go of it */
		     SCX_EXIT_UNREG_BPF = 65,
		     SCX_EXIT_UNREG_KERN = 66,
		     SCX_EXIT_SYSRQ = 67,
		     SCX_EXIT_PARENT = 68,
		     SCX_EXIT_ERROR = 1024,
		     SCX_EXIT_ERROR_BPF = 1025,
		     SCX_EXIT_ERROR_STALL = 1026,
};

struct sched_exit {
	__u32 kind;
	__u32 unused;
	__s64 code;
	char reason[128];
	char message[512];
};
