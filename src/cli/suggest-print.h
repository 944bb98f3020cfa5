/* SPDX-License-Identifier: MIT */
/* What `suggest` found, and how it is told: a table with reasons, JSON, rules for czd.yaml. */
#pragma once
#include "cli/suggest.h"
#include "cli/verb.h"

struct suggestions {
	struct cli *cli;
	const struct args *args;
	struct zone_seen *zones;
	struct proposal *proposals;
	size_t nr, looks;
	uint64_t watched_ns;
	size_t from_history;   /* zones whose goal has values from there */
	char history_why[512]; /* why there is none; "" there is */
};

void suggest_print_table(const struct suggestions *s);
void suggest_print_json(const struct suggestions *s);
void suggest_print_yaml(const struct suggestions *s);
