/* SPDX-License-Identifier: MIT */
#pragma once
#define FIFO_COUNTERS(X)                                                                           \
	X(queued)      /* put at the end of the queue */                                           \
	X(to_idle)     /* woken straight to an idle CPU */                                         \
	X(interrupted) /* by a kernel thread; went on afterwards */                                \
	X(stopped)     /* gave up the CPU by itself: slept, ended or yielded */
