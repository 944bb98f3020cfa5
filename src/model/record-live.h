/* SPDX-License-Identifier: MIT */
/* The lines of record.h as czd tells them, from tick to tick. Each returns a new reference, or NULL
 * without memory. */
#pragma once
#include <jansson.h>
#include "model/record.h"

/* The reader has nothing to build on (whole), or the tree as of tree_seq and the readings of the
 * snapshot before. */
struct record_had {
	bool whole;
	uint64_t tree_seq;
};

json_t *record_head_json(const struct record_head *h);
json_t *record_tick_json(const struct snapshot *s, const struct record_had *had);
/* Sets "tree" on a line between ticks, when zones are new or changed since. */
void record_add_tree(json_t *line, const struct snapshot *s, const struct record_had *had);
void record_add_disks(json_t *line, const struct snapshot *s);
void record_add_cpus(json_t *line, const struct cpu_topology *cpus);
/* `before`: the totals that were told last; NULL: all are told. */
struct record_host {
	metric_set valid;
	uint64_t value[HM_NR];
};
void record_add_host(json_t *line, const struct snapshot *s, const struct record_host *before);
json_t *record_event_json(const struct fast_event *e);
json_t *record_step_json(const struct record_step *s);
json_t *record_finding_json(const struct finding *f);
json_t *record_action_json(const struct action *a);
/* Kernel names need not be UTF-8; JSON must be. */
json_t *record_text_json(const char *s);
