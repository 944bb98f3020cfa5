/* SPDX-License-Identifier: MIT */
/*
 * How the nouns of docs/protocol.md look to people. A figure that is absent or null is "-", never
 * 0; a field an older czd does not send is absent. Values go into cells and paragraphs, which
 * escape.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "cli/verb.h"

#define SHOW_MAX 48 /* enough for any formatted number */

const char *get_text(const json_t *o, const char *key); /* "" when absent */
bool get_number(const json_t *o, const char *key, uint64_t *ret);
uint64_t get_count(const json_t *o, const char *key); /* 0 when absent: only for sums of things */
/* Enforcing is for protected zones: says so when there is none (data: of try or mode). */
void note_none_protected(const json_t *data);
bool get_bool(const json_t *o, const char *key);
const char *text_or_dash(const json_t *o, const char *key);

/* Value of a field as text in buf (SHOW_MAX); return buf. */
char *show_duration(const json_t *o, const char *key, char *buf); /* *_ns: "4.13 ms" */
/* The same; 0, which is below the clock's step, is "< 1 us". */
char *show_wait(const json_t *o, const char *key, char *buf);
char *show_ppm(const json_t *o, const char *key, char *buf);	   /* *_ppm: "23.5 %" */
char *show_cpus(const json_t *o, const char *key, char *buf);	   /* *_ppm of a CPU: "0.24" */
char *show_bytes(const json_t *o, const char *key, char *buf);	   /* *_bytes: "1.2 GiB" */
char *show_number(const json_t *o, const char *key, char *buf);	   /* "1,204" */
char *show_id(const json_t *o, const char *key, char *buf);	   /* pids, CPUs, seqs: "1204" */
char *show_real_time(const json_t *o, const char *key, char *buf); /* *_real_ns: "12:00:01" */
char *show_mono_time(const json_t *o, const char *key,
		     char *buf);			/* *_ns of CLOCK_MONOTONIC: the same */
char *format_count(uint64_t n, char *buf, size_t size); /* 1204 -> "1,204" */

/* "1 zone", "2 zones". */
char *show_plural(uint64_t n, const char *noun, char *buf);

/* Exit code: what a change of class lacks is that it would survive a restart. */
int say_not_kept(const struct cli *cli, const json_t *data);
void show_zones(const struct cli *cli, const json_t *zones, size_t limit);
void show_actions(const struct cli *cli, const json_t *actions);
/* What was approved and comes back with the harm (data: of actions or mode). */
void show_approvals(const struct cli *cli, const json_t *data);
/* "observe; enforcing for redis, 9 min left": the mode of all and the trials beside it; free() it.
 */
char *mode_words(const json_t *data);
/* "latency-critical", "best-effort", "normal"; the text itself when new. */
const char *class_words(const char *class);
/* A part of a wait that is nobody's zone: "itself", "hypervisor (steal)". */
const char *cause_words(const char *cause);
enum style zone_state_style(const char *state);
/* What setting a knob means: "put batch/x in the idle class"; done: "batch/x was put in ...". */
void knob_phrase(const json_t *action, bool done, char *buf, size_t size);
/* What was judged, "waited behind batch 24 % -> 0.1 % of the time", and p99s where both are known;
 * "" when it was not measured. */
bool action_holds(const json_t *action); /* its knob is not put back */
char *action_effect(const json_t *action, char *buf, size_t size);
/* "kept, until 12:10:00" */
char *action_state_words(const json_t *action, char *buf, size_t size);
