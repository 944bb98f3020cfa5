/* SPDX-License-Identifier: MIT */
/*
 * Runs detect and decide on a recording, as fast as it goes, and tells what they found and did, and
 * where that differs from what czd had found and done. Steps have the result that was recorded for
 * them; steps that were not taken then are taken to have worked, but what was measured afterwards
 * knows nothing of them.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/config.h"
#include "model/news.h"
#include "model/record.h"

struct replay_slo {
	char zone[ZONE_PATH_MAX]; /* a name or a path, of a zone that was protected */
	struct slo slo;
	bool used;
};

/* What if. Borrowed, NULL and 0: as recorded. */
struct replay_options {
	const struct config *config; /* guard and tick */
	const enum guard_mode *mode; /* from the beginning to the end */
	struct replay_slo *slos;
	size_t nr_slos;
};

enum replay_kind {
	REPLAY_FINDING,
	REPLAY_ACTION,
	REPLAY_STEP,
	REPLAY_NOTE, /* why nothing is done; what people did */
	REPLAY_GAP,  /* lines are missing */
};
enum replay_side {
	SIDE_BOTH, /* as it was recorded, or there is nothing to compare with */
	SIDE_REPLAY,
	SIDE_RECORDING,
};
#define REPLAY_TEXT_MAX 1536
struct replay_line {
	uint64_t now_ns;
	enum replay_kind kind;
	enum replay_side side;
	union {
		struct finding finding;
		struct action action; /* of a step as well */
	};
	char text[REPLAY_TEXT_MAX];
	char key[NEWS_TEXT_MAX]; /* what is compared; "" nothing */
};

struct replay_sink {
	void (*line)(const struct replay_line *l, void *arg);
	void (*tick)(const struct snapshot *s, void *arg);    /* NULL: not wanted */
	void (*event)(const struct fast_event *e, void *arg); /* NULL: not wanted */
	void *arg;
};

struct replay_tally {
	uint64_t ticks, zone_ticks, events, missed, same, differing;
	uint64_t first_ns, last_ns, real_ns; /* real_ns: at first_ns; 0 not known */
	bool has_head, ended;
	char czd[32];
};

struct replay;
must_check int replay_new(const struct replay_options *o, const struct replay_sink *sink,
			  struct replay **ret);
void replay_free(struct replay *r);
/* A record, and lines to the sink. The record's snapshot must stay until a record with another. */
must_check int replay_record(struct replay *r, const struct record *rec);
/* No more records: lines that were held back go to the sink. */
void replay_end(struct replay *r);
const struct replay_tally *replay_tally(const struct replay *r);
