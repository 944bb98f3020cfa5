/* SPDX-License-Identifier: MIT */
/* Teaches the fields of a zone's specification from the table that validates it. */
#pragma once
#include "cli/verb.h"

/* All fields, or those at or below `path` ("resource.cpu"), or that end in it ("memory"). An enum
 * exit_code; EXIT_NOT_FOUND is printed. */
must_check int spec_explain(const struct cli *cli, const char *path);
