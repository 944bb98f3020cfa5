/* SPDX-License-Identifier: MIT */
/*
 * Which findings and actions are worth telling: those that have not been told, or differ from what
 * was told in what counts. czd's recorder and a replay go by the same measure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/action.h"
#include "model/finding.h"

#define NEWS_MAX 256
struct news {
	size_t nr_findings, nr_actions;
	struct told {
		uint64_t seq, key;
	} findings[NEWS_MAX], actions[NEWS_MAX];
};

/* Fills ret with the indices of items (at most NEWS_MAX of them) that
 * are news, remembers all of them, and returns how many there are. */
size_t news_findings(struct news *n, const struct finding *items, size_t nr,
		     uint32_t ret[NEWS_MAX]);
size_t news_actions(struct news *n, const struct action *items, size_t nr, uint32_t ret[NEWS_MAX]);

#define NEWS_TEXT_MAX 512
/* One line each, without the number and without what else could be said. Into buf, returns it. */
char *news_finding_text(const struct finding *f, char buf[NEWS_TEXT_MAX]);
char *news_action_text(const struct action *a, char buf[NEWS_TEXT_MAX]);
