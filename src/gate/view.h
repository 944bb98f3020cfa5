/* SPDX-License-Identifier: MIT */
/*
 * What cz-gate knows of the host: czd's latest snapshot, as plain data. Answers of czd are data
 * like any other: what has the wrong shape is an error, what is beyond the bounds is left out.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "base/hash.h"
#include "model/cause.h"
#include "model/metric.h"
#include "model/zone.h"

#define VIEW_ZONES_MAX 65536

struct view_zone {
	uint64_t id;
	char *name;  /* as czd calls it; escaped for display */
	char *label; /* the name, or the path where another zone has that name */
	char *path;
	enum zone_kind kind;
	enum zone_class class;
	bool class_own;
	metric_set valid;	/* bit m: value[m] is known */
	metric_set delta_valid; /* bit m: delta[m], the growth over window_ns, is known */
	uint64_t value[ZM_NR], delta[ZM_NR];
};

struct view {
	bool known; /* a snapshot was taken; false again when czd went away */
	uint64_t run, tree;
	uint64_t now_ns, real_ns,
	    window_ns; /* CLOCK_MONOTONIC, time of day, since the one before */
	uint64_t event_seq;
	size_t nr_zones;
	struct view_zone *zones; /* in czd's order: parents before children */
	struct hash by_id;	 /* -> struct view_zone */
	metric_set host_valid, host_delta_valid;
	uint64_t host_value[HM_NR], host_delta[HM_NR];
	json_t *ledgers;     /* array of objects, as docs/protocol.md has them under `snapshot` */
	json_t *mode, *self; /* objects */
};

/* The arguments that ask czd for what is new since this view. */
json_t *view_question(const struct view *v);
/* Takes an answer in. 1: new; 0: the view had it already. -EPROTO: no snapshot, the view is as it
 * was or empty. -ENOMEM. */
must_check int view_take(struct view *v, const json_t *answer, struct error *reterr);
void view_reset(struct view *v); /* czd is away: nothing is known */
const struct view_zone *view_zone(const struct view *v, uint64_t id); /* NULL: not there */
/* A number of a JSON object; what is none, or negative, is 0. */
uint64_t view_number(const json_t *o, const char *key);
/* Growth per second of the window, in parts per million; for a time: of one CPU. */
bool view_rate_ppm(const struct view *v, const struct view_zone *z, enum zone_metric m,
		   uint64_t *ret);
