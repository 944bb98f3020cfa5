/* SPDX-License-Identifier: MIT */
#pragma once
#define RR_COUNTERS(X)                                                                             \
	X(queued)  /* put at the end of the queue */                                               \
	X(to_idle) /* woken straight to an idle CPU */                                             \
	X(expired) /* used up its slice while others waited */                                     \
	X(alone)   /* used up its slice, and nobody waited */
