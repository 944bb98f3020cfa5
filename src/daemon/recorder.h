/* SPDX-License-Identifier: MIT */
/*
 * Tells clients that record (`czctl record`) what detect and decide are fed, line by line as
 * model/record.h has it, and what was done. Costs nothing while nobody records. A client that does
 * not read in time misses lines, is told how many, and begins again with a whole tree.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "decide/decide.h"
#include "model/news.h"
#include "model/record-live.h"

#define RECORDERS_MAX 4
struct recorder {
	size_t nr;
	struct recorder_client {
		uint64_t client;
		int64_t request_id;
		struct record_had had;
		uint64_t missed; /* lines since the last that was taken */
	} clients[RECORDERS_MAX];
	struct news news;
	struct record_host host; /* as told last */
	struct cpuset online;	 /* as told last */
	bool can_apply;		 /* as told last */
	json_t *steps, *foreign; /* of the line that is being made; NULL: none */
};

struct daemon;
/* The head line, for a client that records from now on. NULL: reterr says why not. */
json_t *recorder_start(struct daemon *d, uint64_t client, int64_t request_id, struct error *reterr);
void recorder_done(struct recorder *r);

/* To be called after detect and decide did what the line is about. */
void recorder_tick(struct daemon *d);
void recorder_fast(struct daemon *d, const struct fast_event *e);
void recorder_again(struct daemon *d); /* decide_tick() once more on the same snapshot */
/* With its name: it may have come and gone between two ticks. */
void recorder_gone(struct daemon *d, uint64_t zone_id, const char *name);
void recorder_mode(struct daemon *d, enum guard_mode mode, uint64_t victim_id, uint64_t until_ns,
		   uint64_t now_ns);
/* "approve" or "undo" of an action, or "observe" (n is not used), now. */
void recorder_hand(struct daemon *d, const char *what, uint64_t n, uint64_t now_ns);
void recorder_can_apply(struct daemon *d, bool can);

/* Parts of the next line: what became of a step; an action whose knob is somebody else's. */
void recorder_step(struct daemon *d, const struct action *a, enum step_kind kind, int err,
		   const char *from, uint64_t written_ns);
void recorder_foreign(struct daemon *d, uint64_t seq);
