/* SPDX-License-Identifier: MIT */
/* scx-user's policy: who of the parked tasks goes next. Pure; fair shares by weight. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sched/scx-user.h"

#define USER_PARKED_MAX 1024
#define USER_EARLY_MAX	8

struct user_parked {
	int32_t pid, cpu;
	uint64_t vtime;
	uint32_t early; /* times it was decided before the kernel had parked it */
};
struct user_pick {
	struct user_parked parked[USER_PARKED_MAX];
	size_t nr;
	uint64_t now; /* vtime of the one picked last */
	uint64_t slice_ns;
};

/* A task asks. false: the table is full, and it must be let go at once. */
bool user_pick_add(struct user_pick *pick, const struct user_request *request);
/* The one that has had least for its weight; false: nobody is parked. */
bool user_pick_next(struct user_pick *pick, struct user_parked *ret);
/* What was picked was not there: not yet, or it has gone, which is believed after some times. */
void user_pick_again(struct user_pick *pick, const struct user_parked *task);
