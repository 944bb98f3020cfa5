/* SPDX-License-Identifier: MIT */
/* Lines that wait to be compared with what was recorded. */
#pragma once
#include "replay/replay.h"

struct compare {
	struct replay_line **lines;
	size_t nr, cap;
	/* open when the recording began: found again by a replay that knows nothing of before */
	size_t nr_standing;
	struct finding standing[NEWS_MAX];
};
/* The line, to be filled; NULL: no memory. */
struct replay_line *compare_add(struct compare *c, enum replay_kind kind, uint64_t now_ns);
/* What czd did: against the lines since the last call. did NULL: nothing to compare with. */
void compare_tell(struct compare *c, const struct record_did *did, uint64_t now_ns,
		  const struct replay_sink *sink, struct replay_tally *tally);
void compare_done(struct compare *c);
