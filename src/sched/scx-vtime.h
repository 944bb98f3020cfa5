/* SPDX-License-Identifier: MIT */
#pragma once
#define VTIME_COUNTERS(X)                                                                          \
	X(queued)    /* put in the queue */                                                        \
	X(to_idle)   /* woken straight to an idle CPU */                                           \
	X(hurried)   /* its weight alone would have let it wait for longer than --max-wait */      \
	X(forfeited) /* its group could not use its share: it had too few tasks */                 \
	X(unplaced)  /* a cgroup beyond the limit: counted with its parent */
