/* SPDX-License-Identifier: MIT */
/* What detect has learned of a protected zone, as numbers that only detect understands. */
#pragma once
#include <stdint.h>
#include "model/cause.h"

#define LEARNED_NUMBERS (4 * (2 * 5 + CAUSE_NR + 1))
struct learned {
	uint64_t zone_id;
	uint64_t numbers[LEARNED_NUMBERS];
};
