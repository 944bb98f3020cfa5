/* SPDX-License-Identifier: MIT */
/* What is asked of history, between the loop that takes it apart and the thread that answers. */
#pragma once
#include <jansson.h>
#include "store/store.h"

#define POINTS_DEFAULT 300
#define POINTS_MAX     2000

/* Texts are borrowed from the request, which waits. */
struct question {
	/* In the thread: NULL and reterr, or the answer. */
	json_t *(*answer)(struct store *s, const struct question *q, struct error *reterr);
	uint64_t from_ms, to_ms, step_ms;
	uint32_t points;
	const char *zone, *metric, *class, *kind;
	enum store_note_kind note;
	struct store_stats stats; /* the writer's, when it was asked */
};

/* history-answer.c */
json_t *answer_series(struct store *s, const struct question *q, struct error *reterr);
json_t *answer_ledger(struct store *s, const struct question *q, struct error *reterr);
json_t *answer_zones(struct store *s, const struct question *q, struct error *reterr);
json_t *answer_notes(struct store *s, const struct question *q, struct error *reterr);
