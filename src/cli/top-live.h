/* SPDX-License-Identifier: MIT */
/* czctl top on a terminal: keeps asking czd, draws, and obeys keys. */
#pragma once
#include "cli/verb.h"

struct top_options {
	bool all, tree;
	uint32_t limit;	      /* zones that czd is asked for */
	uint64_t interval_ns; /* not more often than this, and than czd's tick */
};

/* Until the user or a signal ends it, whatever becomes of czd; an enum exit_code. */
must_check int top_live(struct cli *cli, const struct top_options *o);
