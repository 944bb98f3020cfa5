/* SPDX-License-Identifier: MIT */
/*
 * Samples -> findings: pure functions of (state, snapshot). No I/O, no clock. One detector a file,
 * one line in list.c. Own quota, own load, kernel, hypervisor are causes of their own and are told
 * apart before any neighbour is blamed; without evidence nobody is.
 */
#pragma once
#include <stddef.h>
#include "model/config.h"
#include "model/finding.h"
#include "model/learned.h"
#include "model/snapshot.h"

#define WAITS_JUDGEABLE 20   /* fewer: a percentile says nothing */
#define MATERIAL_PPM	2000 /* waiting below 0.2 % of the time hurts nobody */

struct detect;
must_check int detect_new(const struct config *cfg, struct detect **ret);
void detect_free(struct detect *d);
/* Of the newest finding; the next gets the number after it. A replay goes on where czd was. */
uint64_t detect_last_seq(const struct detect *d);
void detect_set_last_seq(struct detect *d, uint64_t seq);
/* What is usual for the zones that are watched: how many were stored. A replay begins with it. */
size_t detect_learned(const struct detect *d, struct learned *ret, size_t max);
void detect_learn(struct detect *d, const struct learned *l);
/* Run all detectors on a snapshot. Numbers findings; a continuing harm keeps its seq. */
void detect_run(struct detect *d, const struct snapshot *s, struct finding_set *ret);
