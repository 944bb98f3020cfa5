/* SPDX-License-Identifier: MIT */
#pragma once
#define CENTRAL_COUNTERS(X)                                                                        \
	X(queued)    /* put in the queue */                                                        \
	X(handed)    /* given to another CPU by the central one */                                 \
	X(taken)     /* taken by the central CPU for itself */                                     \
	X(asked)     /* a CPU went idle while tasks waited */                                      \
	X(preempted) /* ran for a slice while others waited */                                     \
	X(ticks)     /* of the timer */
