/* SPDX-License-Identifier: MIT */
/* Why a program was not taken, in one sentence: of all that libbpf and the verifier say about it,
 * which a person never sees where the loader runs in a guest. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define REFUSAL_MAX 256

struct refusal {
	char text[REFUSAL_MAX]; /* "" nothing yet */
	bool final;		/* the verifier's own word: no other is better */
};
/* Takes one message of libbpf's. Of warnings the first one tells; a log of the verifier beats all.
 */
void refusal_take(struct refusal *r, const char *message);
/* From now on libbpf's warnings are taken into *r as well as printed. */
void refusal_watch(struct refusal *r);
