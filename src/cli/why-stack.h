/* SPDX-License-Identifier: MIT */
/* `why --stack`: what the culprits do. czctl samples, as its user; czd parses nobody's files. */
#pragma once
#include <jansson.h>
#include "cli/verb.h"

/* Samples the culprits that an answer to `why` names, and adds `stack` to it (docs/protocol.md). */
void why_add_stacks(json_t *why);
/* NULL: not asked for, nothing is printed. */
void why_print_stacks(const struct cli *cli, const json_t *stacks);
